"""Workers that die, and visitors who change their minds, at random moments: the same bits, or nothing at all."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from compute.cluster import open_cluster, parse_cluster
from compute.engine import warm_up
from compute.errors import JobCancelledError
from compute.jobs import Computation
from compute.jobs.run.checkpointing import CheckpointTarget
from compute.plan import NdviPlan
from compute.settings import Settings
from tests.fixtures.engine import compute_here

pytestmark = pytest.mark.index

MANY = pytest.mark.soak
SEED = 20201201


@pytest.fixture(scope="module")
def expected(slow: NdviPlan) -> xr.Dataset:
    return compute_here(slow)


@asynccontextmanager
async def client_of_two_workers() -> AsyncIterator[Any]:
    async with open_cluster(parse_cluster("local", workers=2), Settings(), warm_up=warm_up) as connection:
        yield connection.client


async def kill_one(client: Any, chance: random.Random) -> None:
    pids = list((await client.run(os.getpid, on_error="ignore")).values())
    with suppress(ProcessLookupError, IndexError):
        os.kill(chance.choice(pids), signal.SIGKILL)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("jobs", "kills"), [(1, 2), pytest.param(20, 50, marks=MANY)])
def test_workers_killed_at_random_moments_change_no_bit(
    slow: NdviPlan, expected: xr.Dataset, tmp_path: Path, jobs: int, kills: int
) -> None:
    chance = random.Random(SEED)
    share = [kills // jobs + (number < kills % jobs) for number in range(jobs)]

    async def compute(number: int) -> xr.Dataset:
        async with client_of_two_workers() as client:
            # Every other job is kept outside of memory as well: a block that was written is not computed again.
            keep = CheckpointTarget(url=str(tmp_path / str(number)), scope="shared") if number % 2 else None
            job = await Computation.submit(slow, client, f"{number:032x}", target=keep)
            moments = sorted(chance.sample(range(len(slow.blocks)), share[number]))
            async for done in job.progress():
                while moments and done > moments[0]:
                    moments.pop(0)
                    await kill_one(client, chance)
            return await client.compute(job.stack.dataset())

    for number in range(jobs):
        xr.testing.assert_identical(asyncio.run(compute(number)), expected)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("times", "within_s"), [(1, 20.0), pytest.param(5, 2.0, marks=MANY)])
def test_a_cancel_at_any_moment_frees_workers_and_memory_soon(slow: NdviPlan, times: int, within_s: float) -> None:
    chance = random.Random(SEED)

    async def cancel() -> list[float]:
        seconds: list[float] = []
        async with client_of_two_workers() as client:
            for number in range(times):
                job = await Computation.submit(slow, client, f"{number:032x}")
                await asyncio.sleep(chance.uniform(0.0, 3.0))
                began = time.perf_counter()
                await job.cancel()
                with pytest.raises(JobCancelledError):
                    await job.result()
                while any((await client.run(held_or_running)).values()):  # noqa: ASYNC110  # no event tells it
                    await asyncio.sleep(0.05)
                seconds.append(time.perf_counter() - began)
        return seconds

    # Two seconds where nothing else runs on the machine.
    assert max(asyncio.run(cancel())) < within_s


def held_or_running(dask_worker: Any) -> int:
    """How many results a worker holds and how many tasks it runs, this one left out."""
    return len(dask_worker.data) + len(dask_worker.state.executing)
