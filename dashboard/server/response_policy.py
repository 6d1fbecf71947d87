"""Content security policies of pages, and the headers that keep any other answer from being one."""

from __future__ import annotations

import re
from collections.abc import Sequence

NO_DOCUMENT = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of an answer that is data: opened as a page, it runs nothing, loads nothing, and has no origin."""

PERMISSIONS = "camera=(), geolocation=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
"""Value of the header Permissions-Policy: devices that no page of ours asks for."""

_SCRIPT = re.compile(r"<script\b(.*?)</script\s*>", re.IGNORECASE | re.DOTALL)


def content_policy(
    *,
    images: Sequence[str] = (),
    frames: Sequence[str] = (),
    scripts: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> str:
    """Return the Content-Security-Policy of a page: what Panel needs, and nothing of another host.

    Parameters
    ----------
    images : sequence of str
        Sources of images besides this server, such as the host of an online basemap.
    frames : sequence of str
        Sources of pages that may show this one in a frame, besides those of its own host.
    scripts : sequence of str
        Sources of scripts besides this server's files and those that `admit` names.
    attributes : sequence of str
        Sources of event handlers in attributes; left out, there are none.

    Returns
    -------
    str
        Value of the header, for `admit` to complete.
    """
    directives = {
        "default-src": ("'self'",),
        # Panel imports its components from blobs.
        "script-src": ("'self'", "blob:", *scripts),
        "script-src-attr": attributes or ("'none'",),
        "style-src": ("'self'", "'unsafe-inline'"),
        "img-src": ("'self'", "data:", "blob:", *images),
        "font-src": ("'self'", "data:"),
        # Modules are fetched from the blobs.
        "connect-src": ("'self'", "blob:"),
        "frame-src": ("'none'",),
        "worker-src": ("'none'",),
        "manifest-src": ("'self'",),
        "object-src": ("'none'",),
        "base-uri": ("'self'",),
        "form-action": ("'self'",),
        "frame-ancestors": ("'self'", *frames),
    }
    return "; ".join(" ".join((name, *sources)) for name, sources in directives.items())


def admit(policy: str, *, nonce: str, host: str) -> str:
    """Return a policy for one answer, under which its own scripts run and its own websocket opens.

    Parameters
    ----------
    policy : str
        As `content_policy` returns it.
    nonce : str
        What `add_nonce` marks the scripts of the answer with.
    host : str
        Host, with its port, that the browser asked; empty where nobody knows.
    """
    # Safari before 15.4 does not take 'self' for a websocket of the same host.
    sockets = f" ws://{host} wss://{host}" if host else ""
    policy = policy.replace("script-src 'self'", f"script-src 'self' 'nonce-{nonce}'")
    return policy.replace("connect-src 'self'", f"connect-src 'self'{sockets}")


def add_nonce(page: str, nonce: str) -> str:
    """Return an HTML page whose scripts bear a nonce.

    Only scripts that stand in the page as it is answered: a word such as ``<script>`` within one of them, as in the
    document of a page, stays as it is.

    Parameters
    ----------
    page : str
        The HTML.
    nonce : str
        Unguessable, and of this answer alone.
    """
    return _SCRIPT.sub(rf'<script nonce="{nonce}"\1</script>', page)
