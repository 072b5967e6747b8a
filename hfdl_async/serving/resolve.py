"""The content routes: where the Hub sends a downloader, and small files themselves."""

from __future__ import annotations

import gzip
from urllib.parse import quote

from hfdl_async.serving import access
from hfdl_async.serving.answer import Answer, Call, Wire, text_answer
from hfdl_async.serving.content import BytesContent
from hfdl_async.serving.datahost import LinkSigner
from hfdl_async.serving.ranges import answer_content
from hfdl_async.serving.repos import Commit, HostedFile, HostedRepo
from hfdl_async.serving.settings import Settings

GZIP_MIN_BYTES = 150  # the CDN leaves tiny files alone


def answer_resolve(call: Call, settings: Settings, endpoint: str, signer: LinkSigner) -> Answer:
    """Answer a request to /resolve/ or to /api/resolve-cache/."""
    repo = call.repo
    if repo is None:
        return access.repo_missing(call, settings)
    commit = repo.resolve(call.revision)
    file = commit.files.get(call.path) if commit is not None else None
    refused = access.check(call, repo, settings, route="content", file=file)
    if refused is not None:
        return refused
    if commit is None:
        return access.revision_missing(call)
    if file is None:
        return access.entry_missing(call, commit)
    if call.kind == "cache":
        return _small(call, commit, file)
    if file.lfs is not None:
        return _to_storage(repo, commit, file, settings, endpoint, signer)
    if settings.external_small_origin is not None:
        location = f"{settings.external_small_origin}/{repo.repo_id}/{quote(file.path)}"
        return _redirect(302, location, commit, {"ETag": f'"{file.oid}"'})
    if repo.direct or not repo.is_open:
        return _small(call, commit, file)
    return _to_cache(call, repo, commit, file)


def _redirect(status: int, location: str, commit: Commit, headers: dict[str, str]) -> Answer:
    reason = {302: "Found", 307: "Temporary Redirect"}[status]
    return text_answer(
        status,
        f"{reason}. Redirecting to {location}",
        {
            "Location": location,
            "X-Repo-Commit": commit.oid,
            "Accept-Ranges": "bytes",
            "Vary": "Origin, Accept",
            **headers,
        },
    )


def _to_cache(call: Call, repo: HostedRepo, commit: Commit, file: HostedFile) -> Answer:
    etag = f'"{file.oid}"'
    if call.headers.get("If-None-Match") == etag:
        return Answer(304, {"ETag": etag, "X-Repo-Commit": commit.oid})
    asked = quote(call.target.partition("?")[0], safe="")
    location = (
        f"/api/resolve-cache/{repo.repo_type}s/{repo.repo_id}/{commit.oid}/{quote(file.path)}"
        f"?{asked}=&etag=%22{file.oid}%22"
    )
    return _redirect(307, location, commit, {})


def _to_storage(
    repo: HostedRepo,
    commit: Commit,
    file: HostedFile,
    settings: Settings,
    endpoint: str,
    signer: LinkSigner,
) -> Answer:
    assert file.lfs is not None
    if settings.external_lfs_origin is not None:
        location = f"{settings.external_lfs_origin}/{repo.repo_id}/{quote(file.path)}"
    else:
        location = signer.sign(repo, file, settings.url_lifetime_seconds)
    token_route = f"{endpoint}/api/{repo.repo_type}s/{repo.repo_id}/xet-read-token/{commit.oid}"
    store = f"{endpoint}/no-chunk-store/v1/reconstructions/{file.lfs.xet_hash}"
    return _redirect(
        302,
        location,
        commit,
        {
            "X-Linked-Size": str(file.size),
            "X-Linked-Etag": f'"{file.lfs.sha256}"',
            "X-Xet-Hash": file.lfs.xet_hash,
            "Link": f'<{token_route}>; rel="xet-auth", <{store}>; rel="xet-reconstruction-info"',
        },
    )


def _small(call: Call, commit: Commit, file: HostedFile) -> Answer:
    name = file.path.rsplit("/", 1)[-1]
    disposition = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";"
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "ETag": f'"{file.etag}"',
        "X-Repo-Commit": commit.oid,
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition,
        "Vary": "Accept-Encoding",
    }
    if "gzip" in call.headers.get("Accept-Encoding", "") and _is_compressible(file):
        return _zipped(file, headers)
    return answer_content(file.content, headers, call.headers)


def _is_compressible(file: HostedFile) -> bool:
    """Tell whether the CDN would take it for text."""
    content = file.content
    if not isinstance(content, BytesContent) or content.size < GZIP_MIN_BYTES:
        return False
    return b"\0" not in content.data[:1024]


def _zipped(file: HostedFile, headers: dict[str, str]) -> Answer:
    # As the CDN does it: chunked, without a length, and deaf to Range.
    assert isinstance(file.content, BytesContent)
    body = gzip.compress(file.content.data, compresslevel=1, mtime=0)
    return Answer(
        200,
        {**headers, "Content-Encoding": "gzip", "ETag": f'W/"{file.etag}"'},
        body,
        Wire(announce=None),
    )
