"""Reading of windows of raster files, with retries."""

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
"""Attempts to read a remote file and a local one, whose errors are seldom temporary."""

_WAIT_S, _WAIT_HERE_S = 0.5, 0.2
"""Seconds before the second attempt; doubled before the third."""

FAILURES = (rasterio.errors.RasterioError, OSError, ValueError, RuntimeError, IndexError)
"""Exceptions of opening and reading files that are missing, truncated or corrupt."""


class ReadError(Exception):
    """A file cannot be read.

    Parameters
    ----------
    reason : str
        Reason in words that end a sentence about the file, without its name, since people see it.
    band : Band
        Band whose file was read.
    """

    def __init__(self, reason: str, band: Band) -> None:
        super().__init__(reason, band)
        self.reason = reason
        self.band = band

    def __str__(self) -> str:
        """Return the reason alone."""
        return self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredWindow:
    """Window of one band with its stored values.

    Attributes
    ----------
    values : numpy.ndarray
        (y, x) stored values in the file's own type.
    nodata : float or None
        Nodata value that the file declares; None where it declares none.
    scale, offset : float or None
        Scaling that the file declares: physical value = stored value * scale + offset. None where it declares none,
        or 1 and 0, which GDAL reports in both cases.
    """

    values: NDArray[np.generic]
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None


def unread_scene(scene: Source, error: ReadError) -> UnreadScene:
    """Return the record of a scene that has an unreadable file, for people.

    Parameters
    ----------
    scene : Source
        Scene of the file.
    error : ReadError
        Error of one of its bands.
    """
    file = relative_name(error.band.uri, [band.uri for band in scene.bands.values()])
    return UnreadScene(scene=scene.id, file=file, reason=error.reason)


def fetch_header(band: Band, permit: Permit) -> None:
    """Open a file and close it, so that GDAL has its header, or its error, cached for the next opening.

    Parameters
    ----------
    band : Band
        Band whose file is opened.
    permit : Permit
        Rules by which files may be opened.
    """
    with open_raster(band, permit):
        pass


def read_window(band: Band, window: FileWindow, permit: Permit) -> StoredWindow:
    """Read a window of one band in the file's data type, with retries.

    Parameters
    ----------
    band : Band
        Band to read.
    window : FileWindow
        Within the band's grid.
    permit : Permit
        Rules by which files may be opened.

    Returns
    -------
    StoredWindow
        (y, x) stored values, with nodata, scale and offset of the file.

    Raises
    ------
    ReadError
        The file cannot be read, or is not the raster that its document describes.
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
    # Raised outside the handler: GDAL's errors name files, and some cannot be pickled as a cause.
    raise ReadError(reason, band)


def _read(band: Band, window: FileWindow, permit: Permit, *, afresh: bool) -> StoredWindow:
    top, left, bottom, right = window
    with open_raster(band, permit, afresh=afresh) as file:
        index = _index_in(file, band)
        _check_size(file, band)
        # GDAL reads from the coarsest overview that is fine enough; without overviews it skips pixels.
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
    """Return the number of a band in its file; a layer with several bands needs one in the document."""
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
    """Return values with nodata, scale and offset of a band from its file; a side-car file takes precedence."""
    scale = beside.scale if beside.scale is not None else float(file.scales[index - 1])
    offset = beside.offset if beside.offset is not None else float(file.offsets[index - 1])
    declared = (scale, offset) != (1.0, 0.0)
    return StoredWindow(
        values=values,
        nodata=file.nodatavals[index - 1] if beside.nodata is None else beside.nodata,
        scale=scale if declared else None,
        offset=offset if declared else None,
    )
