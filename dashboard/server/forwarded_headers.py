"""Host and protocol of a request behind a reverse proxy.

`dashboard.server.request_gate` removes ``X-Forwarded-*`` headers that do not come from a trusted proxy.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", re.ASCII)
"""Pattern of a host with an optional port."""


def read_forwarded_header(request: HTTPServerRequest, name: str, pattern: re.Pattern[str]) -> str:
    """Return the first value of a forwarded header, or an empty string if it does not match the pattern.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        Request that has passed the gate.
    name : str
        Name of the header, such as ``X-Forwarded-Host``.
    pattern : re.Pattern
        Pattern of valid values.
    """
    text = request.headers.get(name, "").partition(",")[0].strip().rstrip("/")
    return text if pattern.fullmatch(text) else ""


def find_request_host(request: HTTPServerRequest) -> str:
    """Return host and port as the browser sent them, or an empty string if they are not valid."""
    return read_forwarded_header(request, "X-Forwarded-Host", HOST) or (
        request.host if HOST.fullmatch(request.host) else ""
    )


def parse_origin_host(origin: str) -> str:
    """Return host and port of an ``Origin`` header in lower case, or an empty string if the header is not valid."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
