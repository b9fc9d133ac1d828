"""Which addresses the hub client may connect to, and which address a name has.

A name is resolved once for each connection, every address that it has is checked, and the connection goes to
the checked address: a name that points elsewhere a moment later leads nowhere else.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from ..errors import HubError, HubTimeout
from ..messages import Message

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

# Addresses of machines' own services (cloud metadata) outside the link-local ranges.
_METADATA: Final = frozenset(ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200"))
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver knows for a name; raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Addresses(Struct, frozen=True):
    """Resolves names and refuses addresses; `private_hosts` may be inside the own network."""

    private_hosts: frozenset[str] = frozenset()
    resolver: Resolver = system_resolver

    def of(self, host: str, port: int, patience: float) -> list[str]:
        """The addresses to connect to for a name, likeliest first.

        Raises `HubError` where one of its addresses may not be asked or it has none, and `HubTimeout` after
        `patience` [seconds].
        """
        found = [_read(each) for each in self._resolved(host, port, patience)]
        if not found or not all(self._allows(host, each) for each in found):
            raise HubError(Message("hub_address", {"host": host[:253]}))
        return [str(each) for each in found]

    def _allows(self, host: str, address: Address | None) -> bool:
        if address is None or is_never_asked(address):
            return False
        return is_public(address) or host in self.private_hosts or literal(host) == address

    def _resolved(self, host: str, port: int, patience: float) -> Sequence[str]:
        """The resolver's answer; it has no time limit of its own, so it works beside us."""
        if literal(host) is not None:
            return [host]
        found: list[str] = []
        failed: list[Exception] = []

        def resolve() -> None:
            try:
                found.extend(self.resolver(host, port))
            except (OSError, UnicodeError) as error:
                failed.append(error)

        worker = threading.Thread(target=resolve, daemon=True)
        worker.start()
        worker.join(patience)
        if failed:
            raise HubError(Message("hub_unreachable")) from failed[0]
        if worker.is_alive():
            raise HubTimeout(Message("hub_timeout", {"path": host[:253]}))
        return found


def literal(host: str) -> Address | None:
    """The address that a host is written as, or None for a name.

    >>> literal("10.0.0.7"), literal("hub.example")
    (IPv4Address('10.0.0.7'), None)
    """
    return _read(host.strip("[]"))


def _read(text: str) -> Address | None:
    try:
        return _inner(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one only wraps, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_never_asked(address: Address) -> bool:
    """Link-local, multicast, unspecified and metadata addresses, which no setting opens."""
    return address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA


def is_public(address: Address) -> bool:
    """Whether an address is one of the open network.

    >>> [is_public(ipaddress.ip_address(each)) for each in ("8.8.8.8", "10.0.0.1", "127.0.0.1", "::1")]
    [True, False, False, False]
    """
    return address.is_global and not address.is_reserved and not is_never_asked(address)
