"""Hosts of web addresses: this machine and its local link, apart from all others."""

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
"""Names of this machine, and of the services at which clouds give a machine its credentials."""

_LOOPBACK_NAMES = re.compile(r"(.*\.)?localhost|localhost\.localdomain")

_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""Addresses of such services outside of the link-local range: Alibaba, Azure, Oracle, AWS and Google over IPv6."""

_AUTHORITY = re.compile(r"(?:[^@/?#\\\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:\[\]/?#\\%\s\x00-\x20]+)(?::\d{0,5})?")
"""User, host and port without what readers of addresses disagree about: several ``@``, ``\\``, ``%``, blanks."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def host_of(address: str) -> str | None:
    """Return the host of a web address in small letters, None where it is none that all readers agree about.

    Parameters
    ----------
    address : str
        With its scheme, such as ``https://user@host:80/path?query``.
    """
    authority = re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    host = _in_ascii(found["host"])
    if not _AUTHORITY.fullmatch(host):
        return None
    return host.strip("[]").rstrip(".").lower() or None


def _in_ascii(host: str) -> str:
    """Return a host as libcurl asks for it: letters that look like digits, dots or signs become these."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return ""


def is_refused_host(host: str) -> bool:
    """Tell whether a host is this machine, its link or a cloud's metadata service, by its name or number alone.

    Private networks (10/8, 172.16/12, 192.168/16, fc00::/7) are not refused: organisations serve their data there.

    Parameters
    ----------
    host : str
        As `host_of` returns it. IPv4 counts in every form that the C library reads: ``127.1``, ``0x7f000001``,
        ``017700000001``, ``2130706433``.
    """
    number = _number_of(host)
    return bool(_OWN_NAMES.fullmatch(host)) if number is None else _is_refused_number(number)


def is_loopback_host(host: str) -> bool:
    """Tell whether a host is this machine alone, by its name or number.

    Parameters
    ----------
    host : str
        As `host_of` returns it.
    """
    number = _number_of(host)
    return bool(_LOOPBACK_NAMES.fullmatch(host)) if number is None else number.is_loopback


@lru_cache(maxsize=256)
def leads_to_refused(host: str) -> bool:
    """Tell whether a name leads to a refused host, as this machine's resolver says now; False where it knows none.

    This is best effort: a name may answer otherwise the next time it is asked, when GDAL connects. Only a filter of
    outgoing connections is safe against that.
    """
    if _number_of(host) is not None:
        return is_refused_host(host)
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return False
    numbers = (str(each[4][0]).partition("%")[0] for each in found)
    return any(_is_refused_number(ipaddress.ip_address(number)) for number in numbers)


def _number_of(host: str) -> IPv4Address | IPv6Address | None:
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_refused_number(number: IPv4Address | IPv6Address) -> bool:
    inner = _ipv4_within(number)
    if inner is not None and _is_refused_number(inner):
        return True
    first_byte_is_0 = isinstance(number, IPv4Address) and number.packed[0] == 0
    own = number.is_loopback or number.is_link_local or number.is_unspecified or first_byte_is_0
    return own or number.is_multicast or number in _METADATA or number == IPv4Address("255.255.255.255")


def _ipv4_within(number: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that one of IPv6 stands for: mapped, compatible, 6to4 or NAT64."""
    if isinstance(number, IPv4Address):
        return None
    if number.ipv4_mapped or number.sixtofour:
        return number.ipv4_mapped or number.sixtofour
    is_embedded = number in _NAT64 or (int(number) >> 32 == 0 and int(number) > 1)
    return IPv4Address(number.packed[-4:]) if is_embedded else None
