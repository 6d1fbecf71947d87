"""Warp geometry: control points between the pixels of a block and those of a scene.

PROJ transforms the nodes of a lattice of cells, and positions between them are interpolated, as in GDAL's approximate
transformer (``gdalwarp -et``). Cells are counted from the origin of the output CRS, and source pixels from the
origin of the source CRS. So the extent of a result, its chunks, and the file that a pixel is read from change no bit.

A cell is at least one output pixel and at most `LATTICE_PX` pixels and about a kilometre wide. Its corners, edge
centres and centre are nodes. The error of the interpolation is below 1e-6 source pixels of 30 m within 60 degrees of
the equator, and below 1e-4 within 80 degrees, at every output size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from math import ceil, floor, hypot, log2

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from compute.kernels.resample import LATTICE_PX
from compute.kernels.resample.lattice import lattice_span
from compute.scenes import Grid
from compute.scenes.alignment import Alignment, alignment_of, file_window, shift_window, solve, split_origin
from compute.scenes.pixel_frames import SourceWindow

_LARGEST_BEND = 0.125
"""Largest distance between the centre of a cell and the mean of its corners, as a share of the cell's size. Beyond, the
cell is torn, as by the edge of a map."""

_CELL_M, _SOURCE_M = 1024.0, 30.0
"""Largest width of a cell and size of source pixels for which it holds, in metres: 32 pixels of an arc second. The
interpolation error grows with the third power of the width, and counts in source pixels."""

_METRES_PER_RADIAN = 6_371_000.0

_SLAB_NODES = 2**18
"""Number of nodes in one call of PROJ, which makes four copies of each."""

_MOST_TURNS = 2
"""Largest number of turns: a file may begin one turn west of a block that itself spans a turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpGeometry:
    """Positions of a block's pixels in a source alignment; implements `compute.kernels.resample.Lattice`.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column, in absolute source pixels, of points half a cell apart; NaN where
        PROJ has no position.
    lies : numpy.ndarray
        (m, n) bool: cells that have a position in the source.
    first : tuple of int
        (row, column) of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    cell : int
        Edge of a cell in output pixels.
    """

    nodes: NDArray[np.float64]
    lies: NDArray[np.bool_]
    first: tuple[int, int]
    shape: tuple[int, int]
    cell: int

    def __sizeof__(self) -> int:
        """Return the bytes of the arrays."""
        return self.nodes.nbytes + self.lies.nbytes

    def source_window(self, margin: int = 1) -> SourceWindow | None:
        """Return the window of absolute source pixels that the block needs, None where it has no position.

        Parameters
        ----------
        margin : int
            Source pixels to add on every side of the corners of the outer output pixels. 1 suffices for every
            resampling, as none reaches further than half a pixel.
        """
        span = lattice_span(self)
        if span is None:
            return None
        (top, left), (bottom, right) = span
        return SourceWindow((floor(top) - margin, floor(left) - margin, ceil(bottom) + margin, ceil(right) + margin))

    def reach(self) -> int:
        """Return the number of source pixels around the one at its centre that an output pixel depends on.

        An output pixel reaches half of its two edges taken together, or to the neighbours of its centre; one pixel is
        added for curvature.
        """
        steps = [np.nan_to_num(np.abs(np.diff(self.nodes, axis=axis))).max((1, 2)) for axis in (1, 2)]
        return 2 + ceil(float((steps[0] + steps[1]).max()) / self.cell)


def warp_geometry(block: Grid, source: Grid, turn: int = 0) -> WarpGeometry:
    """Compute the positions of a block's pixels in a source alignment, for all files, dates and bands of it.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    source : Grid
        Pixel grid of a file; only its alignment matters, so cache the result by `alignment_of(source)`.
    turn : int
        Turns of the globe by which the block is moved east in the source, see `find_turns`. At 0 the centre of the
        block lies where PROJ places it, and parts across the edge of the map continue beyond the edge.

    Returns
    -------
    WarpGeometry
        In absolute pixels of the source's alignment, see `first_pixel`.

    Raises
    ------
    pyproj.exceptions.ProjError
        PROJ does not know a CRS, or no transformation between both.
    """
    target, start = split_origin(block)
    alignment = alignment_of(source)
    size = _cell_px(target, alignment)
    unit = max(size, 2)
    (top, down), (left, along) = (divmod(place, unit) for place in start)
    rows = _nodes_along(top, down + block.shape[0], unit, size)
    columns = _nodes_along(left, along + block.shape[1], unit, size)
    nodes = _place_nodes(target, alignment, rows, columns, turn)
    return WarpGeometry(nodes=nodes, lies=_lies(nodes, size), first=(down, along), shape=block.shape, cell=size)


def find_turns(window: SourceWindow | None, source: Grid) -> tuple[int, ...]:
    """Return the turns of the globe by which a block must be moved to meet a file.

    Usually this is 0 alone, whether they meet or not. A block across 180 degrees meets the files on both sides at
    different turns, and may meet a file around the globe at two.

    Parameters
    ----------
    window : SourceWindow or None
        Window that the block needs at turn 0.
    source : Grid
        Pixel grid of the file.

    Returns
    -------
    tuple of int
        Values for `warp_geometry`, ascending: the westernmost part of the file comes first.
    """
    width = turn_width(source.crs)
    if window is None or width == 0.0:
        return (0,)
    down, along = (round(step) for step in solve(alignment_of(source).axes, width, 0.0))
    found = tuple(
        turn
        for turn in range(-_MOST_TURNS, _MOST_TURNS + 1)
        if file_window(shift_window(window, turn * down, turn * along), source)
    )
    return found or (0,)


def shift_by_turns(block: Grid, source: Grid, turn: int) -> Grid:
    """Return a block that lies in the CRS of a source, moved east by a number of turns of the globe.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    source : Grid
        Pixel grid of the source, in the same CRS.
    turn : int
        Number of turns to the east.
    """
    a, b, c, d, e, f = block.transform
    return replace(block, transform=(a, b, c + turn * turn_width(source.crs), d, e, f))


@lru_cache(maxsize=256)
def turn_width(crs: str) -> float:
    """Return the change of x for a turn around the globe in a CRS, 0 where it depends on the latitude."""
    longitudes = np.arange(-180.0, 180.0, 15.0)
    try:
        transformer = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        x = np.stack([transformer.transform(longitudes, np.full(24, latitude))[0] for latitude in (-40.0, 0.0, 20.0)])
    except ProjError:
        return 0.0
    if not np.isfinite(x).all():
        return 0.0
    steps = np.diff(x, axis=1)
    width = float(np.median(steps)) * 24.0
    if width <= 0.0:
        return 0.0
    # All steps are alike but the one across the edge of the map.
    is_even = bool(np.isclose(steps % width, width / 24.0, rtol=1e-9).all())
    return width if is_even and np.ptp(x, 0).max() < width * 1e-9 else 0.0


def _cell_px(target: Alignment, source: Alignment) -> int:
    """Return the edge of a cell in output pixels, from the two pixel sizes alone, so that blocks agree."""
    widest = _CELL_M * (max(_pixel_m(source), _SOURCE_M) / _SOURCE_M) ** (1 / 3)
    return int(2 ** min(max(floor(log2(widest / _pixel_m(target))), 0), log2(LATTICE_PX)))


def _pixel_m(alignment: Alignment) -> float:
    """Return the longer edge of a pixel in metres; degrees are converted at the equator."""
    a, b, d, e = alignment.axes
    return max(hypot(a, d), hypot(b, e)) * _unit_m(alignment.crs)


@lru_cache(maxsize=256)
def _unit_m(crs: str) -> float:
    known = CRS(crs)
    return float(known.axis_info[0].unit_conversion_factor) * (_METRES_PER_RADIAN if known.is_geographic else 1.0)


def _place_nodes(
    target: Alignment, source: Alignment, rows: NDArray[np.float64], columns: NDArray[np.float64], turn: int
) -> NDArray[np.float64]:
    """Return (2, rows, columns) nodes in absolute source pixels, continuous across the edge of the source's map."""
    transformer, width = transformer_of(target.crs, source.crs), turn_width(source.crs)
    nodes = np.empty((2, rows.size, columns.size))
    middle = transformer.transform(*target.to_crs(rows[rows.size // 2], columns[columns.size // 2]))[0]
    step = max(1, _SLAB_NODES // columns.size)
    for first in range(0, rows.size, step):
        part = np.s_[first : first + step]
        x, y = transformer.transform(*target.to_crs(*np.meshgrid(rows[part], columns, indexing="ij")))
        known = np.isfinite(x) & np.isfinite(y)
        x, y = np.where(known, x, np.nan), np.where(known, y, np.nan)
        if width:
            x += (np.rint((middle - x) / width) + turn) * width if np.isfinite(middle) else turn * width
        nodes[:, part] = source.to_pixels(x, y)
    return nodes


@lru_cache(maxsize=16)
def transformer_of(target: str, source: str) -> Transformer:
    """Return the transformer from the CRS of an output grid to that of a source.

    It is cached since PROJ takes up to 0.2 s to find it, as long as a block takes to read. Threads may share it, as
    pyproj gives each thread a PROJ context of its own.

    Parameters
    ----------
    target : str
        CRS of the output grid.
    source : str
        CRS of the source.
    """
    return Transformer.from_crs(target, source, always_xy=True)


def _nodes_along(first: int, pixels: int, unit: int, size: int) -> NDArray[np.float64]:
    """Return (n,) float64 absolute positions of the nodes that enclose a number of pixels along an axis."""
    return first * unit + np.arange(2.0 * ceil(pixels / unit) * (unit // size) + 1.0) * (size / 2)


def _lies(nodes: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Return (m, n) bool: cells whose nodes all have positions, and which are not torn."""
    rows, columns = (length - 2 for length in nodes.shape[1:])
    each = [nodes[:, a : rows + a : 2, b : columns + b : 2] for a in range(3) for b in range(3)]
    extent = (reduce(np.maximum, each) - reduce(np.minimum, each)).max(0)
    bend = np.abs((each[0] + each[2] + each[6] + each[8]) / 4.0 - each[4]).max(0)
    # Comparisons with NaN are False.
    lies: NDArray[np.bool_] = bend <= _LARGEST_BEND * extent
    if size == 1:
        # Neither of two neighbours is kept where one is torn, as they share the corner between them.
        lies = np.repeat(lies[:, ::2] & lies[:, 1::2], 2, axis=1)
    return lies
