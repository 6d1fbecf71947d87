"""Observations of a pixel, traced on the workers season by season."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from distributed import Client, Future

from compute.cluster.bounded_waits import cancel_unfinished, limit_wait
from compute.engine import BlockTask, PixelTrace, Trace, cancel_on_worker, trace_pixel
from compute.errors import InputError, TooLargeError
from compute.jobs.run.computation import RETRIES
from compute.kernels import EVERY_INDEX
from compute.plan import BlockPlan, NdviPlan, has_strata
from compute.products import exclusion_reasons
from compute.result.chunk_windows import borders
from compute.scenes import Source

MOST_SCENES = 4_000
"""Largest number of scenes of one request: half a minute of reading from a slow store, eight scenes at once."""

_TIMEOUT_S, _CANCEL_S = 60.0, 5.0
_AHEAD = 1_000
"""Priority over the blocks of all computations, because the task is small and its user is waiting."""

_MOST_REASONS = 250
"""Largest number of exclusion reasons, which are numbered in a byte."""


@dataclass(frozen=True, kw_only=True)
class SeasonTask:
    """Arguments of a Dask task that traces a pixel in one season.

    Attributes
    ----------
    label : str
        Season label.
    task : BlockTask
        Task of a block of one pixel.
    sources : tuple of Source
        Scenes to which the groups of `task` refer by position.
    indices : tuple of int
        Positions of `sources` among the scenes of the plan.
    """

    label: str
    task: BlockTask
    sources: tuple[Source, ...]
    indices: tuple[int, ...]


def season_tasks(plan: NdviPlan, row: int, column: int, season: str | None = None) -> list[SeasonTask]:
    """Return the tasks that trace all scenes at a pixel, one for each season.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    row, column : int
        Pixel of the result's grid.
    season : str, optional
        Label of one season; by default all seasons.

    Raises
    ------
    InputError
        The result has no such season, or was read by datacube's reader, which does not return single scenes.
    TooLargeError
        The tasks have more than `MOST_SCENES` scenes.
    """
    if plan.request.reader != "exact":
        raise InputError("reader", "Datacube's reader tells nothing of single scenes; compute with --reader exact.")
    if season is not None and season not in plan.labels:
        raise InputError("season", f"The result has no season {season[:40]!r}; it has {', '.join(plan.labels)}.")
    run = f"observations-{secrets.token_hex(8)}"
    tasks = [
        _season_task(plan, block, (row, column), run)
        for block in _blocks_at(plan, row, column)
        if season in (None, plan.labels[block.season])
    ]
    count = sum(len(each.sources) for each in tasks)
    if count > MOST_SCENES:
        raise TooLargeError(
            "season", f"{count:,} scenes may show this place, more than {MOST_SCENES:,}; ask for one season of it."
        )
    return tasks


async def observations_at(
    plan: NdviPlan, client: Client, row: int, column: int, season: str | None = None
) -> list[dict[str, Any]]:
    """Read the values of all scenes at a pixel, whether or not they count as observations.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result, finished or not.
    client : distributed.Client
        Asynchronous client of a cluster whose workers can read the scenes.
    row, column, season
        See `season_tasks`.

    Returns
    -------
    list of dict
        For each season ``label``, ``clear_count`` and ``ndvi_mean`` (as in the result), and ``observations``: for each
        scene in order of time ``time``, ``platform``, ``product`` and the attributes of `compute.engine.Trace`.

    Raises
    ------
    InputError, TooLargeError
        See `season_tasks`.
    ClusterError
        The connection to the cluster broke, or the values were not read within a minute.
    """
    tasks = season_tasks(plan, row, column, season)
    run = tasks[0].task.run if tasks else ""
    futures: list[Future[PixelTrace]] = []
    try:
        async with limit_wait(_TIMEOUT_S, "the observations of a pixel were listed"):
            workers = list(await client.nthreads())
            futures = [_submit_task(client, each, plan.request.min_clear, workers) for each in tasks]
            found = await client.gather(futures)
    finally:
        await _cancel_tasks(client, run, futures)
    return [_describe_season(plan, each, trace) for each, trace in zip(tasks, found, strict=True)]


def _submit_task(client: Client, each: SeasonTask, min_clear: int, workers: Sequence[str]) -> Future[PixelTrace]:
    # A task with a list of workers is sent to a worker at once. Without a list, it may be queued on the scheduler,
    # where other tasks overtake it regardless of its priority.
    anywhere = {"workers": workers, "allow_other_workers": True}
    future: Future[PixelTrace] = client.submit(
        trace_pixel, each.task, each.sources, min_clear, pure=False, retries=RETRIES, priority=_AHEAD, **anywhere
    )
    return future


async def _cancel_tasks(client: Client, run: str, futures: Sequence[Future[PixelTrace]]) -> None:
    """Cancel the unfinished tasks of a run."""
    if client.status != "running" or all(future.done() for future in futures):
        return
    await cancel_unfinished(client, futures)
    # A worker that hangs does not respond.
    with suppress(TimeoutError):
        async with asyncio.timeout(_CANCEL_S):
            await client.run(cancel_on_worker, run, on_error="ignore")


def _blocks_at(plan: NdviPlan, row: int, column: int) -> Iterator[BlockPlan]:
    """Yield the blocks that contain a pixel, one for each season."""
    at = tuple(
        int(borders(sizes).searchsorted(place, side="right")) - 1
        for sizes, place in zip(plan.chunks, (row, column), strict=True)
    )
    return (block for block in plan.blocks if (block.row, block.column) == at)


def _season_task(plan: NdviPlan, block: BlockPlan, pixel: tuple[int, int], run: str) -> SeasonTask:
    indices = tuple(sorted({index for group in block.groups for index in group}))
    places = {index: place for place, index in enumerate(indices)}
    task = BlockTask(
        run=run,
        grid=plan.part_grid(pixel, (1, 1)),
        groups=tuple(tuple(places[index] for index in group) for group in block.groups),
        roles=plan.roles,
        reader=plan.request.reader,
        resampling=plan.request.resampling,
        polygon=block.polygon,
        strata=tuple(map(plan.stratum_of, block.groups)) if has_strata(plan.request) else (),
        reasons=exclusion_reasons(plan.roles.values(), _MOST_REASONS),
        average=plan.request.average,
        min_area=plan.request.min_area,
        index_range=plan.request.index_range or EVERY_INDEX,
        access=plan.access,
    )
    sources = tuple(plan.sources[index] for index in indices)
    return SeasonTask(label=plan.labels[block.season], task=task, sources=sources, indices=indices)


def _describe_season(plan: NdviPlan, each: SeasonTask, trace: PixelTrace) -> dict[str, Any]:
    """Return the values of the scenes of a season at the pixel, with time, platform and product, in order of time."""
    index_of = {source.id: index for source, index in zip(each.sources, each.indices, strict=True)}
    ordered = sorted(trace.traces, key=lambda look: index_of[look.scene])
    return {
        "label": each.label,
        "clear_count": trace.clear_count,
        "ndvi_mean": trace.ndvi_mean,
        "observations": [_describe_look(plan, index_of[look.scene], look) for look in ordered],
    }


def _describe_look(plan: NdviPlan, index: int, look: Trace) -> dict[str, Any]:
    taken = {
        "time": plan.times[index].isoformat(),
        "platform": plan.platforms[index],
        "product": plan.sources[index].product,
    }
    return taken | asdict(look)
