"""Content security policies of pages, and headers of responses that are not pages."""

from __future__ import annotations

import re
from collections.abc import Sequence

NO_DOCUMENT = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of a response that is data. A browser that opens it as a page runs no scripts and loads no files for it."""

PERMISSIONS = "camera=(), geolocation=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
"""Value of the header Permissions-Policy, which disables device features that Greenup does not use."""

_SCRIPT = re.compile(r"<script\b(.*?)</script\s*>", re.IGNORECASE | re.DOTALL)


def build_content_policy(
    *,
    images: Sequence[str] = (),
    frames: Sequence[str] = (),
    scripts: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> str:
    """Return the Content-Security-Policy of a page, which allows the sources that Panel needs, from this server only.

    See Content Security Policy Level 3, https://www.w3.org/TR/CSP3/.

    Parameters
    ----------
    images : sequence of str
        Sources of images besides this server, such as the host of an online basemap.
    frames : sequence of str
        Origins that may embed the page in a frame, besides its own.
    scripts : sequence of str
        Sources of scripts besides this server's files and those that `complete_content_policy` adds.
    attributes : sequence of str
        Sources of inline event handlers; none by default.

    Returns
    -------
    str
        Value of the header, for `complete_content_policy`.
    """
    directives = {
        "default-src": ("'self'",),
        # Panel imports its components from blob URLs.
        "script-src": ("'self'", "blob:", *scripts),
        "script-src-attr": attributes or ("'none'",),
        "style-src": ("'self'", "'unsafe-inline'"),
        "img-src": ("'self'", "data:", "blob:", *images),
        "font-src": ("'self'", "data:"),
        # Modules are fetched from blob URLs.
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


def complete_content_policy(policy: str, *, nonce: str, host: str) -> str:
    """Return the policy of one response, which also allows its scripts by nonce and its websocket by host.

    Parameters
    ----------
    policy : str
        Policy from `build_content_policy`.
    nonce : str
        Nonce that `add_nonce` adds to the scripts of the response.
    host : str
        Host and port as the browser sent them; empty if unknown.
    """
    # Safari before 15.4 does not match 'self' with a websocket of the same host.
    sockets = f" ws://{host} wss://{host}" if host else ""
    policy = policy.replace("script-src 'self'", f"script-src 'self' 'nonce-{nonce}'")
    return policy.replace("connect-src 'self'", f"connect-src 'self'{sockets}")


def add_nonce(page: str, nonce: str) -> str:
    """Return an HTML page with a nonce added to its script elements.

    Only script elements of the page are changed, not text such as ``<script>`` inside a script.

    Parameters
    ----------
    page : str
        HTML.
    nonce : str
        Unguessable value, used for one response.
    """
    return _SCRIPT.sub(rf'<script nonce="{nonce}"\1</script>', page)
