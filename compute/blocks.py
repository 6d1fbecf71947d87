"""What one task does: read the scenes of one season of one spatial chunk, date by date, and return sum and count.

A task never holds a time stack: its memory is the block's sum and count and the bands of one date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from datacube.storage import reproject_and_fuse
from datacube.storage._rio import RasterioDataSource
from distributed import Worker, WorkerPlugin, get_worker
from numpy.typing import NDArray

from compute import kernels
from compute.errors import JobCancelledError, JobError
from compute.levels import Level, build_levels
from compute.products import BandRole, MaskRole, Roles
from compute.scenes import Band, Grid, Source

_FILL = {"i": 0, "u": 0, "f": np.nan}
"""What stands outside a scene whose band has no nodata, by kind of type; as in datacube."""

GDAL_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 64, "VSI_CACHE": True}
"""Look for no side-car files, keep GDAL's cache at 64 MB a worker, and cache what HTTP reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockTask:
    """Everything that the task of one block, or of a part of its dates, needs.

    Attributes
    ----------
    run : str
        Name under which the work can be cancelled.
    grid : Grid
        Pixel grid of the block.
    groups : tuple of tuple of Source
        For each (product, platform, solar day) group its scenes, in the order in which they win a pixel.
    roles : mapping of str to Roles
        By product.
    resampling : str
        How red and nir are warped; the mask is always taken from the nearest pixel.
    polygon : bytes or None
        WKB in the grid's CRS: pixels whose centre lies outside are never observed.
    """

    run: str
    grid: Grid
    groups: tuple[tuple[Source, ...], ...]
    roles: Mapping[str, Roles]
    resampling: str
    polygon: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """Sum and count of a block.

    Attributes
    ----------
    total : numpy.ndarray
        (y, x) int64, in units of 2**-32 NDVI.
    count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    """

    total: NDArray[np.int64]
    count: NDArray[np.uint16]

    def __sizeof__(self) -> int:
        """Bytes of the arrays, by which Dask weighs what it spills and moves."""
        return self.total.nbytes + self.count.nbytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One finished season of one spatial chunk.

    Attributes
    ----------
    ndvi_mean : numpy.ndarray
        (y, x) float32 NDVI, NaN where never clear.
    clear_count : numpy.ndarray
        (y, x) uint16 numbers of observations.
    levels : tuple of Level
        Overviews: level k at index k - 1.
    """

    ndvi_mean: NDArray[np.float32]
    clear_count: NDArray[np.uint16]
    levels: tuple[Level, ...]

    def __sizeof__(self) -> int:
        """Bytes of the arrays, by which Dask weighs what it spills and moves."""
        return self.ndvi_mean.nbytes + self.clear_count.nbytes + sum(level.nbytes for level in self.levels)


class CancelFlags(WorkerPlugin):
    """Remembers, on one worker, which runs were cancelled, so that running tasks can stop between two reads."""

    name = "greenup-cancel-flags"
    idempotent = True

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  # the signature that distributed calls
        """Start with no run cancelled; called by distributed on each worker."""
        self.cancelled: set[str] = set()


def cancel_on_worker(run: str, dask_worker: Worker) -> None:
    """Make the tasks of a run stop on a worker; to be sent there by `distributed.Client.run`."""
    flags = dask_worker.plugins.get(CancelFlags.name)
    if isinstance(flags, CancelFlags):
        flags.cancelled.add(run)


def running_on_worker(run: str, dask_worker: Worker) -> int:
    """Return how many tasks of a run are in execution on a worker, cancelled ones included."""
    keys = (task.key for task in dask_worker.state.executing)
    return sum(isinstance(key, tuple) and str(key[0]).endswith(run) for key in keys)


def compute_block(task: BlockTask, min_clear: int, levels: int) -> Block:
    """Compute a block whose dates are few enough for one task; see `sum_part` and `finish`."""
    return finish(sum_part(task), min_clear, levels)


def join_parts(parts: Sequence[Sums], min_clear: int, levels: int) -> Block:
    """Add the parts of a block and finish it. Integer sums make the order of parts irrelevant.

    Parameters
    ----------
    parts : sequence of Sums
        At least one, all of one shape.
    min_clear : int
        Fewest observations that make a mean.
    levels : int
        How many levels the result has.
    """
    total, count = parts[0].total.copy(), parts[0].count.copy()
    for part in parts[1:]:
        total += part.total
        count += part.count
    return finish(Sums(total=total, count=count), min_clear, levels)


def finish(sums: Sums, min_clear: int, levels: int) -> Block:
    """Divide the sums of a block by its counts, and build its levels: here, since a task of their own would only wait.

    Parameters
    ----------
    sums : Sums
        Of all dates of the block.
    min_clear : int
        Fewest observations that make a mean.
    levels : int
        How many levels the result has.
    """
    ndvi_mean = kernels.mean(sums.total, sums.count, min_clear=min_clear)
    return Block(ndvi_mean=ndvi_mean, clear_count=sums.count, levels=build_levels(ndvi_mean, sums.count, levels))


def sum_part(task: BlockTask) -> Sums:
    """Read the groups of a task one after another and add up their observations.

    Parameters
    ----------
    task : BlockTask
        Grid, scenes and roles.

    Returns
    -------
    Sums
        Over the block's grid.

    Raises
    ------
    JobCancelledError
        The run was cancelled meanwhile; looked at before every read.
    JobError
        A scene cannot be read.
    """
    sums = Sums(total=np.zeros(task.grid.shape, np.int64), count=np.zeros(task.grid.shape, np.uint16))
    tables = {product: roles.mask.table() for product, roles in task.roles.items()}
    inside = _inside(task.polygon, task.grid)
    with rasterio.Env(**GDAL_OPTIONS):
        for group in task.groups:
            product = group[0].product
            _add_group(task, group, task.roles[product], tables[product], inside, sums)
    return sums


def _add_group(
    task: BlockTask,
    group: Sequence[Source],
    roles: Roles,
    table: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    sums: Sums,
) -> None:
    """Read the mask first: where nothing is clear, the bands need not be read."""
    mask = _read(task, group, roles.mask, "nearest")
    clear = table[mask.view(f"u{mask.dtype.itemsize}")] & inside
    if not clear.any():
        return
    red = _read(task, group, roles.red, task.resampling)
    nir = _read(task, group, roles.nir, task.resampling)
    kernels.accumulate(red, nir, clear, roles.bands, sums.total, sums.count)


def _inside(polygon: bytes | None, grid: Grid) -> NDArray[np.bool_]:
    """Return which pixel centres lie inside the polygon; a shape that broadcasts where there is none."""
    if polygon is None:
        return np.ones((1, 1), bool)
    geometry = shapely.from_wkb(polygon)
    if geometry.is_empty:
        return np.zeros((1, 1), bool)
    inside: NDArray[np.bool_] = rasterio.features.geometry_mask(
        [geometry], grid.shape, Affine(*grid.transform), invert=True
    )
    return inside


def _read(task: BlockTask, group: Sequence[Source], role: BandRole | MaskRole, resampling: str) -> NDArray[np.generic]:
    """Read one measurement of a group with datacube's own reading: warp every scene, then fuse by its rule."""
    raise_if_cancelled(task.run)
    nodata = np.dtype(role.dtype).type(_FILL[np.dtype(role.dtype).kind] if role.nodata is None else role.nodata)
    fused = np.empty(task.grid.shape, role.dtype)
    sources = [_BandSource(scene.bands[role.measurement], nodata) for scene in group]
    try:
        return reproject_and_fuse(sources, fused, task.grid.geobox, nodata, resampling=resampling)
    except (rasterio.errors.RasterioError, OSError, ValueError, RuntimeError) as error:
        reason = type(error).__name__
    # Raised here, not there: GDAL's errors name files, and not every one can travel to the client as a cause.
    names = ", ".join(scene.id for scene in group)
    raise JobError(f"The {role.measurement} of scene {names} cannot be read ({reason}); check its file and run again.")


class _BandSource(RasterioDataSource):
    """A band of a scene record as datacube's reading wants it, without the index's documents."""

    def __init__(self, band: Band, nodata: np.generic) -> None:
        super().__init__(_gdal_name(band.uri), nodata=nodata)
        self._index = band.index

    def get_bandnumber(self, src: object) -> int:  # noqa: ARG002  # datacube's signature
        return self._index


def _gdal_name(uri: str) -> str:
    """Return what GDAL opens: the path of a ``file://`` address, any other address as it is."""
    parts = urlparse(uri)
    return url2pathname(parts.path) if parts.scheme == "file" else uri


def raise_if_cancelled(run: str) -> None:
    """Stop here when the run was cancelled on this worker; outside a worker nothing is ever cancelled.

    Raises
    ------
    JobCancelledError
        The run was cancelled.
    """
    try:
        flags = get_worker().plugins.get(CancelFlags.name)
    except ValueError:
        return
    if isinstance(flags, CancelFlags) and run in flags.cancelled:
        raise JobCancelledError("The computation was cancelled.")


def warm_up() -> None:
    """Load and compile what the first block would otherwise wait for; run once on each worker."""
    values, clear = np.ones((1, 1), np.int16), np.ones((1, 1), bool)
    total, count = np.zeros((1, 1), np.int64), np.zeros((1, 1), np.uint16)
    kernels.accumulate(values, values, clear, np.ones((2, 5)), total, count)
    build_levels(kernels.mean(total, count), count, 2)
