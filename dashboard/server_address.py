"""Address of a server: interface, port, prefix, origins, proxies and login."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Address:
    """Listening address of the server, names by which browsers reach it, and kind of login.

    Attributes
    ----------
    host : str
        Interface to listen on; ``127.0.0.1`` for this machine only.
    port : int
        Port; 0 for any free port.
    prefix : str
        Path below which all routes lie, such as ``/user/name/greenup``.
    origins : tuple of str
        Hosts by which browsers reach the page, such as ``hub.example.org:443``; empty for this machine only.
    proxies : tuple of str
        Addresses or networks of trusted proxies, whose ``X-Forwarded-*`` headers are used.
    auth : str
        Kind of login: ``none``, ``basic``, ``oauth``, ``header`` or ``jupyterhub``.
    embed_in : tuple of str
        Origins whose pages may embed this one in a frame, such as ``https://portal.example.org``.
    unix_socket : pathlib.Path or None
        Unix socket to listen on instead of host and port, for one trusted proxy of the same user.
    """

    host: str = "127.0.0.1"
    port: int = 5006
    prefix: str = ""
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    auth: str = "none"
    embed_in: tuple[str, ...] = ()
    unix_socket: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether the server listens on a loopback interface."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_local_only(self) -> bool:
        """Whether only browsers on this machine can use the page: the interface is loopback, and `origins` is empty."""
        return self.is_loopback and not self.origins
