"""Raster opening with GDAL: permitted formats, names and options."""

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
from compute.files.addresses import gdal_name, is_local, without_secrets
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
"""Look for no side-car files; keep 1 MB of unpacked tiles (in bytes here), as windows are read once and more only takes
memory, and 1 MB of each file that is read by HTTP; hold a thread for a minute at most, connecting, waiting and trying
again taken together; get the header of a file in one request and neighbouring tiles in another."""

_WITH_SIDE_CARS: Mapping[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
"""Look for side-car files by name, for formats that need them; looking takes a request for each by HTTP."""

_SIDE_CARS = tuple(
    spelling
    for ending in (
        *(".hdr", ".sta", ".aux.xml", ".aux", ".ovr", ".msk", ".wld", ".tfw", ".j2w", ".jpw", ".prj", ".tab", ".clr"),
        *(".imd", ".rpb", ".pvl", ".xml", ".gcp", "_rpc.txt", "_metadata.txt"),
    )
    for spelling in (ending, ending.upper())
)
"""Endings of files beside a raster that GDAL (3.10) opens for JPEG 2000 and ENVI, by its documentation of both."""

_MOST_OVERVIEWS = 32
"""Each halves the last, so no raster has more; each is opened to be looked at."""

_AFRESH: Mapping[str, Any] = {
    "CPL_VSIL_CURL_USE_HEAD": False,
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/",
}
"""Forget what a server has answered, and ask with GET: an address may be signed for that alone."""

_LOGGERS = ("rasterio._env", "rasterio._err", "rasterio._io", "rasterio._base")
"""Who writes GDAL's own words, with names and addresses in them, to the log."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a layer of a file is read: HDF5, which both drivers for these share, is not made for several threads."""


class RefusedError(OSError):
    """A file may not be opened, or not be read; its words end a sentence about the file, and hold the remedy."""


@contextmanager
def opened(band: Band, permit: Permit, *, afresh: bool = False, georeferenced: bool = False) -> Iterator[DatasetReader]:
    """Open the file of a band, with GDAL's options in force while it is open.

    Parameters
    ----------
    band : Band
        Where it is stored.
    permit : Permit
        What may be opened.
    afresh : bool
        Whether to forget what a server answered before: GDAL takes an error for its last word.
    georeferenced : bool
        Whether to ask the file where it lies. Documents say so, and to have PROJ look it up takes twice as long.

    Raises
    ------
    RefusedError
        The permit does not allow it.
    rasterio.errors.RasterioError, OSError, ValueError, RuntimeError
        It cannot be opened, or not be read meanwhile.
    """
    _silence()
    if refusal := permit.refusal(band.uri):
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
    """Refuse a file whose overviews must not be read: GDAL reads some where it needs fewer pixels than there are.

    Parameters
    ----------
    file : rasterio.io.DatasetReader
        Open.
    permit : Permit
        By which it was opened.

    Raises
    ------
    RefusedError
        Its metadata name another file, which GDAL would open whatever it is, or blocks of an overview are too large.
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
    """Refuse a file of which any pixel takes too much memory: GDAL unpacks whole blocks, of all bands in a pixel."""
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
    """Return the names under which GDAL may know what a band is stored in, the likeliest first."""
    name = gdal_name(band.uri)
    if not band.layer:
        return [name]
    if '"' in name + band.layer:
        raise RefusedError("has a quotation mark in its name or that of its layer, which GDAL takes for the end of it")
    file = name if is_local(band.uri) or name.startswith("/vsi") else f"/vsicurl/{name}"
    return [f'NETCDF:"{file}":{band.layer}', f'HDF5:"{file}"://{band.layer.lstrip("/")}']


def _first_opened(names: list[str], permit: Permit, georeferenced: bool) -> DatasetReader:
    """Open the first name that is a raster; with side-car files, where none is without them.

    A GeoTIFF never has any: what lies beside it may be of any format, and name further files.
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
    """Refuse a file beside which something lies that GDAL would open as well, and that may not be read itself."""
    if not name.startswith("/") or name.startswith("/vsi"):
        return
    folder, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0] or file
    for beside in {f"{start}{ending}" for start in (stem, file) for ending in _SIDE_CARS} - {file}:
        path = f"{folder}/{beside}"
        if os.path.lexists(path) and (why := permit.refusal(f"file://{quote(path)}")):
            raise RefusedError(f"has a file {beside} beside it that {why}")


class _UnknownError(OSError):
    """GDAL has found no raster: perhaps there is one by another name, or with side-car files."""


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
    # Not `rasterio.open` (1.4), which takes one driver or all: among all are some that read whatever a file names.
    return DatasetReader(name, driver=drivers, sharing=False, **options)


class _WithoutSecrets(logging.Filter):
    """Takes credentials and tokens out of addresses before they are logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_secrets(record.getMessage()), None
        return True


_CLEANING = _WithoutSecrets()


def _silence() -> None:
    """Keep off what is expected, and secrets, once in a process."""
    # For the whole process: what `warnings.catch_warnings` restores is not one thread's own.
    if not any(category is NotGeoreferencedWarning for _, _, category, _, _ in warnings.filters):
        warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_CLEANING)
