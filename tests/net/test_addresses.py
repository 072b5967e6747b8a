from __future__ import annotations

import socket

import anyio
import pytest
from aiohttp.abc import ResolveResult

from hfdl_async.net.addresses import (
    REMEMBER_SECONDS,
    PrivateAddressError,
    Resolver,
    guarded,
    is_loopback,
    is_private,
)
from tests.net.wire import ManualClock

pytestmark = pytest.mark.anyio


class Names:
    """A name server with one answer, that counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def lookup(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("2002:0a00:0001::1", True),
        ("::ffff:8.8.8.8", False),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
        ("hub.example", False),
    ],
)
def test_addresses_that_are_not_public_are_told_apart(address: str, private: bool) -> None:
    assert is_private(address) is private


def test_only_this_machine_is_loopback() -> None:
    assert all(is_loopback(host) for host in ("localhost", "a.localhost", "127.9.9.9", "::1"))
    assert not any(is_loopback(host) for host in ("localhost.example", "10.0.0.1", "127.0.0.1.nip"))


async def test_a_burst_of_connections_asks_for_a_name_once() -> None:
    names, clock = Names("8.8.8.8"), ManualClock()
    resolver = Resolver(clock, lookup=names.lookup)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(resolver.resolve, "h", 443)
    assert names.asked == 1
    clock.now += REMEMBER_SECONDS + 1
    await resolver.resolve("h", 443)
    assert names.asked == 2


async def test_a_guarded_name_with_any_private_address_is_refused() -> None:
    resolver = Resolver(ManualClock(), lookup=Names("8.8.8.8", "10.0.0.1").lookup)
    assert len(await resolver.resolve("h", 443)) == 2
    mark = guarded.set(True)
    try:
        with pytest.raises(PrivateAddressError):
            await resolver.resolve("h", 443)
    finally:
        guarded.reset(mark)
    assert await resolver.leads_inside("h", 443)


async def test_a_name_that_is_unknown_is_asked_for_again() -> None:
    names = Names()
    resolver = Resolver(ManualClock(), lookup=names.lookup)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await resolver.resolve("h", 443)
    assert names.asked == 2


async def test_a_literal_needs_no_name_server() -> None:
    names = Names()
    resolver = Resolver(ManualClock(), lookup=names.lookup)
    assert await resolver.leads_inside("10.0.0.1", 80)
    assert not await resolver.leads_inside("8.8.8.8", 80)
    assert names.asked == 0
    await resolver.close()
