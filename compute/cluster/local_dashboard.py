"""Dask dashboard of a local cluster, which is served on demand on a private Unix socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from distributed import Scheduler
from distributed.http.routing import RoutingApplication
from distributed.node import HTTPServer  # type: ignore[attr-defined]  # Tornado's

_PATH_MAX = 103
"""Maximum length of a Unix socket path in bytes: 107 on Linux, 103 on macOS."""


class LocalScheduler(Scheduler):
    """Scheduler whose dashboard is served on demand on a Unix socket.

    `distributed.Scheduler` (2026.8) always serves its pages on a TCP port, which all users of this machine can read.
    """

    def start_http_server(self, routes: Sequence[Any], *_: Any, **__: Any) -> None:
        """Create the HTTP server without opening a port; `show_dashboard` opens its socket."""
        self.http_application = RoutingApplication(routes)
        server: Any = HTTPServer(self.http_application)
        server.port = 0  # Dask passes the port to Bokeh
        self.http_server = server
        self._socket: Path | None = None
        self._listening = ExitStack()
        self._listening.callback(self.http_server.stop)

    def show_dashboard(self, folder: Path) -> str:
        """Start the dashboard if necessary, and return its address.

        Parameters
        ----------
        folder : pathlib.Path
            Folder for the socket, private to this cluster and user.

        Returns
        -------
        str
            ``http+unix://`` followed by the percent-encoded path of the socket.
        """
        if self._socket is None:
            self._connect_pages()
            self._socket = self._socket_path(folder)
            self.http_server.add_socket(_listen(self._socket))
        return f"http+unix://{quote(str(self._socket), safe='')}"

    async def close(self, *args: Any, **options: Any) -> None:
        """Close the scheduler and its HTTP server."""
        self._listening.close()
        await super().close(*args, **options)

    def _connect_pages(self) -> None:
        from distributed.dashboard.scheduler import connect  # noqa: PLC0415  # imports Bokeh, which a computation does not need

        connect(self.http_application, self.http_server, self)
        for application in self.http_application.applications:
            _restore_handlers(application)

    def _socket_path(self, folder: Path) -> Path:
        """Return the path of the socket, in a temporary folder if the path in `folder` is too long."""
        path = folder / "dashboard"
        if len(os.fsencode(path)) <= _PATH_MAX:
            return path
        return Path(self._listening.enter_context(TemporaryDirectory(prefix="greenup-"))) / path.name


def _listen(path: Path) -> socket.socket:
    """Return a listening Unix socket, accessible to its user only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.setblocking(False)
    listener.listen()
    return listener


def _restore_handlers(application: Any) -> None:
    """Restore Bokeh's own request handlers in the routes of a Bokeh server.

    Importing Panel 1.9 replaces entries of `bokeh.server.urls.per_app_patterns` for the whole process
    (panel/io/server.py), and its handlers fail on some pages of the Dask dashboard. Remove this once Panel passes its
    handlers to its own server only.
    """
    for rule in application.wildcard_router.rules:
        ancestors = getattr(rule.target, "__mro__", ())
        rule.target = next((each for each in ancestors if each.__module__.startswith("bokeh.")), rule.target)
