"""Plan of a preview: the same request at screen resolution, read from overviews of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil, floor, hypot, isfinite, log2

import shapely
from affine import Affine

from compute.plan.chunking import polygons_by_chunk
from compute.plan.output_grid import COARSEST_PX
from compute.plan.work_plan import BlockPlan, NdviPlan
from compute.products import MaskRole, Roles
from compute.request import NdviRequest
from compute.scenes import Band, Grid, Source
from compute.scenes.warp import transformer_of

ENOUGH_LOOKS = 16
"""Approximate largest number of dates of a position in a preview: the dates of one satellite in a season where its
paths overlap."""

_GOLDEN = (5**0.5 - 1) / 2
"""Golden ratio conjugate. Any number of its multiples modulo 1 is evenly distributed (Weyl sequence), and they are not
in phase with the cycle of any satellite."""

_SLACK = 1.2
"""Largest pixel size of an overview that is fine enough, in pixels of the preview, as in GDAL."""


def preview_plan(plan: NdviPlan, most_px: int = COARSEST_PX) -> NdviPlan | None:
    """Make the plan of a result's preview. No pixels are read and no computation is started.

    The grid begins at the result's corner, each pixel covers a square of the result's pixels, and a season is one
    block. Nearest pixels are read from the coarsest overview of each file that has about this resolution. If a file
    has no such overview, GDAL uses a finer one or the file itself. Overviews of reflectance average small clouds too,
    so a preview may differ slightly from the result beside clouds. A pixel is the plain mean of its observations;
    numbers of months and standard deviations are not computed. Radii of mask filters keep their length on the ground,
    with openings rounded down and dilations rounded up to whole pixels of the overview.

    If a position has more than `ENOUGH_LOOKS` dates in a season, about that many are read, evenly distributed in time.
    One observation then suffices for a mean, whatever the minimum of the request is.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    most_px : int
        Longest edge of the preview, in pixels.

    Returns
    -------
    NdviPlan or None
        Plan with the seasons of `plan`; None if a preview would read the same pixels as the result.
    """
    grid = _coarse(plan.grid, most_px)
    factors = _Factors(grid)
    blocks = tuple(_blocks(plan, grid))
    scenes = _scenes(blocks)
    sources = tuple(_seen(each, factors) if index in scenes else each for index, each in enumerate(plan.sources))
    if grid == plan.grid and sources == plan.sources:
        return None
    return replace(
        plan,
        request=_plain(plan.request, thinned=len(scenes) < len(_scenes(plan.blocks))),
        grid=grid,
        chunks=((grid.shape[0],), (grid.shape[1],)),
        blocks=blocks,
        sources=sources,
        roles=_with_filters(plan, factors),
    )


def _scenes(blocks: Iterable[BlockPlan]) -> set[int]:
    return {scene for block in blocks for group in block.groups for scene in group}


def _coarse(grid: Grid, most_px: int) -> Grid:
    """Return a grid that is coarser by a power of two; its last row and column may extend beyond the result."""
    rows, columns = grid.shape
    factor = 2 ** max(0, ceil(log2(max(rows, columns) / most_px)))
    return _stretched(grid, (factor, factor), (ceil(rows / factor), ceil(columns / factor)))


def _stretched(grid: Grid, by: tuple[float, float], shape: tuple[int, int]) -> Grid:
    """Return a grid with the same corner, pixels enlarged by factors (y, x), and (rows, columns) `shape`."""
    (down, along), (a, b, c, d, e, f) = by, grid.transform
    return Grid(crs=grid.crs, shape=shape, transform=(a * along, b * down, c, d * along, e * down, f))


# Dates


def _blocks(plan: NdviPlan, grid: Grid) -> Iterator[BlockPlan]:
    """Yield one block for each season."""
    (polygon,) = polygons_by_chunk(plan.request, grid, ((grid.shape[0],), (grid.shape[1],)))
    outline = None if polygon is None else shapely.to_wkb(polygon)
    for season, blocks in groupby(plan.blocks, key=lambda block: block.season):
        groups = tuple(_thinned([block.groups for block in blocks]))
        yield BlockPlan(season=season, row=0, column=0, groups=groups, polygon=outline)


def _thinned(chunks: Sequence[Sequence[tuple[int, ...]]]) -> Iterator[tuple[int, ...]]:
    """Yield groups in the order of time, so that each chunk has `ENOUGH_LOOKS` or all of its groups."""
    groups = _joined(group for chunk in chunks for group in chunk)
    numbers = {scene: number for number, group in enumerate(groups) for scene in group}
    meets: list[list[int]] = [[] for _ in groups]
    for chunk, members in enumerate(chunks):
        for number in {numbers[group[0]] for group in members}:
            meets[number].append(chunk)
    looks: Counter[int] = Counter()
    kept = set()
    for number in sorted(range(len(groups)), key=lambda number: number * _GOLDEN % 1.0):
        if any(looks[chunk] < ENOUGH_LOOKS for chunk in meets[number]):
            kept.add(number)
            looks.update(meets[number])
    return (groups[number] for number in sorted(kept))


def _joined(groups: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Join groups that share a scene, since a group of a chunk has only the scenes of its date that meet the chunk."""
    joined: dict[int, frozenset[int]] = {}
    for group in groups:
        whole = frozenset(group).union(*(joined.get(scene, ()) for scene in group))
        joined |= dict.fromkeys(whole, whole)
    return sorted(tuple(sorted(whole)) for whole in set(joined.values()))


# Files


class _Factors:
    """Factors of the coarsest overviews that are fine enough for a grid, cached by CRS and pixel size of the files."""

    def __init__(self, grid: Grid) -> None:
        self._to_pixels = ~Affine(*grid.transform)
        self._crs = grid.crs
        self._known: dict[tuple[str, tuple[float, float]], int] = {}

    def find(self, source: Grid) -> int:
        """Return the number of file pixels along an overview pixel: a power of two."""
        key = source.crs, source.resolution
        if key not in self._known:
            self._known[key] = 2 ** max(0, floor(log2(_SLACK / self._step(source))))
        return self._known[key]

    def _step(self, source: Grid) -> float:
        """Return the longer edge of a file's central pixel in pixels of the preview, or 1 if it cannot be projected."""
        row, column = (length / 2 for length in source.shape)
        to_crs = Affine(*source.transform)
        places = [to_crs @ place for place in ((column, row), (column + 1, row), (column, row + 1))]
        x, y = transformer_of(source.crs, self._crs).transform([x for x, _ in places], [y for _, y in places])
        at, right, down = (self._to_pixels @ place for place in zip(x, y, strict=True))
        step = max(hypot(place[0] - at[0], place[1] - at[1]) for place in (right, down))
        return step if isfinite(step) else 1.0


def _seen(source: Source, factors: _Factors) -> Source:
    return replace(
        source, bands={name: _overview(band, factors.find(band.grid)) for name, band in source.bands.items()}
    )


def _overview(band: Band, factor: int) -> Band:
    """Return a band with the grid of an overview: the same extent with fewer pixels."""
    if factor == 1:
        return band
    rows, columns = band.grid.shape
    shape = ceil(rows / factor), ceil(columns / factor)
    grid = _stretched(band.grid, (rows / shape[0], columns / shape[1]), shape)
    return replace(band, grid=grid, stored=band.grid.shape)


# Request and roles


def _plain(request: NdviRequest, *, thinned: bool) -> NdviRequest:
    """Return the request with nearest resampling, without weights and optional layers; minimum 1 if `thinned`."""
    min_clear = 1 if thinned else request.min_clear
    plain = replace(request, weight="observation", months=False, std=False, reasons=False)
    return replace(plain, resampling="nearest", min_clear=min_clear)


def _with_filters(plan: NdviPlan, factors: _Factors) -> dict[str, Roles]:
    """Return the roles with mask filters in pixels of the overviews, by the first scene of each product."""
    firsts = {source.product: source for source in reversed(plan.sources)}
    roles = dict(plan.roles)
    for product, source in firsts.items():
        mask = roles[product].mask
        if mask is not None:
            roles[product] = _scaled(roles[product], mask, factors.find(source.bands[mask.measurement].grid))
    return roles


def _scaled(role: Roles, mask: MaskRole, factor: int) -> Roles:
    filters = tuple(
        (bits, value, opening // factor, ceil(dilation / factor)) for bits, value, opening, dilation in mask.filters
    )
    return replace(role, mask=replace(mask, filters=filters))
