from __future__ import annotations

import pytest

from hfdl_async.net.headers import Budget, budgets
from hfdl_async.net.quotas import Quotas


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"resolvers";r=2998;t=172', (Budget(2998, 172.0),)),
        ('"api";r=5;t=10, "resolvers";r=0;t=20', (Budget(5, 10.0), Budget(0, 20.0))),
        ('"api";r=5, "resolvers";r=3;t=20', (Budget(3, 20.0),)),
        ('"resolvers";r=-1;t=20', ()),
        ('"resolvers";r=1e9;t=20', ()),
        ("r=1;t=999999999", (Budget(1, 86_400.0),)),
        ("nonsense", ()),
        ("r=1;t=2," * 10_000, ()),
        ("", ()),
        (None, ()),
    ],
)
def test_every_policy_that_says_both_numbers_is_a_budget(
    text: str | None, expected: tuple[Budget, ...]
) -> None:
    assert budgets(text) == expected


def test_nothing_is_known_before_a_server_says_so_and_after_its_window() -> None:
    quotas = Quotas()
    assert quotas.left(0.0) is None
    quotas.note(None, 0.0)
    assert quotas.left(0.0) is None
    quotas.note('"resolvers";r=90;t=100', 10.0)
    assert quotas.left(30.0) == (90, 80.0)
    assert quotas.left(110.0) is None


def test_the_policy_that_allows_the_fewest_requests_a_second_counts() -> None:
    quotas = Quotas()
    quotas.note('"minute";r=50;t=10, "day";r=100;t=5000', 0.0)
    assert quotas.left(0.0) == (100, 5000.0)
    spent = Quotas()
    spent.note('"minute";r=0;t=0, "day";r=100;t=5000', 0.0)
    assert spent.left(0.0) is None


def test_an_answer_that_was_overtaken_gives_nothing_back() -> None:
    quotas = Quotas()
    quotas.note('"resolvers";r=80;t=100', 0.0)
    quotas.note('"resolvers";r=85;t=100', 0.5)
    assert quotas.left(0.5) == (80, 99.5)
    quotas.note('"resolvers";r=70;t=99', 1.0)
    assert quotas.left(1.0) == (70, 99.0)


def test_a_new_window_begins_anew_and_an_answer_of_the_old_one_is_not_believed() -> None:
    quotas = Quotas()
    quotas.note('"resolvers";r=3;t=5', 0.0)
    quotas.note('"resolvers";r=2999;t=300', 5.5)
    assert quotas.left(5.5) == (2999, 300.0)
    quotas.note('"resolvers";r=1;t=4', 6.0)
    assert quotas.left(6.0) == (2999, 299.5)
