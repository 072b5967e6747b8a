"""Which address of a name to try first: the family that worked, or one that nobody uses yet.

Both families of addresses are tried anyway, a quarter of a second apart (RFC 8305). Remembering
which one answered saves that quarter on each connection where the first is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from aiohappyeyeballs import AddrInfoType


@dataclass(slots=True)
class _Known:
    family: int = 0  # of the last connection that was made
    in_use: Counter[str] = field(default_factory=Counter)  # connections by address


class Preference:
    """What is known about the addresses of each origin."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Known] = {}

    def order(
        self, origin: Hashable, addresses: list[AddrInfoType], *, elsewhere: bool
    ) -> list[AddrInfoType]:
        """Return *addresses* with the best first; *elsewhere* prefers those without connections."""
        known = self._known.get(origin)
        if known is None or len(addresses) < 2:
            return addresses

        def rank(address: AddrInfoType) -> tuple[int, bool]:
            used = known.in_use[address[4][0]] if elsewhere else 0
            return used, address[0] != known.family

        return sorted(addresses, key=rank)

    def opened(self, origin: Hashable, family: int, address: str) -> None:
        """Note a connection that was made."""
        known = self._known.setdefault(origin, _Known())
        known.family = family
        known.in_use[address] += 1

    def closed(self, origin: Hashable, address: str) -> None:
        """Note its end."""
        self._known[origin].in_use[address] -= 1
