from __future__ import annotations

import gzip
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from hfdl_async.serving import READER_TOKEN, HostedRepo, Settings
from hfdl_async.testing.faults import StartHub

pytestmark = pytest.mark.anyio

TEXT = b"words, words, words\n" * 50
FILES = {"text.txt": TEXT, "w.bin": b"weights", "a b/#1 100%?.txt": b"odd", "empty": b""}
IDENTITY = {"Accept-Encoding": "identity"}


def model(**facts: bool) -> HostedRepo:
    return HostedRepo.from_files("o/n", FILES, **facts)  # type: ignore[arg-type]


async def test_a_small_file_goes_by_a_relative_307_to_the_cache(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = model()
    running = await hub(repo)
    assert repo.head is not None
    url = f"{running.endpoint}/o/n/resolve/main/text.txt"
    async with http.get(url, headers=IDENTITY, allow_redirects=False) as response:
        oid = repo.head.files["text.txt"].oid
        assert response.status == 307
        assert response.headers["Location"] == (
            f"/api/resolve-cache/models/o/n/{repo.head.oid}/text.txt"
            f"?%2Fo%2Fn%2Fresolve%2Fmain%2Ftext.txt=&etag=%22{oid}%22"
        )
        assert response.headers["X-Repo-Commit"] == repo.head.oid
        body = await response.text()
        assert body.startswith("Temporary Redirect. Redirecting to /api/")
        assert "ETag" not in response.headers
        location = URL(running.endpoint + response.headers["Location"], encoded=True)
    async with http.get(location, headers=IDENTITY) as response:
        assert await response.read() == TEXT
        assert response.headers["ETag"] == f'"{oid}"'
        assert response.headers["X-Repo-Commit"] == repo.head.oid
        assert response.headers["Content-Length"] == str(len(TEXT))
        assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("facts", [{"private": True}, {"gated": "auto"}, {"direct": True}])
async def test_a_small_file_of_another_repo_comes_directly(
    hub: StartHub, http: aiohttp.ClientSession, facts: dict[str, bool]
) -> None:
    running = await hub(model(**facts))
    url = f"{running.endpoint}/o/n/resolve/main/text.txt"
    headers = {**IDENTITY, "Authorization": f"Bearer {READER_TOKEN}"}
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        assert response.status == 200
        assert await response.read() == TEXT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_large_file_goes_by_an_absolute_302_with_everything_about_it(
    hub: StartHub, http: aiohttp.ClientSession, method: str
) -> None:
    repo = model()
    running = await hub(repo)
    assert repo.head is not None
    file = repo.head.files["w.bin"]
    assert file.lfs is not None
    url = f"{running.endpoint}/o/n/resolve/main/w.bin"
    async with http.request(method, url, allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"].startswith(f"{running.data_origin}/xet-bridge-us/")
        assert response.headers["X-Linked-Size"] == "7"
        assert response.headers["X-Linked-Etag"] == f'"{file.lfs.sha256}"'
        assert response.headers["X-Xet-Hash"] == file.lfs.xet_hash
        assert 'rel="xet-auth"' in response.headers["Link"]
        assert "ETag" not in response.headers
        body = await response.read()
        assert len(body) == (int(response.headers["Content-Length"]) if method == "GET" else 0)


async def test_head_has_the_headers_of_get_and_no_body(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(model(direct=True))
    for path, size in (("text.txt", len(TEXT)), ("empty", 0)):
        url = f"{running.endpoint}/o/n/resolve/main/{path}"
        async with http.head(url, headers=IDENTITY) as response:
            assert response.status == 200
            assert response.headers["Content-Length"] == str(size)
            assert await response.read() == b""
    assert [entry.bytes_sent for entry in running.log] == [0, 0]


async def test_ranges_and_validators_work_on_small_files(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = model()
    running = await hub(repo)
    assert repo.head is not None
    url = f"{running.endpoint}/o/n/resolve/main/text.txt"
    async with http.get(url, headers={**IDENTITY, "Range": "bytes=5-9"}) as response:
        assert (response.status, await response.read()) == (206, TEXT[5:10])
        assert response.headers["Content-Range"] == f"bytes 5-9/{len(TEXT)}"
    etag = f'"{repo.head.files["text.txt"].oid}"'
    async with http.get(url, headers={"If-None-Match": etag}) as response:
        assert response.status == 304


async def test_text_comes_compressed_and_deaf_to_ranges_when_the_client_allows_it(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(model())
    url = f"{running.endpoint}/o/n/resolve/main/text.txt"
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=5-9"}
    async with http.get(url, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Encoding"] == "gzip"
        assert "Content-Length" not in response.headers
        assert gzip.decompress(await response.read()) == TEXT


async def test_odd_names_are_found_and_missing_ones_name_the_commit(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = model()
    running = await hub(repo)
    odd = URL(f"{running.endpoint}/o/n/resolve/main/{quote('a b/#1 100%?.txt')}", encoded=True)
    async with http.get(odd, headers=IDENTITY) as response:
        assert await response.read() == b"odd"
    async with http.get(f"{running.endpoint}/o/n/resolve/main/none") as response:
        assert response.status == 404
        assert repo.head is not None
        assert response.headers["X-Repo-Commit"] == repo.head.oid
        assert response.headers["X-Error-Code"] == "EntryNotFound"
        assert await response.text() == "Entry not found"


async def test_external_origins_get_repo_and_path(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    settings = Settings(external_lfs_origin="http://a.test", external_small_origin="http://b.test")
    running = await hub(model(), settings=settings)
    locations = []
    for path in ("w.bin", "text.txt"):
        url = f"{running.endpoint}/o/n/resolve/main/{path}"
        async with http.get(url, allow_redirects=False) as response:
            locations.append(response.headers["Location"])
    assert locations == ["http://a.test/o/n/w.bin", "http://b.test/o/n/text.txt"]
