"""Tasks of a stack: one for each block, or several if one task would read too many dates."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any

from dask.task_spec import List, Task, TaskRef

from compute import engine
from compute.kernels import EVERY_INDEX
from compute.plan import BlockPlan, NdviPlan, has_strata, level_count

Key = tuple[str | int, ...]
"""Dask key of a task: name, then season, row and column of the block, then the number of its part, if any."""
Groups = tuple[tuple[int, ...], ...]
"""Positions of the scenes of each (product, platform, solar day) group."""


def build_graph(plan: NdviPlan, token: str) -> dict[Key, Task]:
    """Convert a plan to tasks: one for each block, or several if one task would read too many dates.

    If a season has several blocks, its scenes are the value of one task on which all of these depend. Repeated in the
    task of each block, they would be most of the graph. If a season has one block, its tasks contain the scenes.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    token : str
        Identity of the computation.

    Returns
    -------
    dict of Key to dask.task_spec.Task
        Tasks by key; the keys of blocks are those of `block_key`.
    """
    graph: dict[Key, Task] = {}
    for season, members in groupby(plan.blocks, key=lambda block: block.season):
        blocks_of_season = list(members)
        hand_out = partial(_own, plan)
        if len(blocks_of_season) > 1:
            indices = sorted({index for block in blocks_of_season for group in block.groups for index in group})
            sources_key: Key = (f"greenup-sources-{token}", season)
            graph[sources_key] = Task(sources_key, _as_it_is, tuple(plan.sources[index] for index in indices))
            hand_out = partial(_shared, TaskRef(sources_key), _places(indices))
        for block in blocks_of_season:
            graph.update(_block_tasks(plan, block, token, hand_out))
    return graph


def block_key(token: str, season: int, row: int, column: int) -> Key:
    """Return the Dask key of a block.

    Parameters
    ----------
    token : str
        Identity of the computation.
    season, row, column : int
        Position of the block among the labels and the chunks.
    """
    return f"greenup-block-{token}", season, row, column


def _as_it_is(value: Any) -> Any:
    return value


def _shared(sources: TaskRef, places: Mapping[int, int], groups: Groups) -> tuple[Any, Groups]:
    """Return a reference to the scenes of a season, and groups as positions in these scenes."""
    return sources, _renumbered(groups, places)


def _own(plan: NdviPlan, groups: Groups) -> tuple[Any, Groups]:
    """Return the scenes of some groups, and the groups as positions in these scenes."""
    indices = sorted({index for group in groups for index in group})
    return tuple(plan.sources[index] for index in indices), _renumbered(groups, _places(indices))


def _places(indices: Iterable[int]) -> dict[int, int]:
    return {index: place for place, index in enumerate(indices)}


def _renumbered(groups: Groups, places: Mapping[int, int]) -> Groups:
    return tuple(tuple(places[index] for index in group) for group in groups)


def _block_tasks(
    plan: NdviPlan, block: BlockPlan, token: str, hand_out: Callable[[Groups], tuple[Any, Groups]]
) -> Iterator[tuple[Key, Task]]:
    """Yield the tasks of a block; `hand_out` returns the scenes of groups, and the groups as positions in them."""
    key = block_key(token, block.season, block.row, block.column)
    min_clear, levels = plan.request.min_clear, level_count(plan.grid.shape)
    parts = [_task(plan, block, groups, hand_out, token) for groups in plan.parts(block) or [()]]
    if len(parts) == 1:
        yield key, Task(key, engine.compute_block, *parts[0], min_clear, levels)
        return
    waiting = deque[Key]((f"greenup-part-{token}", *key[1:], number) for number in range(len(parts)))
    for part_key, part in zip(waiting, parts, strict=True):
        yield part_key, Task(part_key, engine.sum_part, *part)
    # A binary tree of sums, so that only a few parts of a large block are in memory at the same time.
    for number in range(len(parts) - 2):
        sum_key: Key = (f"greenup-sum-{token}", *key[1:], number)
        yield sum_key, Task(sum_key, engine.add_parts, _two(waiting))
        waiting.append(sum_key)
    yield key, Task(key, engine.join_parts, _two(waiting), min_clear, levels)


def _two(waiting: deque[Key]) -> List:
    return List(*(TaskRef(waiting.popleft()) for _ in range(2)))


def _task(
    plan: NdviPlan, block: BlockPlan, groups: Groups, hand_out: Callable[[Groups], tuple[Any, Groups]], token: str
) -> tuple[engine.BlockTask, Any]:
    """Return the input of a block task and the scenes that it reads."""
    sources, placed = hand_out(groups)
    task = engine.BlockTask(
        run=token,
        grid=plan.block_grid(block),
        groups=placed,
        roles=plan.roles,
        reader=plan.request.reader,
        resampling=plan.request.resampling,
        polygon=block.polygon,
        strata=tuple(map(plan.stratum_of, groups)) if has_strata(plan.request) else (),
        months=tuple(map(plan.month_of, groups)) if plan.request.months else None,
        std=plan.request.std,
        reasons=plan.reasons,
        average=plan.request.average,
        min_area=plan.request.min_area,
        index_range=plan.request.index_range or EVERY_INDEX,
        access=plan.access,
    )
    return task, sources
