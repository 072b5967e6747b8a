from __future__ import annotations

import socket

from aiohappyeyeballs import AddrInfoType

from hfdl_async.net.preference import Preference


def at(host: str) -> AddrInfoType:
    if ":" in host:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 443, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, 443)


SIX, SIX_TOO = at("2001:db8::1"), at("2001:db8::2")
FOUR, FOUR_TOO = at("192.0.2.1"), at("192.0.2.2")
ALL = [SIX, SIX_TOO, FOUR, FOUR_TOO]


def test_without_experience_the_order_is_that_of_the_resolver() -> None:
    assert Preference().order("origin", ALL, elsewhere=True) == ALL


def test_the_family_that_worked_comes_first() -> None:
    preference = Preference()
    preference.opened("origin", socket.AF_INET, "192.0.2.1")
    assert preference.order("origin", ALL, elsewhere=False) == [FOUR, FOUR_TOO, SIX, SIX_TOO]
    assert preference.order("another", ALL, elsewhere=False) == ALL


def test_a_fresh_connection_goes_to_an_address_that_nobody_uses() -> None:
    preference = Preference()
    for _ in range(2):
        preference.opened("origin", socket.AF_INET, "192.0.2.1")
    assert preference.order("origin", ALL, elsewhere=True) == [FOUR_TOO, SIX, SIX_TOO, FOUR]
    preference.closed("origin", "192.0.2.1")
    preference.closed("origin", "192.0.2.1")
    assert preference.order("origin", ALL, elsewhere=True)[0] == FOUR
