"""Request gate: allowed hosts, trusted proxies and size limits, checked before any route."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from http import HTTPStatus
from typing import Any

from bokeh.server.server import Server
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from compute.errors import InputError
from dashboard.server.connections import ConnectionLimit
from dashboard.server.early_refusal import answer_and_close
from dashboard.server.login import AccessControl, Denial

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_BODY_BYTES = 64 * 2**10
"""Largest request body, sufficient for the login form. Files are uploaded through the websocket of the page."""

MAX_REGION_BYTES = 2_100_000
"""Largest request body with a region. It is slightly above the limit of regions, whose error message is clearer."""

MAX_HEADER_BYTES = 32 * 2**10
"""Largest start line and headers, sufficient for a link with a region and the cookies of a JupyterHub."""

SLOWEST_S = 60.0
"""Seconds after which a connection is closed if it is idle, or if its request body has not arrived completely."""

_FULL = "The server has too many connections; try again in a few seconds."

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?", re.ASCII)
_FORWARDED = ("Forwarded", "X-Real-Ip", "X-Scheme")


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """Allowed hosts and trusted proxies of a server.

    Attributes
    ----------
    hosts : tuple of str
        Allowed host names, with shell wildcards; ``localhost`` and numeric addresses are always allowed. The check
        prevents DNS rebinding: a foreign host name that resolves to this server.
    proxies : tuple of ipaddress.IPv4Network or ipaddress.IPv6Network
        Addresses of trusted proxies. ``X-Forwarded-*`` headers of other clients are removed.
    user_header : str
        Header in which these proxies name the user.
    """

    hosts: tuple[str, ...] = ()
    proxies: tuple[Network, ...] = ()
    user_header: str = ""

    def allows_host(self, host: str) -> bool:
        """Return whether a host, with or without a port, is allowed."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].lower().strip("[]").rstrip(".")
        return (
            name == "localhost" or _parse_address(name) is not None or any(fnmatch(name, each) for each in self.hosts)
        )

    def trusts_peer(self, peer: str) -> bool:
        """Return whether an address is that of a trusted proxy."""
        address = _parse_address(peer)
        return address is not None and any(address in network for network in self.proxies)

    def find_client_address(self, headers: HTTPHeaders, peer: str) -> str:
        """Return the address of the client: the last entry of ``X-Forwarded-For`` that is not a trusted proxy.

        Parameters
        ----------
        headers : tornado.httputil.HTTPHeaders
            Headers of the request.
        peer : str
            Address of the connection.
        """
        for named in reversed(headers.get("X-Forwarded-For", "").split(",")):
            address = _parse_address(named.strip())
            if address is None:
                return peer
            peer = str(address)
            if not self.trusts_peer(peer):
                break
        return peer


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of trusted proxies.

    Parameters
    ----------
    texts : sequence of str
        Addresses, such as ``127.0.0.1``, or networks, such as ``10.0.0.0/8``.

    Raises
    ------
    InputError
        A text is neither an address nor a network.
    """
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            raise InputError(
                "proxy",
                f"The proxy {text[:80]!r} is not an address or network; give one such as 127.0.0.1 or 10.0.0.0/8.",
            ) from None
    return tuple(networks)


def parse_host_names(origins: Sequence[str]) -> tuple[str, ...]:
    """Return the host names of origins such as ``hub.example.org:443``, in lower case and without ports."""
    return tuple(origin.lower().rpartition("//")[2].partition("/")[0].partition(":")[0] for origin in origins)


def install_gate(server: Server, policy: GatePolicy, access_control: AccessControl, *, most: int) -> None:
    """Install the gate before all routes of a server.

    Bokeh 3.9 has no setting for this. The gate replaces the request callback of Tornado's HTTP server, which is Bokeh's
    application (``bokeh.server.server.BaseServer``). This can be removed once Bokeh accepts middleware.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Server that has not been started.
    policy : GatePolicy
        Allowed hosts and trusted proxies.
    access_control : AccessControl
        Authentication of requests.
    most : int
        Greatest number of concurrent connections, without websockets.
    """
    server._http.request_callback = Gate(server._tornado, policy, access_control, most=most)


class Gate(HTTPServerConnectionDelegate):
    """Tornado delegate that forwards requests to an application, or refuses them with an error message.

    Parameters
    ----------
    application : tornado.httputil.HTTPServerConnectionDelegate
        Application behind the gate.
    policy : GatePolicy
        Allowed hosts and trusted proxies.
    access_control : AccessControl
        Authentication of requests; handlers read the principal by `dashboard.server.principals.get_principal`.
    most : int
        Greatest number of concurrent connections, without websockets.
    """

    def __init__(
        self,
        application: HTTPServerConnectionDelegate,
        policy: GatePolicy,
        access_control: AccessControl,
        *,
        most: int = 1000,
    ) -> None:
        self.application = application
        self.policy = policy
        self.access_control = access_control
        self.connections = ConnectionLimit(most=most, patience_s=SLOWEST_S)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Return the delegate of a new request, or refuse it at the connection limit."""
        if self.connections.admit_connection(server_conn):
            return _Request(self, server_conn, request_conn)
        connection: Any = server_conn
        answer_and_close(connection.stream, HTTPStatus.SERVICE_UNAVAILABLE, _FULL)
        return HTTPMessageDelegate()  # ignores the rest of the request

    def on_close(self, server_conn: object) -> None:
        """Remove a closed connection, and notify the application."""
        self.connections.remove_connection(server_conn)
        self.application.on_close(server_conn)


class _Request(HTTPMessageDelegate):
    """Tornado delegate of one request."""

    def __init__(self, gate: Gate, server_conn: object, connection: Any) -> None:
        self._gate = gate
        self._server_conn = server_conn
        self._connection = connection
        self._context = connection.context
        self._peer: tuple[str, str] = self._context.remote_ip, self._context.protocol
        self._inner: HTTPMessageDelegate | None = None

    async def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        # Tornado awaits this method before it reads the body, so the body of a refused request is not read.
        self._gate.connections.mark_busy(self._server_conn)
        self._context.principal = None
        refusal = _find_refusal(self._gate.policy, start_line.path, headers)
        if refusal is not None:
            answer_and_close(self._connection.detach(), *refusal)
            return
        self._apply_forwarded_headers(headers)
        stream = self._connection.stream
        admitted = await self._gate.access_control.admit_request(start_line, headers, self._context.remote_ip)
        if isinstance(admitted, Denial):
            answer_and_close(self._connection.detach(), admitted.status, admitted.sentence, admitted.headers)
            return
        self._context.principal = admitted.principal
        if admitted.login is not None and "Upgrade" in headers:
            admitted.login.streams.add(stream)
        self._inner = self._gate.application.start_request(self._server_conn, self._connection)
        line: RequestStartLine | ResponseStartLine = start_line
        received = self._inner.headers_received(line, headers)
        if received is not None:
            await received

    def data_received(self, chunk: bytes) -> Any:
        return None if self._inner is None else self._inner.data_received(chunk)

    def finish(self) -> None:
        if self._inner is not None:
            self._inner.finish()
        self._restore_peer()

    def on_connection_close(self) -> None:
        if self._inner is not None:
            self._inner.on_connection_close()
        self._restore_peer()

    def _apply_forwarded_headers(self, headers: HTTPHeaders) -> None:
        """Apply address and protocol of the client from a trusted proxy; remove forwarded headers of other peers."""
        policy, (peer, _) = self._gate.policy, self._peer
        if policy.trusts_peer(peer):
            self._context.remote_ip = policy.find_client_address(headers, peer)
            protocol = headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
            if protocol in ("http", "https"):
                self._context.protocol = protocol
            return
        said = {*_FORWARDED, _normalise_header_name(policy.user_header)}
        for name in [each for each in headers if each.startswith("X-Forwarded-") or each in said]:
            del headers[name]

    def _restore_peer(self) -> None:
        """Restore the address of the connection, because its next request may come from another visitor."""
        self._context.remote_ip, self._context.protocol = self._peer


def _normalise_header_name(name: str) -> str:
    """Return a header name in Tornado's capitalisation."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _find_refusal(policy: GatePolicy, path: str, headers: HTTPHeaders) -> tuple[HTTPStatus, str] | None:
    """Return status and error message of a refused request, or None."""
    if not policy.allows_host(headers.get("Host", "")):
        return (
            HTTPStatus.MISDIRECTED_REQUEST,
            "This server does not answer for that host; the operator can allow it with --origin HOST:PORT.",
        )
    if "%00" in path:
        return HTTPStatus.BAD_REQUEST, "The path of the URL contains a zero byte; remove %00."
    if "Transfer-Encoding" in headers:
        return HTTPStatus.LENGTH_REQUIRED, "A request must state the length of its body in a Content-Length header."
    length = headers.get("Content-Length", "0")
    most = MAX_REGION_BYTES if path.partition("?")[0].endswith("/statistics") else MAX_BODY_BYTES
    if not length.isascii() or not length.isdigit() or int(length[:20]) > most:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body of this request may have at most {most} bytes."
    return None


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse a numeric address, IPv4-mapped IPv6 as IPv4; return None for a name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped
