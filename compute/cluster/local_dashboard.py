"""Dask's dashboard of a local cluster: on a Unix socket of its user's own, once it is wanted."""

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
"""Longest path of a Unix socket in bytes: 107 on Linux, 103 on macOS."""


class LocalScheduler(Scheduler):
    """A scheduler whose pages are served on a Unix socket, and not before somebody wants to see them.

    Dask's own opens a port for them in any case, to all users of this machine, and they show what is computed there.
    """

    def start_http_server(self, routes: Sequence[Any], *_: Any, **__: Any) -> None:
        """Keep the routes until `show_dashboard` is called."""
        self.http_application = RoutingApplication(routes)
        server: Any = HTTPServer(self.http_application)
        server.port = 0  # which Dask tells Bokeh
        self.http_server = server
        self._socket: Path | None = None
        self._listening = ExitStack()
        self._listening.callback(self.http_server.stop)

    def show_dashboard(self, folder: Path) -> str:
        """Return where the dashboard answers; its pages are made when it is first wanted, as few ever do.

        Parameters
        ----------
        folder : pathlib.Path
            For the socket: of this cluster alone, and closed to other users.

        Returns
        -------
        str
            ``http+unix://`` and the percent-encoded path of the socket.
        """
        if self._socket is None:
            self._connect_pages()
            self._socket = self._socket_in(folder)
            self.http_server.add_socket(_listen(self._socket))
        return f"http+unix://{quote(str(self._socket), safe='')}"

    async def close(self, *args: Any, **options: Any) -> None:
        """Close the scheduler, and what its pages listen on."""
        self._listening.close()
        await super().close(*args, **options)

    def _connect_pages(self) -> None:
        from distributed.dashboard.scheduler import connect  # noqa: PLC0415  # Bokeh, which a computation does without

        connect(self.http_application, self.http_server, self)
        for application in self.http_application.applications:
            _restore_handlers(application)

    def _socket_in(self, folder: Path) -> Path:
        """Return the path of the socket, in another private folder where this one's is too long."""
        path = folder / "dashboard"
        if len(os.fsencode(path)) <= _PATH_MAX:
            return path
        return Path(self._listening.enter_context(TemporaryDirectory(prefix="greenup-"))) / path.name


def _listen(path: Path) -> socket.socket:
    """Return a socket that listens at a path, in a folder that only its user may enter."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.setblocking(False)
    listener.listen()
    return listener


def _restore_handlers(application: Any) -> None:
    """Have a Bokeh server answer with Bokeh's own handlers.

    Panel, where it is in the process, puts its own in their place for all servers, and they break some of Dask's pages.
    """
    for rule in application.wildcard_router.rules:
        ancestors = getattr(rule.target, "__mro__", ())
        rule.target = next((each for each in ancestors if each.__module__.startswith("bokeh.")), rule.target)
