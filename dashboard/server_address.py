"""Address of a server: where it listens, by which names it is reached, and how visitors sign in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Address:
    """Address of the server: interface, port, prefix, origins and login.

    Attributes
    ----------
    host : str
        Interface, ``127.0.0.1`` unless others may come.
    port : int
        0 for any free one.
    prefix : str
        Path below which everything lies, such as ``/user/name/greenup``.
    origins : tuple of str
        Hosts by which browsers reach the page, such as ``hub.example.org:443``; empty for this machine.
    proxies : tuple of str
        Addresses or networks of proxies whose ``X-Forwarded-*`` headers are believed.
    auth : str
        How visitors sign in: ``none``, ``basic``, ``oauth``, ``header`` or ``jupyterhub``.
    embed_in : tuple of str
        Origins of sites whose pages may show this one in a frame, such as ``https://portal.example.org``.
    unix_socket : pathlib.Path or None
        Unix socket to listen on in place of host and port, for one proxy that is of the same user, and is believed.
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
        """Whether the server listens on an interface that only programs of this machine reach."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def only_here(self) -> bool:
        """Whether only browsers of this machine can use the page: no other interface, and no other host before it."""
        return self.is_loopback and not self.origins
