"""Repeatable chance: the law's jitter, from a seed alone."""

from __future__ import annotations

_MASK = (1 << 64) - 1


class Dice:
    """A stream of numbers that look random (SplitMix64: Steele, Lea, Flood 2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def between(self, low: float, high: float) -> float:
        """Return the next number from *low* up to *high*."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
        return low + (high - low) * (mixed / 2**64)
