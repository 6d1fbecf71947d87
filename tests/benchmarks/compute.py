"""Benchmark `compute`: a seasonal mean by every contender, one after another, on the same two workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from compute.cluster import ClusterSpec, open_cluster, parse_cluster
from compute.engine.memory_allocator import give_freed_memory_back, keep_freed_memory
from compute.errors import InputError
from compute.settings import Settings
from compute.tiles.tile_patches import warm_up
from tests.benchmarks.agreement import Agreement
from tests.benchmarks.contenders import Contender, Greenup, list_contenders
from tests.benchmarks.floor import PlainReading
from tests.benchmarks.input import InputSpec
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.measuring import (
    Figures,
    compute_medians,
    list_wall_seconds,
    measure_run,
    register_meters,
    wait_until_released,
)
from tests.benchmarks.places import BenchmarkInput, ShowStatus, open_input
from tests.benchmarks.remote import CONNECTIONS, PlainFetch, RemoteGreenup, open_store
from tests.benchmarks.writing import describe_input

WORKERS = 2

AS_WRITTEN = ("recipe_untuned", "recipe_tuned")
"""The recipe as the original notebook writes it, on EPSG:3577."""

OTHERS_NATIVE = ("recipe_like", "odc_stac")
"""The alternatives on the scenes' own grid."""

Runs = dict[str, list[Figures]]


def bench_compute(
    spec: InputSpec,
    *,
    repeat: int = 1,
    latency_ms: float | None = None,
    threads: int | None = None,
    keep: Path | None = None,
    show_status: ShowStatus,
) -> dict[str, Any]:
    """Create the input, run every contender on it, and compare the results.

    Parameters
    ----------
    spec : InputSpec
        Specification of the input.
    repeat : int
        Runs of each contender; figures are medians.
    latency_ms : float, optional
        Latency of every response in an additional run over HTTP, in milliseconds.
    threads : int, optional
        Threads of each of the two workers; by default the cores are divided between them.
    keep : pathlib.Path, optional
        Folder for the scenes, which are used again if present; by default they are deleted at the end.
    show_status : callable
        Called with a short description of each step.

    Returns
    -------
    dict
        ``machine``, ``input``, ``runs`` (by contender, see `tests.benchmarks.measuring.Figures`), ``ratios`` and
        ``agreement``, ready for JSON.

    Raises
    ------
    InputError
        A number is out of bounds, or there is too little disk space.
    GreenupError
        The index, the cluster or a contender failed.
    """
    if not 1 <= repeat <= 100:
        raise InputError("repeat", f"The number of runs must be from 1 to 100, not {repeat}.")
    if latency_ms is not None and not 0 <= latency_ms <= 10_000:
        raise InputError("latency-ms", f"The latency must be from 0 to 10000 ms, not {latency_ms:g}.")
    cluster = parse_cluster("local", workers=WORKERS, threads=threads)
    with open_input(spec, keep, show_status) as (bench, settings, root):
        described = _describe(bench, spec)
        session = _Session(bench, repeat, show_status)
        with ExitStack() as stack:
            remote = None if latency_ms is None else _Remote.open(root, latency_ms, stack)
            outcome = asyncio.run(session.run(settings, cluster, remote))
    return {"input": described, "latency_ms": latency_ms, "repeat": repeat, **outcome}


def _describe(bench: BenchmarkInput, spec: InputSpec) -> dict[str, Any]:
    plans = {"native_px": bench.whole.native, "albers_px": bench.whole.albers}
    grids = {name: list(plan.grid.shape) for name, plan in plans.items()}
    return describe_input(bench.scenes, spec) | grids


class _Remote:
    """Contenders of the run over HTTP."""

    def __init__(self, greenup: RemoteGreenup, fetch: PlainFetch) -> None:
        self.greenup = greenup
        self.fetch = fetch

    @classmethod
    def open(cls, root: Path, latency_ms: float, stack: ExitStack) -> _Remote:
        store = stack.enter_context(open_store(root, latency_ms))
        return cls(RemoteGreenup(store), PlainFetch(store))


class _Session:
    """Run of the benchmark on one cluster."""

    def __init__(self, bench: BenchmarkInput, repeat: int, show_status: ShowStatus) -> None:
        self._bench = bench
        self._repeat = repeat
        self._show_status = show_status
        self._runs: Runs = {}
        self._agreement = Agreement(bench)

    async def run(self, settings: Settings, spec: ClusterSpec, remote: _Remote | None) -> dict[str, Any]:
        """Open the cluster, and run every contender in turn."""
        self._show_status("Two workers are started")
        async with open_cluster(spec, settings, warm_up=warm_up) as cluster:
            machine = describe_machine(cluster.workers, cluster.threads, cluster.memory_bytes)
            await register_meters(cluster.client)
            for number in range(self._repeat):
                await self._round(cluster.client, remote, first=number == 0)
            self._show_status("Results are compared")
            agreement = await self._agreement.compute_report(cluster.client)
        return {
            "machine": machine,
            "runs": self._figures(remote),
            "ratios": compute_ratios({name: compute_medians(runs) for name, runs in self._runs.items()}),
            "agreement": agreement,
        }

    async def _round(self, client: Any, remote: _Remote | None, *, first: bool) -> None:
        for contender in (*list_contenders(), PlainReading()):
            await self._one(contender, client, first=first)
        if remote is not None:
            await self._one(remote.greenup, client, first=first)
            remote.fetch.ranges = sorted(set(remote.greenup.served()))
            await self._one(remote.fetch, client, first=False)

    async def _one(self, contender: Contender, client: Any, *, first: bool) -> None:
        # Only Greenup and plain reading use Greenup's settings of the memory allocator; the others use Dask's.
        is_ours = isinstance(contender, Greenup | PlainReading)
        await client.run(keep_freed_memory if is_ours else give_freed_memory_back)
        if first:
            self._show_status(f"{contender.name} warms up")
            await contender.run(contender.prepare(self._bench, self._bench.corner), client)
            await wait_until_released(client)
        self._show_status(f"{contender.name} runs")
        await self._measure(contender, client)
        await wait_until_released(client)

    async def _measure(self, contender: Contender, client: Any) -> None:
        lazy = contender.prepare(self._bench, self._bench.whole)
        figures, result = await measure_run(client, partial(contender.run, lazy, client))
        self._runs.setdefault(contender.name, []).append(figures)
        await self._agreement.collect_means(contender, result, client)

    def _figures(self, remote: _Remote | None) -> dict[str, dict[str, Any]]:
        figures: dict[str, dict[str, Any]] = {}
        for name, runs in self._runs.items():
            figures[name] = {**compute_medians(runs), "walls_s": list_wall_seconds(runs)}
        for name, mean in self._agreement.area_means.items():
            figures[name]["ndvi_mean"] = mean
        if remote is not None:
            served = remote.greenup.served()
            figures["remote"] |= {"requests": len(served), "bytes": _bytes(served)}
            fetched = remote.fetch.ranges
            figures["plain_fetch"] |= {"requests": len(fetched), "bytes": _bytes(fetched), "connections": CONNECTIONS}
        return figures


def _bytes(ranges: Sequence[tuple[str, int, int]]) -> int:
    return sum(last - first for _, first, last in ranges)


def compute_ratios(runs: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of Greenup relative to the alternatives.

    Parameters
    ----------
    runs : mapping of str to mapping of str to float
        Figures by contender.

    Returns
    -------
    dict of str to float
        Speeds are the factor by which Greenup is faster than the fastest alternative. `native_over_floor` is its time
        relative to plain reading. Memory and tasks are relative to the recipe that needs less. `remote_throughput`, of
        a run over HTTP, is relative to the plain fetch.
    """
    wall = {name: figures["wall_s"] for name, figures in runs.items()}
    recipe = min(wall[name] for name in AS_WRITTEN)
    native = runs["greenup_native"]
    found = {
        "native_speed": min(wall[name] for name in OTHERS_NATIVE) / wall["greenup_native"],
        "albers_speed": recipe / wall["greenup_albers"],
        "notebook_to_native": recipe / wall["greenup_native"],
        "native_over_floor": wall["greenup_native"] / wall["floor"],
        "native_memory": native["peak_mb"] / min(runs[name]["peak_mb"] for name in AS_WRITTEN),
        "native_tasks": native["tasks"] / min(runs[name]["tasks"] for name in AS_WRITTEN),
    }
    if "remote" in wall:
        found["remote_throughput"] = wall["plain_fetch"] / wall["remote"]
    return {name: round(value, 4) for name, value in found.items()}
