from __future__ import annotations

from hfdl_async.serving.settings import READER_TOKEN, STRANGER_TOKEN, Settings


def test_two_hubs_do_not_share_their_personas() -> None:
    one, other = Settings(), Settings()
    one.readers.add("hf_new")
    assert other.readers == {READER_TOKEN}
    assert other.strangers == {STRANGER_TOKEN}


def test_nothing_is_limited_unless_it_is_set() -> None:
    settings = Settings()
    assert settings.rate_bytes_per_second is None
    assert settings.rate_per_connection is None
    assert settings.latency_seconds == 0
