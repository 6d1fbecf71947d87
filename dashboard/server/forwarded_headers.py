"""Host and protocol of a request behind a proxy.

The gate lets the ``X-Forwarded-*`` headers of those proxies through that are believed, and of nobody else.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", re.ASCII)
"""A host, with or without a port."""


def forwarded(request: HTTPServerRequest, name: str, pattern: re.Pattern[str]) -> str:
    """Return what the first proxy says, nothing where it is not of the pattern.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        Past the gate.
    name : str
        Of the header.
    pattern : re.Pattern
        Of what can be used.
    """
    text = request.headers.get(name, "").partition(",")[0].strip().rstrip("/")
    return text if pattern.fullmatch(text) else ""


def host_of(request: HTTPServerRequest) -> str:
    """Return the host, with its port, that the browser asked; empty where nobody can tell."""
    return forwarded(request, "X-Forwarded-Host", HOST) or (request.host if HOST.fullmatch(request.host) else "")


def host_of_origin(origin: str) -> str:
    """Return host and port of an ``Origin`` header in lower case; empty where it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
