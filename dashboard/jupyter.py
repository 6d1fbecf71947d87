"""Greenup in JupyterHub's launcher: the entry point that jupyter-server-proxy finds when Jupyter starts.

It is loaded into the Jupyter server, so it imports nothing of the dashboard.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 120.0
"""Longest wait for the first page: a cold node imports for half a minute, and an embedded index may start as well."""


def setup_greenup() -> dict[str, Any]:
    """Return how jupyter-server-proxy starts and shows the dashboard, at ``{base_url}greenup/``.

    Returns
    -------
    dict
        As in its documentation of `server processes
        <https://jupyter-server-proxy.readthedocs.io/en/latest/server-process.html>`_.
    """
    return {
        "command": [
            # By its path, since a hub may start Jupyter without the environment's folder on PATH.
            str(Path(sysconfig.get_path("scripts"), "greenup")),
            "serve",
            # In a folder that only this user may enter: a port would be open to all users of this machine.
            "--unix-socket",
            "{unix_socket}",
            "--prefix",
            "{base_url}greenup",
            # The hub's host is unknown here; Jupyter checks who connects, and nobody else reaches the socket.
            "--origin",
            "*",
            # The hub's proxy, of which jupyter-server-proxy passes on what it says.
            "--proxy",
            "127.0.0.1",
            "--no-show",
            # A Jupyter that is killed takes nothing down by itself.
            "--parent",
            str(os.getpid()),
        ],
        "unix_socket": True,
        "absolute_url": True,
        "timeout": START_TIMEOUT_S,
        "launcher_entry": {"title": "Greenup", "icon_path": str(Path(__file__).with_name("icon.svg"))},
    }
