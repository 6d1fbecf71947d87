"""Opening the files of scenes with GDAL: which formats, by which names, and with which options."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import rasterio
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader

from compute.addresses import exists, gdal_name, is_local, without_secrets
from compute.scenes import Band
from compute.settings import load_settings

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
"""Look for side-car files by name. A GeoTIFF has none, and looking takes a request for each by HTTP."""

_AFRESH: Mapping[str, Any] = {
    "CPL_VSIL_CURL_USE_HEAD": False,
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/",
}
"""Forget what a server has answered, and ask with GET: an address may be signed for that alone."""

_LOGGERS = ("rasterio._env", "rasterio._err", "rasterio._io", "rasterio._base")
"""Who writes GDAL's own words, with names and addresses in them, to the log."""

_ONE_AT_A_TIME = threading.Lock()
"""Held while a layer of a file is read: HDF5, which both drivers for these share, is not made for several threads."""


@contextmanager
def opened(band: Band, *, afresh: bool = False, georeferenced: bool = False) -> Iterator[DatasetReader]:
    """Open the file of a band, with GDAL's options in force while it is open.

    Parameters
    ----------
    band : Band
        Where it is stored.
    afresh : bool
        Whether to forget what a server answered before: GDAL takes an error for its last word.
    georeferenced : bool
        Whether to ask the file where it lies. Documents say so, and to have PROJ look it up takes twice as long.

    Raises
    ------
    rasterio.errors.RasterioError, OSError, ValueError, RuntimeError
        It cannot be opened, or not be read meanwhile.
    """
    _silence()
    names = _names(band)
    options = {**GDAL_OPTIONS, **(_AFRESH if afresh else {})}
    if band.layer:
        with _ONE_AT_A_TIME, rasterio.Env(**options), _first_opened(names, georeferenced) as file:
            yield file
    else:
        with rasterio.Env(**options), _first_opened(names, georeferenced) as file:
            yield file


def _names(band: Band) -> list[str]:
    """Return the names under which GDAL may know what a band is stored in, the likeliest first."""
    name = gdal_name(band.uri)
    if not band.layer:
        return [name]
    file = name if is_local(band.uri) or name.startswith("/vsi") else f"/vsicurl/{name}"
    return [f'NETCDF:"{file}":{band.layer}', f'HDF5:"{file}"://{band.layer.lstrip("/")}']


def _first_opened(names: list[str], georeferenced: bool) -> DatasetReader:
    """Open the first name that is a raster, and look for side-car files where none is without them."""
    has_tags = exists(f"{names[0]}.aux.xml")
    # PAM: the tags of a GeoTIFF that lie beside it count, too.
    options = {} if georeferenced else {"GEOREF_SOURCES": "PAM" if has_tags else "NONE"}
    ways = [_WITH_SIDE_CARS] if has_tags else [{}, _WITH_SIDE_CARS]
    *others, last = [(way, name) for way in ways for name in names]
    for way, name in others:
        with suppress(_UnknownError):
            return _open(name, way, options)
    return _open(last[1], last[0], options)


class _UnknownError(OSError):
    """GDAL has found no raster: perhaps there is one by another name, or with side-car files."""


def _open(name: str, way: Mapping[str, Any], options: Mapping[str, Any]) -> DatasetReader:
    try:
        with rasterio.Env(**way):
            return _open_with_credentials(name, **options)
    except RasterioIOError as error:
        if any(words in str(error) for words in ("not recognized", "No such file or directory")):
            raise _UnknownError(str(error)) from error
        raise


@ensure_env_with_credentials  # type: ignore[untyped-decorator]  # rasterio has no types here
def _open_with_credentials(name: str, **options: Any) -> DatasetReader:
    # Not `rasterio.open` (1.4), which takes one driver or all: among all are some that read whatever a file names.
    return DatasetReader(name, driver=list(allowed_drivers()), sharing=False, **options)


@lru_cache(maxsize=1)
def allowed_drivers() -> tuple[str, ...]:
    """Return the GDAL drivers that may open files of scenes, as this process's environment says."""
    return load_settings().drivers


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
