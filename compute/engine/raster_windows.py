"""Raster windows: reading parts of the files of scenes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from compute.engine.aux_xml import TagsBeside, tags_beside
from compute.engine.raster_opening import opened, refuse_overviews
from compute.engine.read_errors import is_final, reason_of
from compute.files.access import Permit
from compute.files.addresses import is_local, name_among
from compute.scenes import Band, Source, UnreadScene
from compute.scenes.pixel_frames import FileWindow

_TRIES, _TRIES_HERE = 3, 2
"""How often a file is tried, and how often one of this machine's file system, where little heals by itself."""

_WAIT_S, _WAIT_HERE_S = 0.5, 0.2
"""Before the second try; twice that before the third."""

FAILURES = (rasterio.errors.RasterioError, OSError, ValueError, RuntimeError, IndexError)
"""What opening and reading raise for files that are missing, cut short or garbled."""


class ReadError(Exception):
    """A file cannot be read.

    Parameters
    ----------
    reason : str
        In plain words that end a sentence about the file; they name none, as this travels to people.
    band : Band
        What was read.
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
    """A window of one band as its file stores it.

    Attributes
    ----------
    values : numpy.ndarray
        (y, x) stored values in the file's own type.
    nodata : float or None
        Value that the file declares to be no data, None where it declares none.
    scale, offset : float or None
        What the file declares to make physical values of stored ones, None where it declares nothing: GDAL says 1 and
        0 then, so a declared 1 and 0 is None as well.
    """

    values: NDArray[np.generic]
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None


def unread_scene(scene: Source, error: ReadError) -> UnreadScene:
    """Return what to tell people of a scene one of whose files cannot be read."""
    file = name_among(error.band.uri, [band.uri for band in scene.bands.values()])
    return UnreadScene(scene=scene.id, file=file, reason=error.reason)


def fetch_header(band: Band, permit: Permit) -> None:
    """Open a file and close it: who opens it next finds its header with GDAL, and fails where this fails."""
    with opened(band, permit):
        pass


def read_window(band: Band, window: FileWindow, permit: Permit) -> StoredWindow:
    """Read a window of one band in the file's own type, trying again where that fails: networks do.

    Parameters
    ----------
    band : Band
        Where it is stored.
    window : FileWindow
        Within the band's grid.
    permit : Permit
        What may be opened.

    Returns
    -------
    StoredWindow
        (y, x) stored values, and what the file says of them.

    Raises
    ------
    ReadError
        It cannot be read, or is not the raster that the document describes.
    """
    tries, wait_s = (_TRIES_HERE, _WAIT_HERE_S) if is_local(band.uri) else (_TRIES, _WAIT_S)
    for attempt in range(tries):
        try:
            return _read(band, window, permit, afresh=attempt > 0)
        except FAILURES as error:
            reason, last = reason_of(error, band, permit), attempt + 1 == tries or is_final(error, band)
        if last:
            break
        time.sleep(wait_s * 2**attempt)
    # Raised here, not there: GDAL's errors name files, and not every one can travel to the client as a cause.
    raise ReadError(reason, band)


def _read(band: Band, window: FileWindow, permit: Permit, *, afresh: bool) -> StoredWindow:
    top, left, bottom, right = window
    with opened(band, permit, afresh=afresh) as file:
        index = _index_in(file, band)
        _check_size(file, band)
        # GDAL reads from the coarsest overview that is fine enough; a file without any is read pixel by pixel.
        rows, columns = (stored / seen for stored, seen in zip(file.shape, band.grid.shape, strict=True))
        if rows > 1 or columns > 1:
            refuse_overviews(file, permit)
        values: NDArray[np.generic] = file.read(
            index,
            window=((top * rows, bottom * rows), (left * columns, right * columns)),
            out_shape=(bottom - top, right - left),
        )
        return _with_tags(values, file, index, tags_beside(band.uri, index))


def _index_in(file: Any, band: Band) -> int:
    """Return the number of a band in its file; a layer of several needs one."""
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


def _with_tags(values: NDArray[np.generic], file: Any, index: int, beside: TagsBeside) -> StoredWindow:
    """Return values with the nodata, scale and offset that their file, or one beside it, declares for a band."""
    scale = beside.scale if beside.scale is not None else float(file.scales[index - 1])
    offset = beside.offset if beside.offset is not None else float(file.offsets[index - 1])
    declared = (scale, offset) != (1.0, 0.0)
    return StoredWindow(
        values=values,
        nodata=file.nodatavals[index - 1] if beside.nodata is None else beside.nodata,
        scale=scale if declared else None,
        offset=offset if declared else None,
    )
