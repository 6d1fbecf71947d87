"""Allow-list of Panel's and Bokeh's routes, and their handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bokeh.server.server import Server
from bokeh.server.views.ico_handler import IcoHandler
from bokeh.server.views.multi_root_static_handler import MultiRootStaticHandler
from bokeh.server.views.static_handler import StaticHandler
from panel.io.server import ComponentResourceHandler, DocHandler, WSHandler
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from dashboard.map import NdviMap
from dashboard.panel_workarounds.route_replacement import replace_handlers
from dashboard.server.page import PRIVATE, IconHandler, PageHandler
from dashboard.server.page_socket import PageSocket

_KEPT = (StaticHandler, MultiRootStaticHandler)


class NothingHandler(RequestHandler):
    """Handler of disabled routes: 404 for every request."""

    def initialize(self, **_: Any) -> None:
        """Accept the arguments of any handler that is replaced."""

    def prepare(self) -> None:
        """Write 404 for every HTTP method."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        self.set_status(404)
        self.finish({"error": "There is nothing here."})


class BundleHandler(StaticFileHandler):
    """``/components/..``: script of the map, at the URL that Panel uses for it.

    Panel's handler would import any module that the URL names.
    """

    def initialize(self, *_: Any, **__: Any) -> None:
        """Serve files of the folder with the script of the map."""
        super().initialize(str(_bundle().parent))

    def parse_url_path(self, url_path: str) -> str:
        """Return the file name of the script of the map.

        Raises
        ------
        tornado.web.HTTPError
            404 for any other path.
        """
        if url_path != f"{NdviMap.__module__}/{NdviMap.__name__}/_bundle_path/{_bundle().name}":
            raise HTTPError(404)
        return _bundle().name


def _bundle() -> Path:
    return Path(str(NdviMap._bundle_path))


def take_over(server: Server) -> None:
    """Replace the handlers of page, websocket, map script and icon by Greenup's, and disable other routes of Panel.

    Static files keep their handlers.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Server with the settings ``content_policy`` and ``visits``, not started yet.
    """
    ours: dict[type[RequestHandler], type[RequestHandler]] = {
        DocHandler: PageHandler,
        IcoHandler: IconHandler,
        WSHandler: PageSocket,
        ComponentResourceHandler: BundleHandler,
    }

    def replace(handler: type[RequestHandler]) -> type[RequestHandler]:
        target = ours.get(handler, handler)
        is_ours = target.__module__.partition(".")[0] == "dashboard"
        return target if is_ours or target in _KEPT else NothingHandler

    replace_handlers(server, replace)
