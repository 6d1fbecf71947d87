"""Principal of a request, as the gate has determined it."""

from __future__ import annotations

from typing import Any

from compute.jobs import Principal

USER = "greenup_user"
"""Key of the user's scope in the token of a page, by which the websocket verifies that it belongs to the same user."""


class ForbiddenError(Exception):
    """A request has no principal although a login is required."""


def get_principal(request: Any) -> Principal:
    """Return the principal of a request.

    Parameters
    ----------
    request : tornado.httputil.HTTPServerRequest
        Request of any route or websocket, or the copy of it that Bokeh keeps.

    Raises
    ------
    ForbiddenError
        Nobody is logged in, and the server requires a login.
    """
    principal = getattr(request.connection.context, "principal", None)
    if not isinstance(principal, Principal):
        raise ForbiddenError
    return principal
