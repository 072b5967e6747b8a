from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.control.dice import Dice


@given(st.integers())
def test_a_seed_gives_the_same_numbers_each_time_within_the_bounds(seed: int) -> None:
    one, other = Dice(seed), Dice(seed)
    numbers = [one.between(0.85, 1.15) for _ in range(50)]
    assert numbers == [other.between(0.85, 1.15) for _ in range(50)]
    assert all(0.85 <= number < 1.15 for number in numbers)


def test_the_numbers_spread_over_the_range_and_differ_between_seeds() -> None:
    dice = Dice(1)
    numbers = [dice.between(0.0, 1.0) for _ in range(1000)]
    tenths = {int(10 * number) for number in numbers}
    assert tenths == set(range(10))
    assert abs(sum(numbers) / 1000 - 0.5) < 0.05
    assert Dice(2).between(0, 1) != Dice(3).between(0, 1)


def test_it_is_the_published_generator() -> None:
    # The first output of SplitMix64 with the seed 1234567, from its reference implementation.
    assert Dice(1234567).between(0, 2**64) == float(6457827717110365317)
