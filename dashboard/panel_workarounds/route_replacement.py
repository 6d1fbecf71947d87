"""Replace the handlers of Panel's and Bokeh's routes in one server."""

from __future__ import annotations

from collections.abc import Callable

from bokeh.server.server import Server
from tornado.web import RequestHandler

Handler = type[RequestHandler]


def replace_handlers(server: Server, replace: Callable[[Handler], Handler]) -> None:
    """Replace the handlers of the routes of a server.

    Panel 1.9 (``per_app_patterns`` in ``panel/io/server.py``) and Bokeh 3.9 (``bokeh/server/urls.py``) read their
    routes from lists that all servers of the process share, including other servers of a notebook. This can be removed
    once ``get_server`` accepts the handlers of a server.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Server that has not been started.
    replace : callable
        Called with each handler class; returns its replacement, which may be the same class.
    """
    for rule in server._tornado.wildcard_router.rules:
        rule.target = replace(rule.target)
