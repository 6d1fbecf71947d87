"""Principals of requests, as the gate has found them out."""

from __future__ import annotations

from typing import Any

from compute.jobs import Principal

USER = "greenup_user"
"""Name of the user's scope in the token of a page, by which its websocket is known to be the same user's."""


class ForbiddenError(Exception):
    """Nobody is logged in where a login is demanded."""


def principal_of(request: Any) -> Principal:
    """Return the principal of a request.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        Of any route, websockets included, or Bokeh's stand-in for it.

    Raises
    ------
    ForbiddenError
        Nobody is logged in, and somebody must be.
    """
    principal = getattr(request.connection.context, "principal", None)
    if not isinstance(principal, Principal):
        raise ForbiddenError
    return principal
