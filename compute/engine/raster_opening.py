"""Opening of raster files with GDAL: permitted formats and names, options, and size limits of blocks."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import quote

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader

from compute.files.access import Permit
from compute.files.addresses import gdal_name, is_local, remove_secrets
from compute.scenes import Band
from compute.settings import MIB

GDAL_OPTIONS: Mapping[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_CACHEMAX": 2**20,
    "VSI_CACHE": True,
    "VSI_CACHE_SIZE": 1_000_000,
    "GDAL_HTTP_CONNECTTIMEOUT": 5,
    "GDAL_HTTP_TIMEOUT": 20,
    "GDAL_HTTP_MAX_RETRY": 2,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": True,
    "GDAL_INGESTED_BYTES_AT_OPEN": 32_768,
}
"""GDAL options of every read: no search for side-car files; 1 MB of unpacked tiles (in bytes here), since windows are
read once; 1 MB for each file that is read by HTTP; at most a minute for connecting, waiting and retrying together; one
request for the header of a file and one for neighbouring tiles. https://gdal.org/en/stable/user/configoptions.html"""

_WITH_SIDE_CARS: Mapping[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
"""Options of formats that need side-car files: look for each by its name, which takes one request each by HTTP."""

_SIDE_CARS = tuple(
    spelling
    for ending in (
        *(".hdr", ".sta", ".aux.xml", ".aux", ".ovr", ".msk", ".wld", ".tfw", ".j2w", ".jpw", ".prj", ".tab", ".clr"),
        *(".imd", ".rpb", ".pvl", ".xml", ".gcp", "_rpc.txt", "_metadata.txt"),
    )
    for spelling in (ending, ending.upper())
)
"""Suffixes of files beside a raster that GDAL 3.10 opens for JPEG 2000 and ENVI, from its documentation of both
drivers: https://gdal.org/en/stable/drivers/raster/jp2openjpeg.html and envi.html."""

_MOST_OVERVIEWS = 32
"""Largest number of overviews; each is at most half as large as the one before, and each is opened for a check."""

_AFRESH: Mapping[str, Any] = {
    "CPL_VSIL_CURL_USE_HEAD": False,
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/",
}
"""Options of a retry: ignore cached answers of servers, and use GET, since an address may be signed for GET only."""

_LOGGERS = ("rasterio._env", "rasterio._err", "rasterio._io", "rasterio._base")
"""Loggers that receive GDAL's messages, which contain file names and addresses."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a layer of a netCDF or HDF5 file is read: the HDF5 library of both drivers is not thread-safe."""


class RefusedError(OSError):
    """A file may not be opened or read. The message ends a sentence about the file and names the remedy."""


@contextmanager
def open_raster(
    band: Band, permit: Permit, *, afresh: bool = False, georeferenced: bool = False
) -> Iterator[DatasetReader]:
    """Open the file of a band, under GDAL's options while it is open.

    Parameters
    ----------
    band : Band
        Address, layer and band number.
    permit : Permit
        Rules by which files may be opened.
    afresh : bool
        Whether to ignore cached answers of servers, in which GDAL also keeps errors.
    georeferenced : bool
        Whether to read CRS and transform from the file. Documents state them too, and PROJ doubles the time.

    Raises
    ------
    RefusedError
        The permit does not allow the file.
    rasterio.errors.RasterioError, OSError, ValueError, RuntimeError
        The file cannot be opened or read.
    """
    _silence()
    if refusal := permit.explain_refusal(band.uri):
        raise RefusedError(refusal)
    names = _names(band)
    options = {**GDAL_OPTIONS, **(_AFRESH if afresh else {})}
    with (
        _ONE_AT_A_TIME if band.layer else nullcontext(),
        rasterio.Env(**options),
        _first_opened(names, permit, georeferenced) as file,
    ):
        _refuse_blocks(file, permit)
        yield file


def refuse_overviews(file: DatasetReader, permit: Permit) -> None:
    """Refuse a file whose overviews may not be read; GDAL reads them when fewer pixels are requested than stored.

    Parameters
    ----------
    file : rasterio.io.DatasetReader
        The open file.
    permit : Permit
        Rules by which it was opened.

    Raises
    ------
    RefusedError
        Its metadata name another file as overviews, or there are too many, or their blocks are too large.
    """
    if file.tags(ns="OVERVIEWS"):
        raise RefusedError("names another file as its overviews")
    overviews = file.overviews(1)
    if len(overviews) > _MOST_OVERVIEWS:
        raise RefusedError(f"has {len(overviews)} overviews")
    for level in range(len(overviews)):
        with _open(
            file.name, {}, permit.access.drivers, {"OVERVIEW_LEVEL": level, "GEOREF_SOURCES": "NONE"}, permit
        ) as coarse:
            _refuse_blocks(coarse, permit)


def _refuse_blocks(file: DatasetReader, permit: Permit) -> None:
    """Refuse a file with too large blocks: GDAL unpacks whole blocks, with all bands if interleaved by pixel."""
    if not file.count:
        return
    together = file.count if file.interleaving == Interleaving.pixel else 1
    largest = max(
        rows * columns * np.dtype(kind).itemsize * together
        for (rows, columns), kind in set(zip(file.block_shapes, file.dtypes, strict=True))
    )
    if largest > permit.access.max_block_bytes:
        found, limit = (f"{nbytes / MIB:,.0f} MiB" for nbytes in (largest, permit.access.max_block_bytes))
        raise RefusedError(f"has tiles or strips of {found}, more than {limit} (GREENUP_MAX_BLOCK_MIB)")


def _names(band: Band) -> list[str]:
    """Return GDAL's possible names of the file or layer of a band, the likeliest first."""
    name = gdal_name(band.uri)
    if not band.layer:
        return [name]
    if '"' in name + band.layer:
        raise RefusedError("has a quotation mark in its name or that of its layer, which GDAL takes for the end of it")
    file = name if is_local(band.uri) or name.startswith("/vsi") else f"/vsicurl/{name}"
    return [f'NETCDF:"{file}":{band.layer}', f'HDF5:"{file}"://{band.layer.lstrip("/")}']


def _first_opened(names: list[str], permit: Permit, georeferenced: bool) -> DatasetReader:
    """Open the first name that is a raster, first without side-car files and then with them.

    GeoTIFFs are never opened with side-car files, which may have any format and name further files.
    """
    options = {} if georeferenced else {"GEOREF_SOURCES": "NONE"}
    drivers = permit.access.drivers
    ways: list[tuple[Mapping[str, Any], tuple[str, ...]]] = [({}, drivers)]
    if others := tuple(driver for driver in drivers if driver != "GTiff"):
        ways.append((_WITH_SIDE_CARS, others))
    *tries, last = [(name, way, drivers) for way, drivers in ways for name in names]
    for name, way, allowed in tries:
        with suppress(_UnknownError):
            return _open(name, way, allowed, options, permit)
    return _open(*last, options, permit)


def _refuse_side_cars(name: str, permit: Permit) -> None:
    """Refuse a file with a side-car file that GDAL would open although it may not be read."""
    if not name.startswith("/") or name.startswith("/vsi"):
        return
    folder, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0] or file
    for beside in {f"{start}{ending}" for start in (stem, file) for ending in _SIDE_CARS} - {file}:
        path = f"{folder}/{beside}"
        if os.path.lexists(path) and (why := permit.explain_refusal(f"file://{quote(path)}")):
            raise RefusedError(f"has a file {beside} beside it that {why}")


class _UnknownError(OSError):
    """GDAL has found no raster under this name with these options; others may succeed."""


def _open(
    name: str, way: Mapping[str, Any], drivers: Sequence[str], options: Mapping[str, Any], permit: Permit
) -> DatasetReader:
    if way is _WITH_SIDE_CARS:
        _refuse_side_cars(name, permit)
    try:
        with rasterio.Env(**way):
            return _open_with_credentials(name, list(drivers), **options)
    except RasterioIOError as error:
        if any(words in str(error) for words in ("not recognized", "No such file or directory")):
            raise _UnknownError(str(error)) from error
        raise


@ensure_env_with_credentials  # type: ignore[untyped-decorator]  # rasterio has no types here
def _open_with_credentials(name: str, drivers: list[str], **options: Any) -> DatasetReader:
    # Not `rasterio.open` (1.4), which accepts one driver or all: some drivers read any file that a raster names.
    return DatasetReader(name, driver=drivers, sharing=False, **options)


class _WithoutSecrets(logging.Filter):
    """Logging filter that removes credentials and tokens from addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = remove_secrets(record.getMessage()), None
        return True


_CLEANING = _WithoutSecrets()


def _silence() -> None:
    """Suppress an expected warning, and keep secrets out of the log, once in a process."""
    # For the whole process: `warnings.catch_warnings` is not thread-safe before Python 3.14.
    if not any(category is NotGeoreferencedWarning for _, _, category, _, _ in warnings.filters):
        warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_CLEANING)
