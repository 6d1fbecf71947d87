"""The memory that a plan says a worker takes, held against what real workers take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster

from compute.catalog import OdcCatalog
from compute.engine import warm_up
from compute.jobs import Computation
from compute.plan import WORKER_BYTES, NdviPlan
from compute.request import NdviRequest
from compute.request.region import parse_bbox
from compute.settings import GIB, MIB
from tests.benchmarks.peak_memory import read_peak_memory
from tests.compute.engine.test_mask_filters import FILTERS
from tests.fixtures.engine import DEMO, compute_here, plan_of

pytestmark = pytest.mark.index

REGION = parse_bbox("145.5,-43.2,147.5,-41.2")
EDGE_M = 185_000
"""Of the region, along its shorter edge."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a worker took, in MiB: before its first task, and at most."""

    idle: float
    peak: float


def resident() -> float:
    return float(psutil.Process().memory_info().rss / MIB)


def taken(plan: NdviPlan, threads: int, store: Path) -> Memory:
    """Compute a plan into a store on one worker."""

    async def run() -> Memory:
        async with (
            LocalCluster(
                n_workers=1, threads_per_worker=threads, memory_limit=8 * GIB, asynchronous=True, silence_logs=50,
                dashboard_address="127.0.0.1:0",
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):  # fmt: skip
            await client.run(warm_up)
            (idle,) = (await client.run(resident)).values()
            await (await Computation.submit(plan, client, store=str(store))).result()
            (peak,) = (await client.run(read_peak_memory)).values()
            return Memory(idle=idle, peak=peak / MIB)

    return asyncio.run(run())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("chunk_px", "threads", "options"),
    [
        (1024, 2, {}),
        pytest.param(2048, 1, {}, marks=pytest.mark.soak),
        pytest.param(2048, 2, {"std": True, "months": True, "reasons": True}, marks=pytest.mark.soak),
        pytest.param(2048, 1, {"weight": "month"}, marks=pytest.mark.soak),
        pytest.param(2048, 1, {"mask_filters": FILTERS}, marks=pytest.mark.soak),
        pytest.param(2048, 1, {"reader": "odc"}, marks=pytest.mark.soak),
    ],
)
def test_a_worker_takes_what_the_plan_says_and_not_much_less(
    synthetic: OdcCatalog, tmp_path: Path, chunk_px: int, threads: int, options: Mapping[str, object]
) -> None:
    values: dict[str, object] = {"start": date(2021, 3, 1), "end": date(2021, 4, 30), "by": "season-year"}
    request = NdviRequest(products=(DEMO,), region=REGION, resolution=EDGE_M / chunk_px / 2, **(values | dict(options)))  # type: ignore[arg-type]  # each case knows its fields
    # Compiled here: where a worker has to, that takes more memory than its tasks.
    warm_up()
    compute_here(plan_of(replace(request, region=parse_bbox("146.6,-42.1,146.7,-42.0")), synthetic))
    plan = plan_of(request, synthetic, chunk_px=chunk_px)
    assert len(plan.blocks) > threads
    memory = taken(plan, threads, tmp_path / "result.zarr")
    planned = plan.worker_bytes(threads) / MIB
    print(f"idle {memory.idle:.0f}, peak {memory.peak:.0f}, planned {planned:.0f} MiB")
    assert memory.idle <= WORKER_BYTES / MIB
    assert 0.6 * planned < memory.peak <= planned
