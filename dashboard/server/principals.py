"""Principal of a request, as determined by `dashboard.server.request_gate`."""

from __future__ import annotations

from typing import Any

from compute.jobs import Principal

USER = "greenup_user"
"""Key of the user's scope in the token of a page. The websocket compares it with the scope of its own user."""


class ForbiddenError(Exception):
    """Error raised when a request has no principal although a login is required."""


def get_principal(request: Any) -> Principal:
    """Return the principal of a request.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        Request of any route or websocket, or the copy of it that Bokeh keeps.

    Raises
    ------
    ForbiddenError
        The server requires a login, and the request has none.
    """
    principal = getattr(request.connection.context, "principal", None)
    if not isinstance(principal, Principal):
        raise ForbiddenError
    return principal
