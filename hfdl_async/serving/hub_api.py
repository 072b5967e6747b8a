"""The Hub's JSON API, as far as a downloader uses it."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from hfdl_async.serving import access, listing
from hfdl_async.serving.answer import (
    Answer,
    Call,
    json_answer,
    raw_json_answer,
    text_answer,
)
from hfdl_async.serving.repos import Commit, HostedRepo
from hfdl_async.serving.settings import Settings

_LONG_PAGES = 1000  # the Hub's own upper bound for `limit`


def answer_api(call: Call, settings: Settings, endpoint: str) -> Answer:
    """Answer a request under /api (except resolve-cache)."""
    if call.what == "whoami-v2":
        return _whoami(call, settings)
    if call.what == "agent-harnesses":
        return json_answer({})
    repo = call.repo
    if repo is None:
        return access.repo_missing(call, settings)
    needs_access = call.what in ("auth-check", "xet-read-token")
    refused = access.check(call, repo, settings, route="content" if needs_access else "facts")
    if refused is not None:
        return refused
    if call.what == "auth-check":
        return text_answer(200, "OK")
    if call.what == "refs":
        return _refs(call, repo)
    commit = repo.resolve(call.revision or "main")
    if commit is None:
        return access.revision_missing(call)
    if call.what in ("info", "revision"):
        return _info(call, repo, commit)
    if call.what == "tree":
        return _tree(call, repo, commit, settings, endpoint)
    if call.what == "paths-info":
        return _paths_info(call, repo, commit, settings)
    if call.what == "xet-read-token":
        return _xet_token(endpoint)
    return access.refusal(call, 404, None, "Not found")


def _whoami(call: Call, settings: Settings) -> Answer:
    who = access.persona(call.token, settings)
    if not who.is_logged_in:
        return access.refusal(call, 401, None, "Invalid credentials in Authorization header")
    return json_answer(
        {"type": "user", "id": "0" * 24, "name": who.value, "auth": {"type": "access_token"}}
    )


def _xet_token(endpoint: str) -> Answer:
    # The address leads nowhere: this hub has no chunk store, clients are to take the redirect.
    token, expires, store = "xet_token", "4102444800", f"{endpoint}/no-chunk-store"
    return json_answer(
        {"accessToken": token, "exp": int(expires), "casUrl": store},
        headers={
            "X-Xet-Access-Token": token,
            "X-Xet-Token-Expiration": expires,
            "X-Xet-Cas-Url": store,
        },
    )


def _info(call: Call, repo: HostedRepo, commit: Commit) -> Answer:
    text = listing.info(repo, commit, blobs=call.query.get("blobs") == "true")
    wanted = [call.query[name] for name in ("expand", "expand[]") if name in call.query]
    if wanted:
        full = json.loads(text)
        names = ["_id", "id", *(part for value in wanted for part in value.split(","))]
        text = json.dumps({name: full[name] for name in names if name in full})
    return raw_json_answer(text)


def _tree(
    call: Call, repo: HostedRepo, commit: Commit, settings: Settings, endpoint: str
) -> Answer:
    recursive = call.query.get("recursive", "false") == "true"
    expand = call.query.get("expand", "false") == "true"
    found = listing.entries(
        commit,
        under=call.path.strip("/"),
        recursive=recursive,
        masked=not access.sees_hashes(call, repo, settings),
        expand=expand,
    )
    if found is None:
        return access.entry_missing(call, commit)
    asked = call.query.get("limit", "")
    limit = min(settings.page_size, int(asked) if asked.isdigit() else _LONG_PAGES) or 1
    start = listing.offset_of(call.query["cursor"]) if "cursor" in call.query else 0
    if start is None:
        return access.refusal(call, 400, None, "Invalid cursor")
    page, stop = found[start : start + limit], start + limit
    headers: dict[str, str] = {}
    if stop < len(found):
        query = urlencode(
            {
                "expand": str(expand).lower(),
                "recursive": str(recursive).lower(),
                "limit": limit,
                "cursor": listing.cursor_at(stop, page[-1]),
            }
        )
        path = call.target.partition("?")[0]
        headers["Link"] = f'<{endpoint}{path}?{query}>; rel="next"'
    return raw_json_answer(f"[{','.join(page)}]", headers=headers)


def _paths_info(call: Call, repo: HostedRepo, commit: Commit, settings: Settings) -> Answer:
    masked = not access.sees_hashes(call, repo, settings)
    expand = call.form.get("expand", ["false"])[-1].lower() == "true"
    result: list[dict[str, object]] = []
    for path in call.form.get("paths", []):
        if path in commit.files:
            result.append(listing.file_entry(commit.files[path], masked=masked, expand=expand))
        elif any(name.startswith(f"{path}/") for name in commit.files):
            result.append(listing.folder_entry(commit, path))
    return json_answer(result)


def _refs(call: Call, repo: HostedRepo) -> Answer:
    groups: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": []}
    if call.query.get("include_prs") in ("1", "true"):
        groups["pullRequests"] = []
    kinds = {"heads": "branches", "tags": "tags", "convert": "converts", "pr": "pullRequests"}
    for ref, commit in repo.refs.items():
        _, kind, name = ref.split("/", 2)
        group = groups.get(kinds[kind])
        if group is not None:
            group.append({"name": name, "ref": ref, "targetCommit": commit})
    return json_answer(groups)


def redirect_renamed(call: Call, repo: HostedRepo, asked_id: str) -> Answer:
    """Send the caller of an old repo id to the new one, by a relative redirect."""
    path, mark, query = call.target.partition("?")
    target = path.replace(f"/{quote(asked_id)}", f"/{quote(repo.repo_id)}", 1) + mark + query
    return text_answer(307, f"Temporary Redirect. Redirecting to {target}", {"Location": target})
