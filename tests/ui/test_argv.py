from __future__ import annotations

import pytest

from hfdl_async.errors import UsageError
from hfdl_async.ui.argv import rewrite
from hfdl_async.ui.flags import COMMANDS, RESERVED


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gpt2", "download gpt2"),
        ("org/name", "download org/name"),
        ("org/name a.bin b/", "download org/name a.bin b/"),
        ("-q org/name", "download -q org/name"),
        ("-t 8 org/name", "download -t 8 org/name"),
        ("-t8 org/name", "download -t8 org/name"),
        ("-qt 8 org/name", "download -qt 8 org/name"),
        ("--include *.json org/name", "download --include *.json org/name"),
        ("--include=*.json org/name", "download --include=*.json org/name"),
        ("--directory verify org/name", "download --directory verify org/name"),
        ("--token - org/name", "download --token - org/name"),
        ("download verify", "download verify"),
        ("org/name verify", "download org/name verify"),
        ("-- verify", "download -- verify"),
        ("-q -- plan x", "download -q -- plan x"),
        ("verify x", "verify x"),
        ("-q verify x", "verify -q x"),
        ("--json status", "status --json"),
        ("plan -t 8 org/name", "plan -t 8 org/name"),
        ("-t 8 plan org/name", "plan -t 8 org/name"),
        ("demo --size 10MB", "demo --size 10MB"),
        ("--size 10MB demo", "demo --size 10MB"),
        ("--help", "download --help"),
        ("-h", "download -h"),
        ("--help verify", "verify --help"),
        ("hf://datasets/org/name@main", "download hf://datasets/org/name@main"),
        ("clip", "download clip"),
        ("llama", "download llama"),
        ("plan-b", "download plan-b"),
        ("org/plan", "download org/plan"),
        ("--", "download --"),
    ],
)
def test_the_first_word_that_is_no_command_is_a_repo(typed: str, meant: str) -> None:
    assert rewrite(typed.split()) == meant.split()


@pytest.mark.parametrize(
    ("typed", "command"),
    [("verfy", "verify"), ("downlaod", "download"), ("paln", "plan"), ("stauts", "status"),
     ("dmeo", "demo"), ("Verify", "verify"), ("plans", "plan")],
)  # fmt: skip
def test_a_slip_of_the_finger_is_asked_about(typed: str, command: str) -> None:
    with pytest.raises(UsageError) as caught:
        rewrite([typed])
    assert f"did you mean `hfdl {command}`?" in str(caught.value.hint)
    assert f"hfdl download {typed}" in str(caught.value.hint)


@pytest.mark.parametrize("name", RESERVED)
def test_names_kept_for_later_are_refused_with_the_way_around(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        rewrite([name])
    assert f"hfdl download {name}" in str(caught.value.hint)
    assert rewrite(["download", name]) == ["download", name]


def test_asking_for_help_as_a_command_names_the_option() -> None:
    with pytest.raises(UsageError) as caught:
        rewrite(["help"])
    assert "hfdl --help" in str(caught.value.hint)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_the_name_of_a_repo(command: str) -> None:
    assert rewrite(["download", command]) == ["download", command]
