"""What nginx is told about a repo."""

from __future__ import annotations

from pathlib import Path

from benchmarks.capture import Captured, Large, Page
from benchmarks.nginxconf import Place, configuration

COMMIT, OID = "c" * 40, "a" * 40
LINK = '<http://127.0.0.1:1/api/models/bench/x/tree/main?cursor=Zm8%3D>; rel="next"'


def place(*, tls: bool = False) -> Place:
    folder = Path("/scratch")
    return Place(
        1, 2, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3",
        folder, folder / "served", folder / "pages", folder / "storage", tls, 2,
    )  # fmt: skip


def captured() -> Captured:
    told = {"X-Linked-Size": "9", "X-Linked-Etag": '"e"', "X-Xet-Hash": "f" * 64, "Link": "<l>"}
    return Captured(
        "bench/x",
        COMMIT,
        [
            Page("", "true", ("",), "000000.json", LINK),
            Page("", "true", ("Zm8%3D", "Zm8="), "1", ""),
        ],
        {"a/b.json": OID},
        [Large("m.bin", "/xet-bridge-us/1/" + "f" * 64 + "?Signature=s~%7E", told)],
    )


def test_a_small_file_leads_to_the_cache_with_its_tag() -> None:
    text = configuration(place(), captured())
    assert f"'a/b.json' '%2Fa%2Fb.json=&etag=%22{OID}%22';" in text
    assert f"""'a/b.json' '"{OID}"';""" in text


def test_a_large_file_leads_to_the_storage_by_the_link_that_was_signed() -> None:
    text = configuration(place(), captured())
    wanted = f"http://127.0.0.1:2/xet-bridge-us/1/{'f' * 64}?Signature=s~%7E"
    assert f"'m.bin' '{wanted}';" in text
    assert "add_header X-Linked-Size $large_size;" in text


def test_each_page_is_found_by_its_cursor_however_it_is_quoted() -> None:
    text = configuration(place(), captured())
    assert "'?true?' '000000.json';" in text
    assert f"'?true?' '{LINK}';" in text
    assert "'?true?Zm8%3D' '1';" in text
    assert "'?true?Zm8=' '1';" in text


def test_tls_is_on_both_ports_or_on_none() -> None:
    assert " ssl backlog" not in configuration(place(), captured())
    with_tls = configuration(place(tls=True), captured())
    assert with_tls.count(" ssl backlog") == 2
    assert with_tls.count("ssl_certificate ") == 2


def test_braces_are_balanced() -> None:
    text = configuration(place(tls=True), captured())
    assert text.count("{") == text.count("}")
