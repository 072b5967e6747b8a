"""A Hub on loopback: two origins (the Hub itself and its storage) over one set of repos."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import anyio
from aiohttp import web

from hfdl_async.serving import access
from hfdl_async.serving.answer import Answer, Call, Hook, Origin
from hfdl_async.serving.datahost import LinkSigner, answer_data, understand_data
from hfdl_async.serving.hub_api import answer_api, redirect_renamed
from hfdl_async.serving.limits import Pacer, Quota
from hfdl_async.serving.log import RequestLog
from hfdl_async.serving.repos import HostedRepo
from hfdl_async.serving.resolve import answer_resolve
from hfdl_async.serving.routes import RepoIndex, parse_form, understand
from hfdl_async.serving.settings import Settings
from hfdl_async.serving.writing import ready, send

_SHUTDOWN_SECONDS = 0.05  # for aiohttp; our own requests are over by then


class HubServer:
    """Serves *repos* while its `async with` block is open.

    Attributes:
        endpoint: address of the Hub, without a trailing slash.
        data_origin: address of the storage that large files are redirected to.
        log: every request so far.
        settings: may be changed at any time.
    """

    def __init__(
        self,
        repos: Iterable[HostedRepo] = (),
        *,
        settings: Settings | None = None,
        hook: Hook | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        data_port: int = 0,
    ) -> None:
        self.settings = settings or Settings()
        self.repos = RepoIndex(list(repos))
        self.log = RequestLog()
        self.links = LinkSigner("")
        self.endpoint = ""
        self.data_origin = ""
        self._hook = hook
        self._host, self._ports = host, (port, data_port)
        self._quotas: dict[str, Quota] = {}
        self._shared_pacer: Pacer | None = None
        self._pacers: dict[tuple[str, int], Pacer] = {}
        self._requests: set[asyncio.Task[Any]] = set()
        self._servers: dict[Origin, web.Server] = {}
        self._runners: list[web.ServerRunner] = []

    async def __aenter__(self) -> HubServer:
        self.endpoint = await self._listen("hub", self._ports[0])
        self.data_origin = await self._listen("data", self._ports[1])
        self.links.origin = self.data_origin
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.aclose()

    async def aclose(self) -> None:
        """Stop listening, end every request and connection."""
        requests = list(self._requests)
        for task in requests:
            task.cancel()
        if requests:
            await asyncio.wait(requests)
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _listen(self, origin: Origin, port: int) -> str:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(request, origin)

        server = web.Server(
            handle,
            handler_cancellation=True,  # a client that left must end a stalled answer
            access_log=None,
            lingering_time=0,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        self._runners.append(runner)
        self._servers[origin] = server
        site = web.TCPSite(runner, self._host, port, backlog=1024)
        await site.start()
        return f"http://{self._host}:{runner.addresses[0][1]}"

    async def _handle(self, request: web.BaseRequest, origin: Origin) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        call = Call(
            origin,
            request.method,
            request.raw_path,
            request.headers,
            (request.transport.get_extra_info("peername") or ("", 0))[:2]
            if request.transport
            else ("", 0),
        )
        try:
            return await self._respond(request, call)
        finally:
            self._requests.discard(task)

    async def _respond(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        if request.method == "POST":
            call.form = parse_form(await request.read())
        answer = self._answer_hub(call) if call.origin == "hub" else self._answer_data(call)
        entry = self.log.begin(call)
        self.log.connections(call.origin, len(self._servers[call.origin].connections))
        try:
            if self._hook is not None and self._hook.active:
                answer = self._hook.alter(call, answer)
            entry.status = answer.status
            if self.settings.latency_seconds:
                await anyio.sleep(self.settings.latency_seconds)
            pacers = self._pacers_for(call)
            if not pacers and answer.wire is None and isinstance(answer.body, bytes):
                return ready(answer, entry)
            return await send(request, answer, entry, pacers)
        finally:
            self.log.end(entry)

    def _answer_data(self, call: Call) -> Answer:
        link = understand_data(call, self.links)
        return answer_data(call, link, self.links)

    def _answer_hub(self, call: Call) -> Answer:
        call.token = access.bearer(call.headers)
        asked_id = understand(call, self.repos)
        quota = self._quota("resolvers" if call.kind in ("resolve", "cache") else "api")
        counted = call.kind == "cache" or quota.count()
        if not counted:
            answer = access.refusal(call, 429, None, "Too many requests")
        elif call.repo is not None and call.repo.repo_id != asked_id:
            answer = redirect_renamed(call, call.repo, asked_id)
        elif call.kind in ("resolve", "cache"):
            answer = answer_resolve(call, self.settings, self.endpoint, self.links)
        elif call.kind == "api":
            answer = answer_api(call, self.settings, self.endpoint)
        else:
            answer = access.refusal(call, 404, None, "Not found")
        headers = {
            **answer.headers,
            **quota.headers(),
            "X-Request-Id": f"Root=1-{len(self.log):08x}",
            "X-Powered-By": "huggingface-moon",
        }
        return Answer(answer.status, headers, answer.body, answer.wire)

    def _quota(self, bucket: str) -> Quota:
        settings = self.settings
        size = settings.api_quota if bucket == "api" else settings.resolver_quota
        quota = self._quotas.get(bucket)
        if quota is None:
            quota = self._quotas[bucket] = Quota(bucket, size)
        quota.quota, quota.window_seconds = size, settings.quota_window_seconds
        return quota

    def _pacers_for(self, call: Call) -> list[Pacer]:
        shared, own = self.settings.rate_bytes_per_second, self.settings.rate_per_connection
        pacers: list[Pacer] = []
        if shared is not None:
            if self._shared_pacer is None:
                self._shared_pacer = Pacer(shared)
            self._shared_pacer.bytes_per_second = shared
            pacers.append(self._shared_pacer)
        if own is not None:
            pacer = self._pacers.setdefault(call.connection, Pacer(own))
            pacer.bytes_per_second = own
            pacers.append(pacer)
        return pacers
