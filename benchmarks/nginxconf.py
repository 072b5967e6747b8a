"""The configuration that makes nginx answer as a Hub does for one public repo.

Source for the answers: `hfdl_async.serving`, whose statuses and headers these repeat; `front.py`
compares the two at every start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks.capture import Captured

WORKER_CONNECTIONS = 4096
# One size fits all, and nginx never searches for a smaller one, which takes minutes for 100,000.
MAP_BUCKET_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens and finds things.

    Attributes:
        hub_port, data_port: where it listens, on 127.0.0.1.
        public, data_public: the addresses that clients see.
        upstream: the embedded hub, for whatever is not kept here.
        scratch: logs, temporary files, certificate.
        served, pages, storage: contents by repo and path; pages of listings; contents by Xet hash.
        workers: processes.
        most_connections, rate_per_request: see `Line`.
    """

    hub_port: int
    data_port: int
    public: str
    data_public: str
    upstream: str
    scratch: Path
    served: Path
    pages: Path
    storage: Path
    tls: bool
    workers: int
    most_connections: int | None = None
    rate_per_request: int | None = None


def configuration(place: Place, captured: Captured) -> str:
    """Return the whole configuration."""
    return f"""daemon off;
worker_processes {place.workers};
worker_rlimit_nofile 65536;
pid {place.scratch}/nginx.pid;
error_log {place.scratch}/nginx-error.log;
events {{ worker_connections {WORKER_CONNECTIONS}; }}
http {{
{_general(place)}
{_maps(place, captured)}
    server {{
        listen 127.0.0.1:{place.hub_port}{" ssl" if place.tls else ""} backlog=4096;
{_tls(place)}
{_api(place, captured)}
{_resolve(place, captured)}
        location / {{ proxy_pass {place.upstream}; }}
    }}
    server {{
        listen 127.0.0.1:{place.data_port}{" ssl" if place.tls else ""} backlog=4096;
{_tls(place)}
{_storage(place)}
    }}
}}
"""


def _general(place: Place) -> str:
    folders = "\n".join(
        f"    {kind}_temp_path {place.scratch}/nginx-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""{folders}
    log_format traffic '$msec $request_time $request_method $kind $body_bytes_sent';
    access_log {place.scratch}/nginx-access.log traffic;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    absolute_redirect off;
    etag off;
    if_modified_since off;
    server_tokens off;
    open_file_cache max=8000 inactive=600s;
    open_file_cache_valid 600s;
    variables_hash_max_size 2048;
    large_client_header_buffers 8 32k;
    limit_conn_zone $server_port zone=connections:1m;
    limit_conn_status 429;
    limit_conn_log_level info;
    proxy_set_header Host $http_host;"""


def _tls(place: Place) -> str:
    if not place.tls:
        return ""
    return f"""        ssl_certificate {place.scratch}/server.pem;
        ssl_certificate_key {place.scratch}/server.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:s:1m;"""


def _maps(place: Place, captured: Captured) -> str:
    commit = captured.commit
    kinds = {
        f"~^{place.hub_port}:/api/resolve-cache/": "data",
        f"~^{place.hub_port}:/api/": "api",
        f"~^{place.hub_port}:.*/resolve/": "resolve",
        f"~^{place.data_port}:": "data",
    }
    pages: dict[str, str] = {}
    links: dict[str, str] = {}
    for page in captured.pages:
        for cursor in page.cursors:
            key = f"{page.folder}?{page.recursive}?{cursor}"
            pages[key] = page.name
            if page.link:
                links[key] = page.link
    small = captured.small
    large = captured.large
    tails = {path: f"%2F{quote(path, safe='')}=&etag=%22{oid}%22" for path, oid in small.items()}
    asked = '"$folder?$arg_recursive?$arg_cursor"'
    return "\n".join(
        [
            f"    map_hash_bucket_size {MAP_BUCKET_BYTES};",
            f"    map_hash_max_size {max(2048, len(small))};",
            _map('"$server_port:$uri"', "kind", kinds, default="other"),
            _map("$kind", "bucket", {"api": "api"}, default="resolvers"),
            _map(asked, "page", pages),
            _map(asked, "next_page", links),
            _map("$path", "small_tail", tails),
            _map("$path", "small_etag", {path: f'"{oid}"' for path, oid in small.items()}),
            _map(
                "$path",
                "large_place",
                {file.path: place.data_public + file.target for file in large},
            ),
            *(
                _map("$path", variable, {file.path: file.headers[header] for file in large})
                for variable, header in LARGE_HEADERS.items()
            ),
            _map("$uri", "name", {r"~/(?<last>[^/]+)$": "$last"}),
            _map("$uri", "commit", {}, default=commit),
        ]
    )


LARGE_HEADERS = {
    "large_size": "X-Linked-Size",
    "large_etag": "X-Linked-Etag",
    "large_xet": "X-Xet-Hash",
    "large_link": "Link",
}
_HUB_HEADERS = """
            add_header RateLimit '"$bucket";r=9999999;t=300';
            add_header RateLimit-Policy '"fixed window";"$bucket";q=10000000;w=300';
            add_header X-Request-Id Root=1-$request_id;
            add_header X-Powered-By huggingface-moon;"""


def _api(place: Place, captured: Captured) -> str:
    api = f"/api/models/{captured.repo_id}"
    json_type = "max_ranges 0; types {} default_type 'application/json; charset=utf-8';"
    return f"""
        location = {api}/revision/main {{
            if ($args) {{ proxy_pass {place.upstream}; }}
            {json_type}{_HUB_HEADERS}
            alias {place.pages}/info.json;
        }}
        location ~ ^{api}/tree/(main|{captured.commit})(?<folder>/.*)?$ {{
            if ($arg_expand = true) {{ proxy_pass {place.upstream}; }}
            if ($page = "") {{ proxy_pass {place.upstream}; }}
            {json_type}{_HUB_HEADERS}
            add_header Link $next_page;
            alias {place.pages}/$page;
        }}
        location ~ ^/api/resolve-cache/models/{captured.repo_id}/{captured.commit}/(?<path>.+)$ {{
            if ($small_etag = "") {{ proxy_pass {place.upstream}; }}
            types {{}} default_type 'text/plain; charset=utf-8';{_HUB_HEADERS}
            add_header ETag $small_etag;
            add_header X-Repo-Commit $commit;
            add_header Content-Disposition "inline; filename*=UTF-8''$name; filename=\\"$name\\";";
            add_header Vary Accept-Encoding;
            alias {place.served}/{captured.repo_id}/$path;
        }}"""


def _resolve(place: Place, captured: Captured) -> str:
    repo_id, asked = captured.repo_id, quote(f"/{captured.repo_id}/resolve/", safe="")
    cache = f"/api/resolve-cache/models/{repo_id}/{captured.commit}/$path"
    large = "".join(
        f"\n            add_header {header} ${variable};"
        for variable, header in LARGE_HEADERS.items()
    )
    revision = f"(?<revision>main|{captured.commit})"
    return f"""
        location ~ ^/{repo_id}/resolve/{revision}/(?<path>.+)$ {{{_HUB_HEADERS}
            add_header X-Repo-Commit $commit;
            add_header Accept-Ranges bytes;
            add_header Vary "Origin, Accept";{large}
            if ($large_place) {{ return 302 $large_place; }}
            if ($small_tail) {{ return 307 {cache}?{asked}$revision$small_tail; }}
            proxy_pass {place.upstream};
        }}"""


def _storage(place: Place) -> str:
    return f"""        location ~ ^/xet-bridge-us/[^/]+/(?<xet>[0-9a-f]+)$ {{
            types {{}} default_type application/octet-stream;
            add_header ETag '"$xet"';
            add_header Cache-Control "public, max-age=31536000";
            add_header X-Cache "Hit from cloudfront";
            alias {place.storage}/$xet;{_limits(place)}
        }}
        location @busy {{
            add_header Retry-After 1 always;
            return 429;
        }}"""


def _limits(place: Place) -> str:
    text = ""
    if place.most_connections:
        text += f"""
            limit_conn connections {place.most_connections};
            error_page 429 = @busy;"""
    if place.rate_per_request:
        text += f"""
            limit_rate {place.rate_per_request};"""
    return text


def _map(source: str, name: str, values: Mapping[str, str], *, default: str = "") -> str:
    lines = "\n".join(_entries(values))
    return f"    map {source} ${name} {{\n        default {_quoted(default)};\n{lines}\n    }}"


def _entries(values: Mapping[str, str]) -> Iterable[str]:
    for key, value in values.items():
        yield f"        {_quoted(key)} {_quoted(value)};"


def _quoted(text: str) -> str:
    # The paths of benchmarks hold neither backslashes nor quotes; ETags and links do hold quotes.
    return "'" + text.replace("'", "\\'") + "'"
