"""Order of blocks: the nearest to the viewers' map centres first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Self

from compute.plan import NdviPlan
from compute.result.chunk_windows import Chunks, borders

Index = tuple[int, int, int]
"""Season, row and column of a block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewpoint:
    """Viewpoint of one viewer: season and map centre.

    Attributes
    ----------
    season : int
        Position of the displayed season among the labels.
    row, column : float
        Map centre in pixels of the result at full resolution; may lie outside the result.
    """

    season: int
    row: float
    column: float


class BlockOrder:
    """Order of the blocks of a job that are not submitted yet.

    For a viewer, the blocks of the displayed season come first, then those of each other season, always from the map
    centre outwards. With several viewers, blocks are taken for each in turn. Without viewers, the order is that of the
    plan.

    Parameters
    ----------
    blocks : sequence of (int, int, int)
        (season, row, column) of each block.
    chunks : Chunks
        Sizes of the spatial chunks along y and x.
    """

    def __init__(self, blocks: Sequence[Index], chunks: Chunks) -> None:
        self._waiting = set(blocks)
        self._unseen = iter(blocks)
        # Each queue has all blocks that were waiting when its viewpoint was set, and so all that are waiting now.
        self._queues: dict[str, Iterator[Index]] = {}
        self._centres = [(edges[:-1] + edges[1:]) / 2 for edges in map(borders, chunks)]

    @classmethod
    def of_plan(cls, plan: NdviPlan) -> Self:
        """Return the order of all blocks of a plan."""
        return cls([(block.season, block.row, block.column) for block in plan.blocks], plan.chunks)

    def set_viewpoint(self, viewer: str, viewpoint: Viewpoint | None) -> None:
        """Set or remove the viewpoint of a viewer.

        Parameters
        ----------
        viewer : str
            Name of the viewer.
        viewpoint : Viewpoint or None
            New viewpoint, with which the viewer keeps its turn; None to remove the viewer.
        """
        if viewpoint is None:
            self._queues.pop(viewer, None)
        else:
            self._queues[viewer] = iter(self._sort_outwards(viewpoint))

    def pop_next(self) -> Index | None:
        """Remove and return the next block, and move its viewer behind the other viewers; None if no block is left."""
        if not self._waiting:
            return None
        viewer = next(iter(self._queues), None)
        queue = self._unseen if viewer is None else self._queues.pop(viewer)
        if viewer is not None:
            self._queues[viewer] = queue
        index = next(index for index in queue if index in self._waiting)
        self._waiting.remove(index)
        return index

    def _sort_outwards(self, viewpoint: Viewpoint) -> list[Index]:
        rows, columns = self._centres

        def rank(index: Index) -> tuple[bool, int, float, Index]:
            season, row, column = index
            distance = hypot(rows[row] - viewpoint.row, columns[column] - viewpoint.column)
            return season != viewpoint.season, season, distance, index

        return sorted(self._waiting, key=rank)
