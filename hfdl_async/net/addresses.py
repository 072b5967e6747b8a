"""Names to addresses, and which addresses a public Hub has no business pointing at.

A redirect may name a host whose address lies inside the user's own network. The name is looked up
by us, the very result is judged, and the same result is connected to: there is no second lookup
in between that could answer differently.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypedDict

import anyio

from hfdl_async.net.holds import Clock

REMEMBER_SECONDS = 10.0  # one lookup for a burst of connections; a moved host is found again


class Address(TypedDict):
    """One address of a name, in the form that aiohttp wants as well."""

    hostname: str
    host: str
    port: int
    family: int
    proto: int
    flags: int


Lookup = Callable[[str, int, socket.AddressFamily], Awaitable[list[Address]]]

# Set around one request, read by the lookup that this very request causes.
guarded: ContextVar[bool] = ContextVar("guarded", default=False)


class PrivateAddressError(OSError):
    """A guarded name leads into a private network."""


def is_private(address: str) -> bool:
    """Return whether *address* is loopback, link-local, private or otherwise not public."""
    try:
        # A scoped IPv6 address (`fe80::1%eth0`) is judged without its scope.
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_private(str(inner))
    return not ip.is_global


def is_loopback(host: str) -> bool:
    """Return whether *host* can only be this machine (RFC 6761 for `localhost`)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Resolver:
    """Looks names up once for many connections, and refuses what is guarded and private."""

    def __init__(
        self,
        clock: Clock,
        *,
        lookup: Lookup | None = None,
        judge: Callable[[str], bool] = is_private,
    ) -> None:
        self._clock = clock
        self._lookup: Lookup = lookup or look_up
        self._judge = judge
        self._known: dict[tuple[str, int, int], tuple[float, list[Address]]] = {}
        self._locks: dict[tuple[str, int, int], anyio.Lock] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Address]:
        """Return the addresses of *host*.

        Raises:
            OSError: there is no such name, or no network.
            PrivateAddressError: the request is guarded and an address is private.
        """
        found = await self._addresses(host, port, family)
        if guarded.get() and any(self._judge(entry["host"]) for entry in found):
            raise PrivateAddressError(f"{host} has a private address")
        return found

    async def leads_inside(self, host: str, port: int) -> bool:
        """Return whether *host*, a name or a literal, has an address that is not public.

        Raises:
            OSError: there is no such name, or no network.
        """
        if is_literal(host):
            return self._judge(host)
        found = await self._addresses(host, port, socket.AF_UNSPEC)
        return any(self._judge(entry["host"]) for entry in found)

    async def _addresses(self, host: str, port: int, family: socket.AddressFamily) -> list[Address]:
        key = (host, port, int(family))
        # Waiters of a cancelled lookup start one of their own: nobody inherits a cancellation.
        async with self._locks.setdefault(key, anyio.Lock()):
            until, found = self._known.get(key, (0.0, []))
            if found and self._clock.monotonic() < until:
                return list(found)
            found = await self._lookup(host, port, family)
            self._known[key] = (self._clock.monotonic() + REMEMBER_SECONDS, found)
            return list(found)

    async def close(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._locks.clear()


async def look_up(host: str, port: int, family: socket.AddressFamily) -> list[Address]:
    """Return what the system's resolver says, asked in a thread.

    Raises:
        OSError: there is no such name, or no network.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    addresses: list[Address] = []
    for kind, _, proto, _, address in found:
        literal = str(address[0])
        if kind == socket.AF_INET6 and len(address) == 4 and address[3]:
            # A link-local address is of use only together with the interface it lies behind.
            literal, _ = await loop.getnameinfo(
                address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
            )
        addresses.append(
            Address(
                hostname=host,
                host=literal,
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
        )
    return addresses


def is_literal(host: str) -> bool:
    """Return whether *host* is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
