from __future__ import annotations

from pathlib import Path

from hfdl_async.disk.settled import identity_of


def test_a_file_is_itself_under_any_name_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    identity = identity_of((tmp_path / "a").stat())
    (tmp_path / "a").rename(tmp_path / "c")
    assert identity_of((tmp_path / "c").stat()) == identity
    assert identity_of((tmp_path / "b").stat()) != identity
