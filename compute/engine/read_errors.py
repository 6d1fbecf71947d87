"""Translate read errors to plain messages, because GDAL's messages contain paths, addresses and tokens."""

from __future__ import annotations

import os
import re
from pathlib import Path

from compute.engine.raster_opening import RefusedError
from compute.files.access import Permit
from compute.files.addresses import existing_path, is_local, path_exists
from compute.scenes import Band

DAMAGED = "is damaged"
UNKNOWN = "cannot be read"

_HTTP_CODE = re.compile(r"HTTP response code(?: on [^:]*)?: (\d{3})")

_GONE = (404, 410)

_SAYINGS: tuple[tuple[str, str], ...] = (
    (r"does not exist in the file system|No such file|NoSuchKey|NoSuchBucket|specified key does not", "does not exist"),
    (r"Could not resolve host", "lies on a server whose name is not known"),
    (r"[Tt]imed out|[Tt]imeout", "lies on a server that does not answer in time"),
    (r"Failed to connect|Could not connect|Connection refused|CURL error", "lies on a server that cannot be reached"),
    (r"AWS_|credential|InvalidAccessKeyId|SignatureDoesNotMatch", "cannot be read with the workers' credentials"),
    (r"Access ?Denied|Permission denied|Forbidden", "may not be read by the workers"),
    (r"band index|[Ii]llegal band|no band", "lacks the band that its document names"),
    (r"Read failed|IReadBlock|decod|[Cc]orrupt|[Tt]runcat|checksum|TIFF|JPEG|libtiff|ZIP", DAMAGED),
)
"""Pairs of a pattern and the meaning of the GDAL messages that match it; the first match applies."""


def describe_read_error(error: BaseException, band: Band, permit: Permit) -> str:
    """Return the reason why the file of a band cannot be read.

    Parameters
    ----------
    error : BaseException
        Exception of opening or reading the file.
    band : Band
        Band that was read.
    permit : Permit
        Access rules with which the file was opened.

    Returns
    -------
    str
        Predicate of a sentence about the file, such as ``"does not exist"``.
    """
    if isinstance(error, RefusedError):
        return str(error)
    words = f"{error} {error.__cause__ or ''}"
    code = http_status_of(error)
    if code in _GONE:
        return f"does not exist (the server answered {code})"
    if code:
        return f"cannot be read: the server answered {code}"
    return _reason_here(band) or _reason_in(words, band, permit)


def http_status_of(error: BaseException) -> int:
    """Return the HTTP status code in the message of an error, 0 if it contains none."""
    found = _HTTP_CODE.search(str(error))
    return int(found[1]) if found else 0


def is_permanent(error: BaseException, band: Band) -> bool:
    """Return whether a retry cannot succeed.

    True if a server responded with 404 or 410, a local file is not a raster, or the file lacks the band or is refused.

    Parameters
    ----------
    error : BaseException
        Exception of opening or reading the file.
    band : Band
        Band that was read.
    """
    here = is_local(band.uri) and "not recognized" in str(error)
    return http_status_of(error) in _GONE or here or isinstance(error, IndexError | RefusedError)


def _reason_here(band: Band) -> str:
    """Return the fault that the file system shows for a local file; empty if there is none or the file is remote."""
    path = existing_path(band.uri) if is_local(band.uri) else None
    if path is None or path.lower().startswith("/vsi"):
        return ""
    if not path_exists(path):
        return "does not exist"
    if Path(path).is_dir():
        return "is a folder"
    if not os.access(path, os.R_OK):
        return "may not be read by the workers"
    return "" if Path(path).stat().st_size else "is empty"


def _reason_in(words: str, band: Band, permit: Permit) -> str:
    if "not recognized" in words and "does not exist" not in words:
        drivers = ", ".join(permit.access.drivers)
        return f"is no raster of a format that may be read ({drivers}); GREENUP_RASTER_DRIVERS lists them"
    if band.layer and "No such file" in words:
        return f"has no layer {band.layer!r}"
    return next((meaning for pattern, meaning in _SAYINGS if re.search(pattern, words)), UNKNOWN)
