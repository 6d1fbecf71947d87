"""Open raster files with GDAL under access rules: permitted formats and names, options, and limits of block sizes."""

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
"""GDAL options for all reads (https://gdal.org/en/stable/user/configoptions.html).

Side-car files are not searched for. The block cache is limited to 1 MiB, since each window is read once; GDAL
interprets values of ``GDAL_CACHEMAX`` from 100,000 as bytes. Each remote file has a cache of 1 MB. A request and its
retries take about a minute at most. The header of a file is fetched in one request, as are adjacent tiles."""

_WITH_SIDE_CARS: Mapping[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
"""GDAL options for formats that need side-car files: GDAL tries each file name, in one HTTP request per name."""

_SIDE_CARS = tuple(
    spelling
    for ending in (
        *(".hdr", ".sta", ".aux.xml", ".aux", ".ovr", ".msk", ".wld", ".tfw", ".j2w", ".jpw", ".prj", ".tab", ".clr"),
        *(".imd", ".rpb", ".pvl", ".xml", ".gcp", "_rpc.txt", "_metadata.txt"),
    )
    for spelling in (ending, ending.upper())
)
"""Suffixes of the side-car files that GDAL 3.10 opens for JPEG 2000 and ENVI, from the documentation of both drivers:
https://gdal.org/en/stable/drivers/raster/jp2openjpeg.html and envi.html."""

_MOST_OVERVIEWS = 32
"""Maximum number of overviews of a file, since each one is opened for a check. Regular overviews halve the size at each
level, so no file needs more."""

_AFRESH: Mapping[str, Any] = {
    "CPL_VSIL_CURL_USE_HEAD": False,
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/",
}
"""GDAL options of a retry: bypass the cache of HTTP responses, and use GET, since a URL may be signed for GET only."""

_LOGGERS = ("rasterio._env", "rasterio._err", "rasterio._io", "rasterio._base")
"""rasterio's loggers of GDAL messages, which contain file names and addresses."""

_ONE_AT_A_TIME = threading.Lock()
"""Lock held while a netCDF or HDF5 file is open, because the HDF5 library of both drivers is not thread-safe."""


class RefusedError(OSError):
    """Error raised when a file may not be opened or read. The message is the predicate of a sentence about the file."""


@contextmanager
def open_raster(
    band: Band, permit: Permit, *, afresh: bool = False, georeferenced: bool = False
) -> Iterator[DatasetReader]:
    """Yield the open file of a band. `GDAL_OPTIONS` apply while it is open.

    Parameters
    ----------
    band : Band
        Address, layer and band number.
    permit : Permit
        Access rules.
    afresh : bool
        Bypass GDAL's cache of HTTP responses, which also holds errors.
    georeferenced : bool
        Read CRS and transform from the file. Not needed if they are taken from the dataset document, and it doubles
        the time to open a file.

    Yields
    ------
    rasterio.io.DatasetReader
        The open file or layer.

    Raises
    ------
    RefusedError
        The permit does not allow the file or one of its side-car files, its blocks are too large, or its name or that
        of its layer contains a quotation mark.
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
    """Raise an error if the overviews of a file may not be read.

    GDAL reads overviews if fewer pixels are requested than are stored.

    Parameters
    ----------
    file : rasterio.io.DatasetReader
        Open file.
    permit : Permit
        Access rules with which the file was opened.

    Raises
    ------
    RefusedError
        The metadata of the file name another file as its overviews, there are too many overviews, or their blocks are
        too large.
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
    """Raise an error for too large blocks: GDAL decodes whole blocks, of all bands if they are interleaved by pixel."""
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
    """Return the names by which GDAL may open the file or layer of a band, the most likely first."""
    name = gdal_name(band.uri)
    if not band.layer:
        return [name]
    if '"' in name + band.layer:
        raise RefusedError("has a quotation mark in its name or that of its layer, which GDAL takes for the end of it")
    file = name if is_local(band.uri) or name.startswith("/vsi") else f"/vsicurl/{name}"
    return [f'NETCDF:"{file}":{band.layer}', f'HDF5:"{file}"://{band.layer.lstrip("/")}']


def _first_opened(names: list[str], permit: Permit, georeferenced: bool) -> DatasetReader:
    """Open the first name that GDAL recognises as a raster: all names without side-car files, then all with them.

    GeoTIFFs are never opened with side-car files, which may have any format and refer to further files.
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
    """Raise `RefusedError` if a local file has a side-car file that the permit does not allow and GDAL would open."""
    if not name.startswith("/") or name.startswith("/vsi"):
        return
    folder, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0] or file
    for beside in {f"{start}{ending}" for start in (stem, file) for ending in _SIDE_CARS} - {file}:
        path = f"{folder}/{beside}"
        if os.path.lexists(path) and (why := permit.explain_refusal(f"file://{quote(path)}")):
            raise RefusedError(f"has a file {beside} beside it that {why}")


class _UnknownError(OSError):
    """Error raised when GDAL finds no raster under a name with some options; other names or options may succeed."""


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
    # `rasterio.open` (1.4) can only limit the drivers to one or allow all, and some drivers read any file to which a
    # raster refers.
    return DatasetReader(name, driver=drivers, sharing=False, **options)


class _WithoutSecrets(logging.Filter):
    """Logging filter that removes credentials and tokens from addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = remove_secrets(record.getMessage()), None
        return True


_CLEANING = _WithoutSecrets()


def _silence() -> None:
    """Suppress rasterio's NotGeoreferencedWarning and remove secrets from GDAL's log messages, in the whole process."""
    # Not with `warnings.catch_warnings`, which is not thread-safe before Python 3.14.
    if not any(category is NotGeoreferencedWarning for _, _, category, _, _ in warnings.filters):
        warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_CLEANING)
