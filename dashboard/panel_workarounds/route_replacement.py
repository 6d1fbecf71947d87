"""Handlers of Panel's and Bokeh's routes, replaced for one server."""

from __future__ import annotations

from collections.abc import Callable

from bokeh.server.server import Server
from tornado.web import RequestHandler

Handler = type[RequestHandler]


def replace_handlers(server: Server, replace: Callable[[Handler], Handler]) -> None:
    """Replace the handlers of the routes of a server.

    Panel 1.9 (``per_app_patterns`` in ``panel/io/server.py``) and Bokeh 3.9 (``bokeh/server/urls.py``) take their
    routes from lists that all servers of the process share, such as those of a notebook. This can go once
    ``get_server`` takes the handlers of a server.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Not started yet.
    replace : callable
        Returns the handler that takes the place of one, which may be the same.
    """
    for rule in server._tornado.wildcard_router.rules:
        rule.target = replace(rule.target)
