"""Windows of the files that scenes are stored in."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import rasterio
from numpy.typing import NDArray

from compute.scenes import Band
from compute.warp import Window

GDAL_OPTIONS: Mapping[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_CACHEMAX": 2**20,
    "VSI_CACHE": True,
    "VSI_CACHE_SIZE": 1_000_000,
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.TIF,.TIFF",
    "GDAL_HTTP_CONNECTTIMEOUT": 5,
    "GDAL_HTTP_TIMEOUT": 20,
    "GDAL_HTTP_MAX_RETRY": 2,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": True,
    "GDAL_INGESTED_BYTES_AT_OPEN": 32_768,
}
"""Look for no side-car files; keep 1 MB of unpacked tiles (in bytes here), as windows are read once and more only takes
memory, and 1 MB of each file that is read by HTTP; ask for nothing but GeoTIFFs; hold a thread for a minute at most,
connecting, waiting and trying again taken together; get the header of a file in one request and neighbouring tiles in
another."""

_TRIES, _TRIES_HERE = 3, 2
"""How often a file is tried, and how often one of this machine's file system, where little heals by itself."""

_WAIT_S = 0.2

_FAILURES = (rasterio.errors.RasterioError, OSError, ValueError, RuntimeError)
"""What opening and reading raise for files that are missing, cut short or garbled."""


class ReadError(Exception):
    """A file cannot be read; names no file, as this travels to people."""


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


def gdal_name(uri: str) -> str:
    """Return what GDAL opens: the path of a ``file://`` address, any other address as it is."""
    parts = urlparse(uri)
    return url2pathname(parts.path) if parts.scheme == "file" else uri


def is_local(uri: str) -> bool:
    """Tell whether an address is a path of this machine's file system."""
    return urlparse(uri).scheme in ("", "file")


def fetch_header(band: Band) -> None:
    """Open a file and close it: who opens it next finds its header with GDAL, and fails where this fails."""
    with rasterio.Env(**GDAL_OPTIONS), _opened(band):
        pass


def read_window(band: Band, window: Window) -> StoredWindow:
    """Read a window of one band in the file's own type, trying again where that fails: networks do.

    Parameters
    ----------
    band : Band
        Where it is stored.
    window : Window
        In pixels of the band's grid, within it.

    Returns
    -------
    StoredWindow
        (y, x) stored values, and what the file says of them.

    Raises
    ------
    ReadError
        It cannot be read, or is not the raster that the document describes.
    """
    tries = _TRIES_HERE if is_local(band.uri) else _TRIES
    for attempt in range(tries):
        try:
            with rasterio.Env(**GDAL_OPTIONS):
                return _read(band, window)
        except _FAILURES as error:
            reason = type(error).__name__
            time.sleep(_WAIT_S * 2**attempt if attempt + 1 < tries else 0.0)
    # Raised here, not there: GDAL's errors name files, and not every one can travel to the client as a cause.
    raise ReadError(reason)


def _read(band: Band, window: Window) -> StoredWindow:
    top, left, bottom, right = window
    with _opened(band) as file:
        if file.shape != (band.stored or band.grid.shape):
            raise ReadError("another size than its document says")
        # GDAL reads from the coarsest overview that is fine enough; a file without any is read pixel by pixel.
        rows, columns = (stored / seen for stored, seen in zip(file.shape, band.grid.shape, strict=True))
        values: NDArray[np.generic] = file.read(
            band.index,
            window=((top * rows, bottom * rows), (left * columns, right * columns)),
            out_shape=(bottom - top, right - left),
        )
        return _with_tags(values, file, band.index - 1)


def _with_tags(values: NDArray[np.generic], file: Any, position: int) -> StoredWindow:
    """Return values with the nodata, scale and offset that their file declares for a band."""
    scale, offset = float(file.scales[position]), float(file.offsets[position])
    declared = (scale, offset) != (1.0, 0.0)
    return StoredWindow(
        values=values,
        nodata=file.nodatavals[position],
        scale=scale if declared else None,
        offset=offset if declared else None,
    )


def _opened(band: Band) -> Any:
    """Open a file without asking where it lies: documents say so, and to have PROJ look it up takes twice as long."""
    expected = rasterio.errors.NotGeoreferencedWarning
    # For the whole process: what `warnings.catch_warnings` restores is not one thread's own.
    if not any(category is expected for _, _, category, _, _ in warnings.filters):
        warnings.filterwarnings("ignore", category=expected)
    return rasterio.open(gdal_name(band.uri), sharing=False, GEOREF_SOURCES="NONE")
