"""Principals of requests: the user of the login, or the one anonymous principal where there is no login."""

from __future__ import annotations

from tornado.web import RequestHandler

from compute.jobs import ANONYMOUS, Principal

USER = "greenup_user"
"""Name of the user in the token of a page, by which its websocket is known to be the same user's."""


class ForbiddenError(Exception):
    """Nobody is logged in where a login is demanded."""


def principal_of(handler: RequestHandler) -> Principal:
    """Return the principal of a request.

    Parameters
    ----------
    handler : tornado.web.RequestHandler
        Of any request, websockets included.

    Raises
    ------
    ForbiddenError
        Nobody is logged in, and somebody must be.
    """
    provider = getattr(handler.application, "auth_provider", None)
    get_user = getattr(provider, "get_user", None)
    if get_user is None:
        return ANONYMOUS
    user = get_user(handler)
    if user is None:
        raise ForbiddenError
    name = user.decode() if isinstance(user, bytes) else str(user)
    return Principal(name=name, scope=name)
