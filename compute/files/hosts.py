"""Classification of URL hosts: this machine, link-local addresses and cloud metadata services are refused."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

_OWN_NAMES = re.compile(
    r"(.*\.)?localhost|localhost\.localdomain|localhost[46](\.localdomain[46])?|ip6-(localhost|loopback)"
    r"|metadata|metadata\.google\.internal|instance-data(\.ec2\.internal)?"
)
"""Names of this machine, and of the metadata services of cloud providers, which return credentials."""

_LOOPBACK_NAMES = re.compile(r"(.*\.)?localhost|localhost\.localdomain")

_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""IP addresses of metadata services outside the link-local range: Alibaba, Azure, Oracle; AWS and Google (IPv6)."""

_AUTHORITY = re.compile(r"(?:[^@/?#\\\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:\[\]/?#\\%\s\x00-\x20]+)(?::\d{0,5})?")
r"""Pattern of user, host and port. Characters that URL parsers interpret differently do not match: a second ``@``,
``\``, ``%`` and blanks."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def parse_host(address: str) -> str | None:
    """Return the host of a URL in lower case; None if URL parsers may interpret it differently.

    Parameters
    ----------
    address : str
        URL with its scheme, such as ``https://user@host:80/path?query``.
    """
    authority = re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    host = _encode_idna(found["host"])
    if not _AUTHORITY.fullmatch(host):
        return None
    return host.strip("[]").rstrip(".").lower() or None


def _encode_idna(host: str) -> str:
    """Encode a host as in libcurl (IDNA 2003), which replaces characters that resemble digits or dots."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return ""


def is_refused_host(host: str) -> bool:
    """Return whether a host is this machine, link-local, multicast or a metadata service, without resolving its name.

    Private networks (10/8, 172.16/12, 192.168/16, fc00::/7) are allowed, since organisations serve data in them.

    Parameters
    ----------
    host : str
        Host as returned by `parse_host`. IPv4 addresses are recognised in all forms that ``inet_aton`` accepts:
        ``127.1``, ``0x7f000001``, ``017700000001``, ``2130706433``.
    """
    number = _parse_ip_address(host)
    return bool(_OWN_NAMES.fullmatch(host)) if number is None else _is_refused_ip(number)


def is_loopback_host(host: str) -> bool:
    """Return whether a host is this machine, without resolving its name.

    Parameters
    ----------
    host : str
        Host as returned by `parse_host`.
    """
    number = _parse_ip_address(host)
    return bool(_LOOPBACK_NAMES.fullmatch(host)) if number is None else number.is_loopback


@lru_cache(maxsize=256)
def resolves_to_refused_host(host: str) -> bool:
    """Return whether a host name resolves to a refused host; False if it cannot be resolved.

    Results are cached, and the name may resolve to another address when GDAL connects (DNS rebinding). Only a filter of
    outgoing connections prevents this.
    """
    if _parse_ip_address(host) is not None:
        return is_refused_host(host)
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return False
    numbers = (str(each[4][0]).partition("%")[0] for each in found)
    return any(_is_refused_ip(ipaddress.ip_address(number)) for number in numbers)


def _parse_ip_address(host: str) -> IPv4Address | IPv6Address | None:
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_refused_ip(number: IPv4Address | IPv6Address) -> bool:
    inner = _embedded_ipv4(number)
    if inner is not None and _is_refused_ip(inner):
        return True
    first_byte_is_0 = isinstance(number, IPv4Address) and number.packed[0] == 0
    own = number.is_loopback or number.is_link_local or number.is_unspecified or first_byte_is_0
    return own or number.is_multicast or number in _METADATA or number == IPv4Address("255.255.255.255")


def _embedded_ipv4(number: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address in a mapped, compatible, 6to4 or NAT64 IPv6 address (RFC 4291, 3056, 6052), or None."""
    if isinstance(number, IPv4Address):
        return None
    if number.ipv4_mapped or number.sixtofour:
        return number.ipv4_mapped or number.sixtofour
    is_embedded = number in _NAT64 or (int(number) >> 32 == 0 and int(number) > 1)
    return IPv4Address(number.packed[-4:]) if is_embedded else None
