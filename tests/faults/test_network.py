"""Jobs whose network fails for a while: the cluster is there all along, but cannot be reached."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import xarray as xr

from compute.cluster import ClusterPool, parse_cluster
from compute.jobs import ANONYMOUS, JobRegistry, JobStore, KeptResults, LiveJob
from compute.plan import NdviPlan
from compute.result.store import Checkpoint, open_result
from compute.settings import Settings
from tests.fixtures.engine import compute_here
from tests.fixtures.jobs import SECRET, House, existing_scheduler, reaches
from tests.fixtures.relay import relay_to

pytestmark = pytest.mark.index


# A client comes back by itself after the shortest, and in the midst of being given up after one of the longer.
@pytest.mark.parametrize(("told", "seconds"), [(True, 1.0), (True, 2.0), (True, 3.5), (False, 3.0)])
def test_a_job_goes_on_once_the_network_is_back(
    house: House, slow: NdviPlan, tmp_path: Path, *, told: bool, seconds: float
) -> None:
    async def third_block(record: LiveJob) -> None:
        await reaches(record, "running", blocks=3)

    assert goes_on(house, slow, tmp_path, third_block, told=told, seconds=seconds)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_a_job_goes_on_whenever_the_network_went(house: House, slow: NdviPlan, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    moment = chance.uniform(0.0, 2.5)

    async def some_moment(_: LiveJob) -> None:
        await asyncio.sleep(moment)

    goes_on(house, slow, tmp_path, some_moment, told=chance.random() < 0.7, seconds=chance.uniform(0.1, 6.0))


def goes_on(
    house: House,
    plan: NdviPlan,
    folder: Path,
    until: Callable[[LiveJob], Awaitable[None]],
    *,
    told: bool,
    seconds: float,
) -> int:
    """Compute over a network that goes at some moment of the job, for some time; both ends are told of it or not.

    Returns how many blocks were written by the time that it is back.
    """
    pool = ClusterPool(Settings(cluster_start_timeout_s=10.0))
    kept = KeptResults(str(folder / "results"))

    before: dict[Path, int] = {}

    async def lose() -> None:
        jobs = JobRegistry(pool, SECRET, store=JobStore(), own=house.spec, kept=kept, pauses=(0.5, 5.0, 5.0, 5.0))
        await jobs.start()
        async with existing_scheduler() as own, relay_to(own.address or "") as relay:
            spec = parse_cluster(f"tcp://127.0.0.1:{relay.port}")
            await pool.get(spec)
            record = await jobs.submit(plan, spec, ANONYMOUS, "a")
            await until(record)
            if told:
                relay.cut()
            else:
                relay.hush()
            await asyncio.sleep(seconds)
            before.update(written(kept.url(record.token)))
            if told:
                await relay.open()
            else:
                relay.resume()
            async with asyncio.timeout(60):
                while record.state != "done":  # noqa: ASYNC110  # as the page does
                    await asyncio.sleep(0.1)
            after = written(kept.url(record.token))
            assert {path: after[path] for path in before} == before
            with open_result(kept.url(record.token)) as result:
                xr.testing.assert_equal(result.compute(), compute_here(plan))
            await jobs.delete(record.token, ANONYMOUS)
            await jobs.close()
            await pool.close()

    house.watch(lose)
    return len(before)


def written(url: str) -> dict[Path, int]:
    """When the means of each block of a kept result were written, in nanoseconds, by their file."""
    checkpoint = Checkpoint.find(url)
    if checkpoint is None:
        return {}
    files = [path for path in Path(checkpoint.store).glob("ndvi_mean/c/**/*") if path.is_file()]
    assert len(files) >= len(checkpoint.written())
    return {path: path.stat().st_mtime_ns for path in files}
