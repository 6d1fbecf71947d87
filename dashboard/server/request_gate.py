"""Gate before all routes: hosts that are answered, proxies that are believed, bodies that are taken."""

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
from dashboard.server.connections import Connections
from dashboard.server.early_refusal import answer_and_close
from dashboard.server.login import Denial, Doorkeeper

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_BODY_BYTES = 64 * 2**10
"""Body of a request: the form of a login; files are uploaded through the page's websocket."""

MAX_REGION_BYTES = 2_100_000
"""Body of a request that holds a region: as large as regions may be, and a little more, which is then named."""

MAX_HEADER_BYTES = 32 * 2**10
"""Start line and headers of a request: a link with a region in it, and the cookies of a hub."""

SLOWEST_S = 60.0
"""A connection that sends no whole request within this time is closed."""

_FULL = "The server has too many connections; try again in a few seconds."

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?", re.ASCII)
_FORWARDED = ("Forwarded", "X-Real-Ip", "X-Scheme")


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """Hosts and proxies of one server.

    Attributes
    ----------
    hosts : tuple of str
        Names of hosts that are answered, with ``*`` as in shells; names of this machine and addresses in numbers
        always are. A page of another name that resolves to this server (DNS rebinding) is no page of ours.
    proxies : tuple of ipaddress.IPv4Network or ipaddress.IPv6Network
        Where proxies connect from whose ``X-Forwarded-*`` headers are believed; those of others are left out.
    user_header : str
        Header in which these proxies name the user.
    """

    hosts: tuple[str, ...] = ()
    proxies: tuple[Network, ...] = ()
    user_header: str = ""

    def answers(self, host: str) -> bool:
        """Return whether requests for a host, with or without a port, are answered."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].lower().strip("[]").rstrip(".")
        return name == "localhost" or _address(name) is not None or any(fnmatch(name, each) for each in self.hosts)

    def believes(self, peer: str) -> bool:
        """Return whether a connection comes from a proxy that is believed."""
        address = _address(peer)
        return address is not None and any(address in network for network in self.proxies)

    def client(self, headers: HTTPHeaders, peer: str) -> str:
        """Return the address that a request came from: the last one named by a proxy that is no proxy itself."""
        for named in reversed(headers.get("X-Forwarded-For", "").split(",")):
            address = _address(named.strip())
            if address is None:
                return peer
            peer = str(address)
            if not self.believes(peer):
                break
        return peer


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of proxies.

    Parameters
    ----------
    texts : sequence of str
        Addresses, such as ``127.0.0.1``, or networks, such as ``10.0.0.0/8``.

    Raises
    ------
    InputError
        A text is neither.
    """
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            raise InputError(
                "proxy", f"The proxy {text[:80]!r} is no address or network; give one such as 127.0.0.1 or 10.0.0.0/8."
            ) from None
    return tuple(networks)


def host_names(origins: Sequence[str]) -> tuple[str, ...]:
    """Return the names of hosts, in lower case and without ports, of origins such as ``hub.example.org:443``."""
    return tuple(origin.lower().rpartition("//")[2].partition("/")[0].partition(":")[0] for origin in origins)


def guard(server: Server, policy: GatePolicy, doorkeeper: Doorkeeper, *, most: int) -> None:
    """Put the gate before all routes of a server.

    Bokeh has no setting for it: its application is the callback of Tornado's HTTP server, and becomes the gate's.

    Parameters
    ----------
    server : bokeh.server.server.Server
        Not started yet.
    policy : GatePolicy
        What passes.
    doorkeeper : Doorkeeper
        Who passes.
    most : int
        Most connections at once, websockets apart.
    """
    server._http.request_callback = Gate(server._tornado, policy, doorkeeper, most=most)


class Gate(HTTPServerConnectionDelegate):
    """Passes requests on to an application, or answers them with one sentence.

    Parameters
    ----------
    application : tornado.httputil.HTTPServerConnectionDelegate
        Answers what passes.
    policy : GatePolicy
        What passes.
    doorkeeper : Doorkeeper
        Who passes; handlers find the principal by `dashboard.server.principals.principal_of`.
    most : int
        Most connections at once, websockets apart.
    """

    def __init__(
        self,
        application: HTTPServerConnectionDelegate,
        policy: GatePolicy,
        doorkeeper: Doorkeeper,
        *,
        most: int = 1000,
    ) -> None:
        self.application = application
        self.policy = policy
        self.doorkeeper = doorkeeper
        self.connections = Connections(most=most, patience_s=SLOWEST_S)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Begin a request."""
        if self.connections.admit(server_conn):
            return _Request(self, server_conn, request_conn)
        connection: Any = server_conn
        answer_and_close(connection.stream, HTTPStatus.SERVICE_UNAVAILABLE, _FULL)
        return HTTPMessageDelegate()  # which cares for nothing that still comes

    def on_close(self, server_conn: object) -> None:
        """Tell the application that a connection is closed."""
        self.connections.forget(server_conn)
        self.application.on_close(server_conn)


class _Request(HTTPMessageDelegate):
    """One request on its way through the gate."""

    def __init__(self, gate: Gate, server_conn: object, connection: Any) -> None:
        self._gate = gate
        self._server_conn = server_conn
        self._connection = connection
        self._context = connection.context
        self._peer: tuple[str, str] = self._context.remote_ip, self._context.protocol
        self._inner: HTTPMessageDelegate | None = None

    async def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        # Tornado awaits it before it reads the body, whose bytes those who do not pass never cost.
        self._gate.connections.begin(self._server_conn)
        self._context.principal = None
        refusal = _refusal(self._gate.policy, start_line.path, headers)
        if refusal is not None:
            answer_and_close(self._connection.detach(), *refusal)
            return
        self._believe_proxy(headers)
        stream = self._connection.stream
        admitted = await self._gate.doorkeeper.admit(start_line, headers, self._context.remote_ip)
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
        self._forget_proxy()

    def on_connection_close(self) -> None:
        if self._inner is not None:
            self._inner.on_connection_close()
        self._forget_proxy()

    def _believe_proxy(self, headers: HTTPHeaders) -> None:
        """Take the visitor's address and protocol from a proxy that is believed, and drop what anybody else says."""
        policy, (peer, _) = self._gate.policy, self._peer
        if policy.believes(peer):
            self._context.remote_ip = policy.client(headers, peer)
            protocol = headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
            if protocol in ("http", "https"):
                self._context.protocol = protocol
            return
        said = {*_FORWARDED, _normalised(policy.user_header)}
        for name in [each for each in headers if each.startswith("X-Forwarded-") or each in said]:
            del headers[name]

    def _forget_proxy(self) -> None:
        """Restore the connection's own address: the next request on it may be another visitor's."""
        self._context.remote_ip, self._context.protocol = self._peer


def _normalised(name: str) -> str:
    """Return the name of a header as Tornado writes it."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _refusal(policy: GatePolicy, path: str, headers: HTTPHeaders) -> tuple[HTTPStatus, str] | None:
    """Return why a request does not pass, None where it does."""
    if not policy.answers(headers.get("Host", "")):
        return (
            HTTPStatus.MISDIRECTED_REQUEST,
            "This server does not answer for that host; its operator can allow it by --origin HOST:PORT.",
        )
    if "%00" in path:
        return HTTPStatus.BAD_REQUEST, "The address holds a zero byte."
    if "Transfer-Encoding" in headers:
        return HTTPStatus.LENGTH_REQUIRED, "A request must state the length of its body."
    length = headers.get("Content-Length", "0")
    most = MAX_REGION_BYTES if path.partition("?")[0].endswith("/statistics") else MAX_BODY_BYTES
    if not length.isascii() or not length.isdigit() or int(length[:20]) > most:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"This request takes a body of at most {most} bytes."
    return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, one of IPv4 in IPv6 as that of IPv4; None where it is a name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped
