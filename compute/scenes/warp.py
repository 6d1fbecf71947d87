"""Warp geometry: control points between the pixels of a block and those of a scene.

PROJ places the nodes of a lattice of cells; everything between is interpolated. Cells lie on the whole output grid,
counted from the origin of its CRS, and source pixels are counted on their whole grid. So neither where a result begins,
nor how it is cut into blocks, nor which file a pixel is read from changes a bit.

A cell is at most `LATTICE_PX` output pixels and about a kilometre wide, and at least one pixel, whose corners and
centre are nodes. So at every output size, what is interpolated is within 1e-6 source pixels of 30 m of PROJ within 60
degrees of the equator, and within 1e-4 within 80.
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
from compute.kernels.resample.lattice import span_of
from compute.scenes import Grid
from compute.scenes.alignment import Alignment, alignment_of, file_window, shift_window, solve, split_origin
from compute.scenes.pixel_frames import SourceWindow

_LARGEST_BEND = 0.125
"""A cell whose centre is further from amid its corners than this share of its size is torn, as by the edge of a map."""

_CELL_M, _SOURCE_M = 1024.0, 30.0
"""A cell is at most so many metres wide where source pixels have this size: 32 pixels of up to an arc second. What is
interpolated departs from PROJ by the third power of the width, in metres; source pixels are what that counts in."""

_METRES_PER_RADIAN = 6_371_000.0

_SLAB_NODES = 2**18
"""So many nodes go through PROJ at once: it takes four copies of each."""

_MOST_TURNS = 2
"""A file that begins a turn west of where PROJ places a block, which itself spans a turn, is two turns away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpGeometry:
    """Places of a block's pixels among the pixels of a source alignment; a `compute.kernels.resample.Lattice`.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column, in absolute source pixels, of points half a cell apart; NaN where
        PROJ knows no place.
    lies : numpy.ndarray
        (m, n) bool: which cells lie anywhere.
    first : tuple of int
        Row and column of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    cell : int
        Output pixels along a cell.
    """

    nodes: NDArray[np.float64]
    lies: NDArray[np.bool_]
    first: tuple[int, int]
    shape: tuple[int, int]
    cell: int

    def __sizeof__(self) -> int:
        """Bytes of the arrays."""
        return self.nodes.nbytes + self.lies.nbytes

    def source_window(self, margin: int = 1) -> SourceWindow | None:
        """Return the window of absolute source pixels that the block needs, None where it lies nowhere.

        Parameters
        ----------
        margin : int
            Source pixels beyond the corners of the outer output pixels: 1 is enough for every resampling, as none
            reaches further than half a pixel.
        """
        span = span_of(self)
        if span is None:
            return None
        (top, left), (bottom, right) = span
        return SourceWindow((floor(top) - margin, floor(left) - margin, ceil(bottom) + margin, ceil(right) + margin))

    def reach(self) -> int:
        """Return how many source pixels around the one that its centre lies in a pixel of the block is made of.

        Half of a pixel's edges taken together, or the neighbours of its centre, and one for what is bent.
        """
        steps = [np.nan_to_num(np.abs(np.diff(self.nodes, axis=axis))).max((1, 2)) for axis in (1, 2)]
        return 2 + ceil(float((steps[0] + steps[1]).max()) / self.cell)


def warp_geometry(block: Grid, source: Grid, turn: int = 0) -> WarpGeometry:
    """Work out where the pixels of a block lie in a source: once for all files of an alignment, dates and bands.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    source : Grid
        Pixel grid of a file, of which only the alignment matters: keep the result by `alignment_of` of it.
    turn : int
        Turns of the globe by which the block is moved east in the source, see `find_turns`. At 0, the middle of the
        block lies where PROJ has it, and what is across the edge of the map continues beyond.

    Returns
    -------
    WarpGeometry
        In absolute pixels of the source's alignment, see `first_pixel`.

    Raises
    ------
    pyproj.exceptions.ProjError
        PROJ does not know a CRS, or no way from one to the other.
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

    Most often that is none, whether they meet or not. A file that ends at 180 degrees and one that begins there meet a
    block on either side at turns of their own; a file around the globe may meet it at two.

    Parameters
    ----------
    window : SourceWindow or None
        Absolute source pixels that the block needs at turn 0.
    source : Grid
        Pixel grid of the file.

    Returns
    -------
    tuple of int
        For `warp_geometry`, ascending: what lies furthest west in the file comes first.
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
    """Return a block in the CRS of a source, moved east by turns of the globe."""
    a, b, c, d, e, f = block.transform
    return replace(block, transform=(a, b, c + turn * turn_width(source.crs), d, e, f))


@lru_cache(maxsize=256)
def turn_width(crs: str) -> float:
    """Return what a turn around the globe adds to x in a CRS, 0 where that is not one number for all latitudes."""
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
    # All but the step over the edge of the map are alike.
    is_even = bool(np.isclose(steps % width, width / 24.0, rtol=1e-9).all())
    return width if is_even and np.ptp(x, 0).max() < width * 1e-9 else 0.0


def _cell_px(target: Alignment, source: Alignment) -> int:
    """Return how many output pixels wide a cell is: a function of the two pixel sizes alone, whatever the block."""
    widest = _CELL_M * (max(_pixel_m(source), _SOURCE_M) / _SOURCE_M) ** (1 / 3)
    return int(2 ** min(max(floor(log2(widest / _pixel_m(target))), 0), log2(LATTICE_PX)))


def _pixel_m(alignment: Alignment) -> float:
    """Return the longer edge of a pixel in metres, those of degrees as at the equator."""
    a, b, d, e = alignment.axes
    return max(hypot(a, d), hypot(b, e)) * _unit_m(alignment.crs)


@lru_cache(maxsize=256)
def _unit_m(crs: str) -> float:
    known = CRS(crs)
    return float(known.axis_info[0].unit_conversion_factor) * (_METRES_PER_RADIAN if known.is_geographic else 1.0)


def _place_nodes(
    target: Alignment, source: Alignment, rows: NDArray[np.float64], columns: NDArray[np.float64], turn: int
) -> NDArray[np.float64]:
    """Return (2, rows, columns) of absolute source pixels, continuous across the edge of the source's map."""
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
    """Return PROJ's way from the CRS of an output grid to that of a source.

    PROJ takes up to 0.2 s to find it, as long as a block takes to read; kept, it serves every thread, as pyproj gives
    each of them a PROJ of its own.
    """
    return Transformer.from_crs(target, source, always_xy=True)


def _nodes_along(first: int, pixels: int, unit: int, size: int) -> NDArray[np.float64]:
    """Return absolute places of the nodes around some pixels, counted from a border of units of whole cells."""
    return first * unit + np.arange(2.0 * ceil(pixels / unit) * (unit // size) + 1.0) * (size / 2)


def _lies(nodes: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Return which cells lie somewhere: all nodes are known, and the centre is about amid the corners."""
    rows, columns = (length - 2 for length in nodes.shape[1:])
    each = [nodes[:, a : rows + a : 2, b : columns + b : 2] for a in range(3) for b in range(3)]
    extent = (reduce(np.maximum, each) - reduce(np.minimum, each)).max(0)
    bend = np.abs((each[0] + each[2] + each[6] + each[8]) / 4.0 - each[4]).max(0)
    # What is not known is NaN, and not smaller than anything.
    lies: NDArray[np.bool_] = bend <= _LARGEST_BEND * extent
    if size == 1:
        # Of two pixels side by side neither lies where one does not, so that the corner between them is of no cell.
        lies = np.repeat(lies[:, ::2] & lies[:, 1::2], 2, axis=1)
    return lies
