"""Read windows of raster files, with retries."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from compute.engine.aux_xml import AuxTags, read_aux_tags
from compute.engine.raster_opening import open_raster, refuse_overviews
from compute.engine.read_errors import describe_read_error, is_permanent
from compute.files.access import Permit
from compute.files.addresses import is_local, relative_name
from compute.scenes import Band, Source, UnreadScene
from compute.scenes.pixel_frames import FileWindow

_TRIES, _TRIES_HERE = 3, 2
"""Maximum number of attempts to read a remote and a local file. Errors of local files are seldom temporary."""

_WAIT_S, _WAIT_HERE_S = 0.5, 0.2
"""Seconds before the second attempt at a remote and a local file; doubled before the third."""

FAILURES = (rasterio.errors.RasterioError, OSError, ValueError, RuntimeError, IndexError)
"""Exceptions raised when missing, truncated or corrupt files are opened or read."""


class ReadError(Exception):
    """Error raised when a file cannot be read.

    Parameters
    ----------
    reason : str
        Predicate of a sentence about the file, for users, without its address.
    band : Band
        Band whose file was read.
    """

    def __init__(self, reason: str, band: Band) -> None:
        super().__init__(reason, band)
        self.reason = reason
        self.band = band

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredWindow:
    """Stored values of a window of one band, with the tags of the file.

    Attributes
    ----------
    values : numpy.ndarray
        (y, x) stored values in the dtype of the file.
    nodata : float or None
        Nodata value declared by the file; None if not declared.
    scale, offset : float or None
        Scaling declared by the file: a physical value is ``stored * scale + offset``. Both are None for 1 and 0, which
        GDAL also reports for files that declare no scaling.
    """

    values: NDArray[np.generic]
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None


def unread_scene(scene: Source, error: ReadError) -> UnreadScene:
    """Return the record of a scene with an unreadable file.

    Parameters
    ----------
    scene : Source
        Scene to which the file belongs.
    error : ReadError
        Error raised for one of its bands.
    """
    file = relative_name(error.band.uri, [band.uri for band in scene.bands.values()])
    return UnreadScene(scene=scene.id, file=file, reason=error.reason)


def fetch_header(band: Band, permit: Permit) -> None:
    """Open and close a file, so that GDAL caches its header, or an error, for the next time it is opened.

    Parameters
    ----------
    band : Band
        Band whose file is opened.
    permit : Permit
        Access rules.

    Raises
    ------
    RefusedError, rasterio.errors.RasterioError, OSError, ValueError, RuntimeError
        As in `open_raster`.
    """
    with open_raster(band, permit):
        pass


def read_window(band: Band, window: FileWindow, permit: Permit) -> StoredWindow:
    """Read a window of one band in the dtype of its file, with retries.

    Parameters
    ----------
    band : Band
        Band to read.
    window : FileWindow
        Window inside the band's grid.
    permit : Permit
        Access rules.

    Returns
    -------
    StoredWindow
        Stored values, with nodata, scale and offset of the file.

    Raises
    ------
    ReadError
        The file cannot be read, or its size or bands differ from the scene's document.
    """
    tries, wait_s = (_TRIES_HERE, _WAIT_HERE_S) if is_local(band.uri) else (_TRIES, _WAIT_S)
    for attempt in range(tries):
        try:
            return _read(band, window, permit, afresh=attempt > 0)
        except FAILURES as error:
            reason, last = describe_read_error(error, band, permit), attempt + 1 == tries or is_permanent(error, band)
        if last:
            break
        time.sleep(wait_s * 2**attempt)
    # Not raised in the handler: the cause would contain file names, and some GDAL errors cannot be pickled.
    raise ReadError(reason, band)


def _read(band: Band, window: FileWindow, permit: Permit, *, afresh: bool) -> StoredWindow:
    top, left, bottom, right = window
    with open_raster(band, permit, afresh=afresh) as file:
        index = _index_in(file, band)
        _check_size(file, band)
        # For a coarser grid, GDAL reads the coarsest overview that is fine enough; without overviews it skips pixels.
        rows, columns = (stored / seen for stored, seen in zip(file.shape, band.grid.shape, strict=True))
        if rows > 1 or columns > 1:
            refuse_overviews(file, permit)
        values: NDArray[np.generic] = file.read(
            index,
            window=((top * rows, bottom * rows), (left * columns, right * columns)),
            out_shape=(bottom - top, right - left),
        )
        return _with_tags(values, file, index, read_aux_tags(band.uri, index))


def _index_in(file: Any, band: Band) -> int:
    """Return the number of a band in the open file; raise `ReadError` if it is missing or ambiguous."""
    if not file.count:
        raise ReadError("has several layers, and its document names none", band)
    if band.index > file.count:
        raise ReadError(f"has {file.count} bands where its document says {band.index}", band)
    if band.index == 0 and file.count > 1:
        raise ReadError(f"has {file.count} bands in the layer {band.layer!r}, and its document names none", band)
    return max(band.index, 1)


def _check_size(file: Any, band: Band) -> None:
    expected = band.stored or band.grid.shape
    if file.shape != expected:
        (rows, columns), (as_rows, as_columns) = file.shape, expected
        raise ReadError(f"has {rows} x {columns} pixels where its document says {as_rows} x {as_columns}", band)


def _with_tags(values: NDArray[np.generic], file: Any, index: int, beside: AuxTags) -> StoredWindow:
    """Return values with nodata, scale and offset of the file; those of a side-car file take precedence."""
    scale = beside.scale if beside.scale is not None else float(file.scales[index - 1])
    offset = beside.offset if beside.offset is not None else float(file.offsets[index - 1])
    declared = (scale, offset) != (1.0, 0.0)
    return StoredWindow(
        values=values,
        nodata=file.nodatavals[index - 1] if beside.nodata is None else beside.nodata,
        scale=scale if declared else None,
        offset=offset if declared else None,
    )
