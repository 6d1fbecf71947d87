"""Entry point of jupyter-server-proxy, which adds Greenup to JupyterLab's launcher.

The Jupyter server imports this module, so the module imports no other part of the dashboard.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 120.0
"""Timeout for the first page in seconds; on a cold node, imports and the start of the embedded index take long."""


def setup_greenup() -> dict[str, Any]:
    """Return the command and the settings with which jupyter-server-proxy runs the dashboard at ``{base_url}greenup/``.

    Returns
    -------
    dict
        Settings of a `server process
        <https://jupyter-server-proxy.readthedocs.io/en/latest/server-process.html>`_.
    """
    return {
        "command": [
            # Absolute, because a hub may start Jupyter without the environment's scripts on PATH.
            str(Path(sysconfig.get_path("scripts"), "greenup")),
            "serve",
            # The socket is in a folder of this user only; a port would be open to all users of this machine.
            "--unix-socket",
            "{unix_socket}",
            "--prefix",
            "{base_url}greenup",
            # The host of the hub is unknown here. Jupyter authenticates users, and only Jupyter reaches the socket.
            "--origin",
            "*",
            # The hub's proxy, whose X-Forwarded-* headers jupyter-server-proxy forwards.
            "--proxy",
            "127.0.0.1",
            "--no-show",
            # Stops the dashboard when Jupyter is killed.
            "--parent",
            str(os.getpid()),
        ],
        "unix_socket": True,
        "absolute_url": True,
        "timeout": START_TIMEOUT_S,
        "launcher_entry": {"title": "Greenup", "icon_path": str(Path(__file__).with_name("icon.svg"))},
    }
