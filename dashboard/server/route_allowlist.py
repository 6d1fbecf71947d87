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
    """Answers 404 to every request."""

    def initialize(self, **_: Any) -> None:
        """Take the place of a handler of any arguments."""

    def prepare(self) -> None:
        """Answer every method alike."""
        for name, value in PRIVATE.items():
            self.set_header(name, value)
        self.set_status(404)
        self.finish({"error": "There is nothing here."})


class BundleHandler(StaticFileHandler):
    """``/components/..``: the script of the map, by the one address that Panel gives it.

    Panel's own handler imports the module that the address names, whichever that is.
    """

    def initialize(self, *_: Any, **__: Any) -> None:
        """Serve from the folder of the map."""
        super().initialize(str(_bundle().parent))

    def parse_url_path(self, url_path: str) -> str:
        """Return the file of an address."""
        if url_path != f"{NdviMap.__module__}/{NdviMap.__name__}/_bundle_path/{_bundle().name}":
            raise HTTPError(404)
        return _bundle().name


def _bundle() -> Path:
    return Path(str(NdviMap._bundle_path))


def take_over(server: Server) -> None:
    """Serve the page, its websocket, script and icon with handlers of Greenup, and 404 for other routes of Panel.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Made with the settings ``content_policy`` and ``visits``, and not started yet.
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
