"""Warp geometry: positions of the pixels of a block in the pixel grid of a scene, from a lattice of control points.

PROJ transforms the nodes of a lattice of cells, and positions between the nodes are interpolated, as in GDAL's
approximate transformer (``gdalwarp -et``). Cells are counted from the origin of the output CRS, and source pixels from
the origin of the source CRS. Positions are therefore identical to the last bit for every extent of a result, every
chunk size, and every file of an alignment.

A cell is at least one output pixel wide. Otherwise, its width is limited to `LATTICE_PX` output pixels and to about a
kilometre (more for source pixels above 30 m). Its nodes are its corners, edge centres and centre. The interpolation
error is below 1e-6 source pixels of 30 m within 60 degrees of the equator, and below 1e-4 within 80 degrees, for all
output pixel sizes.
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
"""Maximum distance between the centre of a cell and the mean of its corners, relative to the cell's extent. A cell with
a larger distance is discontinuous (*torn*), such as a cell across the edge of a map."""

_CELL_M, _SOURCE_M = 1024.0, 30.0
"""Maximum width of a cell for source pixels of 30 m, and that pixel size, in metres. 1024 m is about 32 pixels of one
arc second. For larger source pixels the width grows with the cube root of their size, because the interpolation error
grows with the third power of the width and is measured in source pixels."""

_METRES_PER_RADIAN = 6_371_000.0

_SLAB_NODES = 2**18
"""Approximate number of nodes per call of PROJ, which limits memory: PROJ makes four copies of the coordinates."""

_MOST_TURNS = 2
"""Maximum number of turns around the globe: a file may begin one turn west of a block that spans a turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpGeometry:
    """Positions of a block's pixels in a source alignment. Implements `compute.kernels.resample.Lattice`.

    Attributes
    ----------
    nodes : numpy.ndarray
        (2, 2 m + 1, 2 n + 1) float64 row and column of the nodes, in absolute source pixels. Nodes are half a cell
        apart. NaN for nodes that PROJ cannot transform.
    lies : numpy.ndarray
        (m, n) bool: True for cells that have a position in the source.
    first : tuple of int
        (row, column) of the block's first pixel within the first cell, in output pixels.
    shape : tuple of int
        (rows, columns) of the block.
    cell : int
        Edge length of a cell in output pixels.
    """

    nodes: NDArray[np.float64]
    lies: NDArray[np.bool_]
    first: tuple[int, int]
    shape: tuple[int, int]
    cell: int

    def __sizeof__(self) -> int:
        """Return the size of the arrays in bytes."""
        return self.nodes.nbytes + self.lies.nbytes

    def source_window(self, margin: int = 1) -> SourceWindow | None:
        """Return the window of absolute source pixels that the block needs.

        Parameters
        ----------
        margin : int
            Number of source pixels by which the bounds of the block are widened on each side. 1 suffices for all
            resampling methods, which use source pixels up to half a pixel outside the block.

        Returns
        -------
        SourceWindow or None
            The window; None if no pixel of the block has a position in the source.
        """
        span = lattice_span(self)
        if span is None:
            return None
        (top, left), (bottom, right) = span
        return SourceWindow((floor(top) - margin, floor(left) - margin, ceil(bottom) + margin, ceil(right) + margin))

    def reach(self) -> int:
        """Return the radius, in source pixels, of the neighbourhood from which an output pixel is computed.

        An output pixel extends from its centre by at most half the sum of its two edges, and depends on the neighbours
        of its centre in any case. One pixel is added for the curvature of the projection.
        """
        steps = [np.nan_to_num(np.abs(np.diff(self.nodes, axis=axis))).max((1, 2)) for axis in (1, 2)]
        return 2 + ceil(float((steps[0] + steps[1]).max()) / self.cell)


def warp_geometry(block: Grid, source: Grid, turn: int = 0) -> WarpGeometry:
    """Compute the positions of a block's pixels in a source alignment, for all files of the alignment.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    source : Grid
        Pixel grid of a file. Only its alignment matters, so results can be cached by `alignment_of(source)`.
    turn : int
        Number of full turns around the globe by which the block is moved east in the source; see `find_turns`. With 0,
        the centre of the block has the position computed by PROJ, and the positions of parts beyond the edge of the map
        continue across the edge.

    Returns
    -------
    WarpGeometry
        Positions in absolute pixels of the source's alignment.

    Raises
    ------
    pyproj.exceptions.ProjError
        A CRS is invalid, or PROJ has no transformation between the two.
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
    """Return the numbers of turns around the globe by which a block is moved east to overlap a file.

    Usually this is 0 alone, whether or not the block overlaps the file. A block across the 180th meridian overlaps the
    files on both sides at different turns, and may overlap a file that spans the globe at two turns.

    Parameters
    ----------
    window : SourceWindow or None
        Window that the block needs at turn 0; None if the block has no position in the source.
    source : Grid
        Pixel grid of the file.

    Returns
    -------
    tuple of int
        Values of `turn` for `warp_geometry`, ascending, so that the westernmost part of the file comes first.
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
    """Return the grid of a block, moved east by a number of turns around the globe.

    Parameters
    ----------
    block : Grid
        Pixel grid of the block.
    source : Grid
        Pixel grid of the source, in the CRS of the block.
    turn : int
        Number of turns; negative to the west.
    """
    a, b, c, d, e, f = block.transform
    return replace(block, transform=(a, b, c + turn * turn_width(source.crs), d, e, f))


@lru_cache(maxsize=256)
def turn_width(crs: str) -> float:
    """Return the change of x in a CRS for a turn around the globe; 0 if x is not linear in longitude alone."""
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
    # All steps are equal, except the step across the edge of the map.
    is_even = bool(np.isclose(steps % width, width / 24.0, rtol=1e-9).all())
    return width if is_even and np.ptp(x, 0).max() < width * 1e-9 else 0.0


def _cell_px(target: Alignment, source: Alignment) -> int:
    """Return the edge length of a cell in output pixels. It depends only on the pixel sizes, so all blocks agree."""
    widest = _CELL_M * (max(_pixel_m(source), _SOURCE_M) / _SOURCE_M) ** (1 / 3)
    return int(2 ** min(max(floor(log2(widest / _pixel_m(target))), 0), log2(LATTICE_PX)))


def _pixel_m(alignment: Alignment) -> float:
    """Return the length of the longer edge of a pixel in metres; degrees are converted as at the equator."""
    a, b, d, e = alignment.axes
    return max(hypot(a, d), hypot(b, e)) * _unit_m(alignment.crs)


@lru_cache(maxsize=256)
def _unit_m(crs: str) -> float:
    known = CRS(crs)
    return float(known.axis_info[0].unit_conversion_factor) * (_METRES_PER_RADIAN if known.is_geographic else 1.0)


def _place_nodes(
    target: Alignment, source: Alignment, rows: NDArray[np.float64], columns: NDArray[np.float64], turn: int
) -> NDArray[np.float64]:
    """Return (2, rows, columns) nodes in absolute source pixels, continuous across the edge of the map."""
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
    """Return the transformer from the CRS of an output grid to the CRS of a source.

    Transformers are cached, because creating one takes up to 0.2 s, as long as reading a block. They are thread-safe:
    pyproj uses a separate PROJ context in each thread.

    Parameters
    ----------
    target : str
        CRS of the output grid.
    source : str
        CRS of the source.
    """
    return Transformer.from_crs(target, source, always_xy=True)


def _nodes_along(first: int, pixels: int, unit: int, size: int) -> NDArray[np.float64]:
    """Return (n,) float64 positions, in output pixels, of the nodes of the cells that cover a span of pixels."""
    return first * unit + np.arange(2.0 * ceil(pixels / unit) * (unit // size) + 1.0) * (size / 2)


def _lies(nodes: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Return (m, n) bool: cells whose nodes are all finite and that are not torn (see `_LARGEST_BEND`)."""
    rows, columns = (length - 2 for length in nodes.shape[1:])
    each = [nodes[:, a : rows + a : 2, b : columns + b : 2] for a in range(3) for b in range(3)]
    extent = (reduce(np.maximum, each) - reduce(np.minimum, each)).max(0)
    bend = np.abs((each[0] + each[2] + each[6] + each[8]) / 4.0 - each[4]).max(0)
    # Comparisons with NaN are False.
    lies: NDArray[np.bool_] = bend <= _LARGEST_BEND * extent
    if size == 1:
        # If one of two adjacent cells is torn, both are dropped, because they share the corners between them.
        lies = np.repeat(lies[:, ::2] & lies[:, 1::2], 2, axis=1)
    return lies
