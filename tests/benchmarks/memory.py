"""Benchmark `memory`: memory of a worker for an increasing number of dates, with finished blocks written to a store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from compute.cluster import ClusterSpec, open_cluster
from compute.jobs import Computation
from compute.plan import NdviPlan
from compute.settings import Settings
from compute.tiles.tile_patches import warm_up
from tests.benchmarks.input import InputSpec
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.measuring import Figures, measure_run, register_meters, wait_until_released
from tests.benchmarks.places import BenchmarkInput, ShowStatus, open_input
from tests.benchmarks.writing import describe_input

WORKERS = 2
DATES = (12, 24, 48)


def bench_memory(size: int, *, seed: int = 1, keep: Path | None = None, show_status: ShowStatus) -> dict[str, Any]:
    """Create the input, compute it with a quarter, a half and all of its dates into stores, and compare the memory.

    Parameters
    ----------
    size : int
        Pixels along each edge of a date.
    seed : int
        Seed of the input.
    keep : pathlib.Path, optional
        Folder for the scenes, which are used again if present; by default they are deleted at the end.
    show_status : callable
        Called with a short description of each step.

    Returns
    -------
    dict
        ``machine``, ``input`` and ``result_mb`` (units of 10**6 bytes); by number of dates ``peak_mb`` (largest
        increase in the memory of a worker), ``idle_mb`` (its memory before) and ``wall_s``; and ``ratios``, ready for
        JSON.

    Raises
    ------
    InputError
        A number is out of bounds, or there is too little disk space.
    GreenupError
        The index, the cluster or the computation failed.
    """
    spec = InputSpec(dates=max(DATES), size=size, seed=seed)
    with open_input(spec, keep, show_status) as (bench, settings, _):
        plans = [bench.select_dates(dates).whole.albers for dates in DATES]
        outcome = asyncio.run(_run(plans, bench, settings, show_status))
        return {"input": describe_input(bench.scenes, spec), "result_mb": plans[-1].result_bytes / 1e6, **outcome}


async def _run(
    plans: Sequence[NdviPlan], bench: BenchmarkInput, settings: Settings, show_status: ShowStatus
) -> dict[str, Any]:
    show_status("Two workers are started")
    async with open_cluster(ClusterSpec(kind="local", workers=WORKERS), settings, warm_up=warm_up) as cluster:
        client, store = cluster.client, str(settings.home / "memory.zarr")
        machine = describe_machine(cluster.workers, cluster.threads, cluster.memory_bytes)
        await register_meters(client)
        await _compute_into_store(bench.corner.albers, store, client)
        figures = []
        for dates, plan in zip(DATES, plans, strict=True):
            await wait_until_released(client)
            show_status(f"{dates} dates are computed")
            measured, _ = await measure_run(client, partial(_compute_into_store, plan, store, client))
            figures.append(measured)
    return {"machine": machine, **_summarise(figures)}


async def _compute_into_store(plan: NdviPlan, store: str, client: Any) -> None:
    """Compute a plan into a store."""
    job = await Computation.submit(plan, client, store=store)
    await job.result()


def _summarise(figures: Sequence[Figures]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {str(dates): round(getattr(each, name), 4) for dates, each in zip(DATES, figures, strict=True)}
        for name in ("peak_mb", "idle_mb", "wall_s")
    }
    return found | {"ratios": {"memory_growth": round(figures[-1].peak_mb / figures[0].peak_mb, 4)}}
