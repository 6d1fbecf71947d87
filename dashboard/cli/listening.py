"""Validation of a server's address, port, prefix, origins and login before the server starts."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from compute.errors import InputError
from dashboard.server import parse_networks
from dashboard.server_address import Address

_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,253}", re.ASCII)
_ORIGIN = re.compile(
    r"\*|(?P<host>[A-Za-z0-9*_-]{1,63}(\.[A-Za-z0-9*_-]{1,63}){0,20})(:(?P<port>[0-9]{1,5}))?", re.ASCII
)
_SITE = re.compile(r"https?://[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,20}(:(?P<port>[0-9]{1,5}))?", re.ASCII)
_SEGMENT = re.compile(r"([A-Za-z0-9._~@-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_LONGEST_PREFIX = 1024
_HIGHEST_PORT = 65535

_LOGINS = ("none", "basic", "oauth", "header", "jupyterhub")

_FOREIGN = (
    "PANEL_BASIC_AUTH",
    "PANEL_OAUTH_PROVIDER",
    "PANEL_OAUTH_KEY",
    "PANEL_OAUTH_SECRET",
    "PANEL_OAUTH_OPTIONAL",
    "PANEL_OAUTH_GUEST_ENDPOINTS",
    "PANEL_COOKIE_SECRET",
    "BOKEH_AUTH_MODULE",
    "BOKEH_COOKIE_SECRET",
)
"""Environment variables of the logins of Panel and Bokeh, which this server does not use."""


def check_login(where: Address, *, no_login: bool) -> None:
    """Refuse a server that other machines reach without a login, and settings for a login that has no effect.

    Parameters
    ----------
    where : Address
        Listening address and kind of login.
    no_login : bool
        Whether other machines may use the server without a login.

    Raises
    ------
    InputError
        The kind of login is unknown or contradicts `no_login`, a setting of Panel's or Bokeh's login has a value, or
        other machines can reach the server without a login.
    """
    host, kind = where.host, where.auth
    if kind not in _LOGINS:
        raise InputError("auth", f"{kind[:40]!r} is no kind of login; give --auth one of {', '.join(_LOGINS)}.")
    foreign = next((name for name in _FOREIGN if os.environ.get(name)), None)
    if foreign is not None:
        raise InputError(
            foreign, f"{foreign} has no effect on Greenup; unset it, and choose a login by --auth (see README, Login)."
        )
    if no_login and kind != "none":
        raise InputError("no-login", f"--no-login contradicts --auth {kind}; leave one of them out.")
    if kind == "none" and not no_login and not where.is_loopback:
        raise InputError(
            "auth",
            f"Whoever reaches {host[:80]!r} could use this server, as it has no login; choose one by --auth, or say "
            "--no-login.",
        )


def checked_address(
    host: str,
    port: int,
    prefix: str = "",
    origins: Sequence[str] = (),
    proxies: Sequence[str] = (),
    auth: str = "none",
    embed_in: Sequence[str] = (),
    unix_socket: Path | None = None,
) -> Address:
    """Validate and return the listening address of a server.

    Parameters
    ----------
    host : str
        Interface: an address or name of this machine.
    port : int
        Port; 0 for any free port.
    prefix : str
        Path below which all routes lie, with or without a leading and a trailing slash.
    origins : sequence of str
        ``HOST``, ``HOST:PORT`` or ``*``; a host may contain ``*`` as a wildcard.
    proxies : sequence of str
        Addresses or networks of trusted proxies.
    auth : str
        Kind of login.
    embed_in : sequence of str
        ``https://HOST`` or ``https://HOST:PORT``; ``http://`` for sites without TLS.
    unix_socket : pathlib.Path, optional
        Unix socket to listen on instead of host and port.

    Returns
    -------
    Address
        The validated address.

    Raises
    ------
    InputError
        An argument is not valid, the host is not an address of this machine, or the port is in use.
    """
    for origin in origins:
        _check_origin(origin)
    for site in embed_in:
        _check_site(site)
    parse_networks(proxies)
    address = Address(
        host=host,
        port=port,
        prefix=_checked_prefix(prefix),
        origins=tuple(origins),
        proxies=tuple(proxies),
        auth=auth,
        embed_in=tuple(embed_in),
        unix_socket=None if unix_socket is None else unix_socket.absolute(),
    )
    if unix_socket is None:
        _check_free(host, port)
    return address


def port_refused(port: int) -> InputError:
    """Return the error for a port that cannot be listened on."""
    return InputError("port", f"Port {port} cannot be used; give --port another, or 0 for any free one.")


def _check_origin(origin: str) -> None:
    match = _ORIGIN.fullmatch(origin)
    if match is None or not 0 < int(match["port"] or 80) <= _HIGHEST_PORT:
        raise InputError(
            "origin",
            f"The origin {origin[:80]!r} is not HOST or HOST:PORT, such as hub.example.org:443; give --origin that.",
        )


def _check_site(site: str) -> None:
    match = _SITE.fullmatch(site)
    if match is None or not 0 < int(match["port"] or 80) <= _HIGHEST_PORT:
        raise InputError(
            "embed-in",
            f"The site {site[:80]!r} is not https://HOST or https://HOST:PORT, such as https://portal.example.org; "
            "give --embed-in that.",
        )


def _checked_prefix(prefix: str) -> str:
    """Return a prefix with a leading slash and without a trailing slash; an empty prefix stays empty."""
    path = prefix.removesuffix("/").removeprefix("/")
    if not path:
        return ""
    segments = path.split("/")
    if len(path) > _LONGEST_PREFIX or not all(map(_is_segment, segments)):
        raise InputError(
            "prefix",
            f"The prefix {prefix[:80]!r} is not a path such as /user/name/greenup; give --prefix letters, digits, "
            "'.', '_', '~', '@' and '-' between slashes.",
        )
    return "/" + path


def _is_segment(text: str) -> bool:
    if _SEGMENT.fullmatch(text) is None:
        return False
    plain = unquote(text)
    return plain.strip(".") != "" and not set(plain) & set("/\\") and plain.isprintable()


def _check_free(host: str, port: int) -> None:
    """Listen on the address for a moment, so that an unusable one is refused before index and workers start."""
    free = [_is_free(family, place, port) for family, _, _, _, place in _places(host, port)]
    if not any(free):
        raise _address_refused(host)


def _places(host: str, port: int) -> list[Any]:
    if _HOST.fullmatch(host) is None:
        raise _address_refused(host)
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise _address_refused(host) from None


def _is_free(family: int, place: Any, port: int) -> bool:
    """Return whether this machine can listen on an address; False if it has no such interface.

    Raises `InputError` if the port is in use or not permitted.
    """
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        # Names such as localhost may also resolve to an IPv6 address, which many containers do not have.
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return False
        raise port_refused(port) from None
    return True


def _address_refused(host: str) -> InputError:
    return InputError(
        "address",
        f"The address {host[:80]!r} is none of this machine; give --address 127.0.0.1, or 0.0.0.0 for all interfaces.",
    )
