from __future__ import annotations

import pytest

from hfdl_async.core.options import ALLOWABLE, ENVIRONMENT_PREFIX, option_names
from hfdl_async.errors import UsageError
from hfdl_async.ui.flags import FLAGS, LATER, environment_of, flags_of, takes_value


def test_every_option_of_the_api_is_an_option_of_download() -> None:
    assert set(option_names()) <= {flag.name for flag in flags_of("download")}


def test_plan_takes_what_download_takes() -> None:
    assert list(flags_of("plan")) == list(flags_of("download"))


def test_no_spelling_means_two_things_and_later_ones_do_not_exist() -> None:
    for command in ("download", "plan", "verify", "status", "demo"):
        spellings = [item for flag in flags_of(command) for item in flag.spellings]
        assert len(spellings) == len(set(spellings))
        assert not set(spellings) & set(LATER)


def test_names_and_environment_forms_are_the_first_long_spelling() -> None:
    for flag in FLAGS:
        assert flag.long == "--" + flag.name.replace("_", "-")
        assert flag.environment == ENVIRONMENT_PREFIX + flag.name.upper()


def test_the_help_of_allow_names_what_can_be_allowed() -> None:
    [allow] = [flag for flag in FLAGS if flag.name == "allow"]
    assert all(name in allow.help for name in ALLOWABLE)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("-t", True), ("-qt", True), ("-t8", False), ("-q", False), ("-d", True), ("--include", True),
     ("--include=x", False), ("--verify", False), ("--nonsense", False), ("--help", False)],
)  # fmt: skip
def test_knows_which_options_swallow_the_next_argument(argument: str, expected: bool) -> None:
    assert takes_value(argument) is expected


def test_the_environment_sets_what_the_command_has_and_nothing_else() -> None:
    environ = {
        "HFDL_LOCAL_DIR": "x",
        "HFDL_INCLUDE": "*.json\n*.txt",
        "HFDL_JSON": "1",
        "HFDL_QUIET": "0",
        "HFDL_VERIFY": "",
        "HFDL_PORT": "tcp://10.0.0.1:80",
        "HFDL_SERVICE_HOST": "10.0.0.1",
    }
    assert environment_of("download", environ) == {
        "local_dir": "x",
        "include": ["*.json", "*.txt"],
        "json": True,
        "quiet": False,
    }
    assert environment_of("status", environ) == {"json": True}


def test_the_cache_is_a_switch_with_a_folder_of_its_own() -> None:
    assert takes_value("--cache-dir")
    assert not takes_value("--cache")
    assert environment_of("verify", {"HFDL_CACHE": "1", "HFDL_CACHE_DIR": "x"}) == {
        "cache": "1",
        "cache_dir": "x",
    }


def test_a_switch_that_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(UsageError, match="HFDL_JSON"):
        environment_of("download", {"HFDL_JSON": "maybe"})
