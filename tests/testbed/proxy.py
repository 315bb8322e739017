"""A reverse proxy in front of the API server that misbehaves by rules, and keeps a record of what it was asked.

    with ApiProxy(rules=[Rule(do=Answer(status=429, retry_after_seconds=1), resource="pods", times=2)]) as proxy:
        Cluster(proxy.kubeconfig).core.list_namespaced_pod("default")
        assert proxy.count(resource="pods") == 3

What no rule catches is forwarded as it is: streamed, compressed, watched, upgraded to WebSocket (exec). Tokens are
passed on. A client certificate cannot be: who shows one speaks to the API server as the administrator.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import yaml
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.testbed import pki
from tests.testbed.client import Cluster
from tests.testbed.layout import KUBECONFIG, PKI
from tests.testbed.pki import AUTHORITY, KeyPair
from tests.testbed.proxy_rules import Answer, Delay, Drop, Request, Rule, RuleState, Truncate, understand

__all__ = ["Answer", "ApiProxy", "Delay", "Drop", "Request", "Rule", "Truncate", "serve", "serving_identity"]

LOOPBACK = "127.0.0.1"

_ADMINISTRATOR = KeyPair(PKI / "admin.key", PKI / "admin.crt")
_HOP_BY_HOP = {"connection", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

T = TypeVar("T")


class ApiProxy:
    """The proxy, in a thread of its own between ``__enter__`` and ``__exit__``.

    Attributes:
        requests: what it was asked so far, each with the rule that caught it, if one did.
        kubeconfig: like the one it was given, but leading to the proxy; there while the proxy runs.
        port: where it listens.
    """

    def __init__(
        self,
        *,
        rules: tuple[Rule, ...] | list[Rule] = (),
        kubeconfig: Path = KUBECONFIG,
        address: str = LOOPBACK,
        certificate_lifetime: timedelta = timedelta(days=1),
    ) -> None:
        self.requests: list[tuple[Request, Rule | None]] = []
        self.kubeconfig = Path()
        self.port = 0
        self._original = kubeconfig
        self._states = [RuleState(rule) for rule in rules]
        self._address = address
        self._certificate_lifetime = certificate_lifetime
        self._api_server = ""
        self._stack = ExitStack()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def __enter__(self) -> Self:
        config = yaml.safe_load(self._original.read_text())
        server = config["clusters"][0]["cluster"]
        self._api_server = server["server"]
        with self._stack:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="auditor-proxy-")))
            identity = self._stack.enter_context(serving_identity(self._address, self._certificate_lifetime))
            self.port = self._stack.enter_context(serve(self._handle, self._address, identity, until=self._close))
            server["server"] = f"https://{self._address}:{self.port}"
            self.kubeconfig = folder / "kubeconfig"
            self.kubeconfig.write_text(yaml.safe_dump(config))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def cluster(self) -> Cluster:
        """The cluster as seen through the proxy."""
        return Cluster(self.kubeconfig)

    def count(self, *, path: str = "", verb: str = "", resource: str = "", caught: bool | None = None) -> int:
        """How many requests of a kind came; only those that a rule caught, or none did, if asked for."""
        kind = Rule(do=Answer(status=0), path=path, verb=verb, resource=resource)
        return sum(kind.matches(request) and caught in (None, rule is not None) for request, rule in self.requests)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = understand(request.method, request.raw_path)
        rule = next((state.rule for state in self._states if state.catches(asked)), None)
        self.requests.append((asked, rule))
        match rule.do if rule else None:
            case Answer() as answer:
                return _error(answer)
            case Drop(after_bytes=None):
                return _break(request)
            case Delay(seconds):
                await asyncio.sleep(seconds)
            case Drop() | Truncate() as fate:
                return await self._forward_in_part(request, fate)
            case None:
                pass
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._forward_socket(request)
        return await self._forward(request)

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self._ask(request, _forwarded(request.headers)) as upstream:
            response = web.StreamResponse(
                status=upstream.status, reason=upstream.reason, headers=_forwarded(upstream.headers)
            )
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def _forward_in_part(self, request: web.BaseRequest, fate: Drop | Truncate) -> web.StreamResponse:
        headers = _forwarded(request.headers)
        headers.popall("Accept-Encoding", None)  # half of a compressed body would not be half of the text
        async with self._ask(request, headers) as upstream:
            body = await upstream.read()
            answer_headers = _forwarded(upstream.headers)
        answer_headers.popall("Content-Length", None)
        if isinstance(fate, Truncate):
            kept = body[: int(len(body) * fate.keep_share)]
            return web.Response(status=upstream.status, headers=answer_headers, body=kept)
        response = web.StreamResponse(status=upstream.status, headers=answer_headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: fate.after_bytes])
        return _break(request)

    async def _forward_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        protocols = [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        headers = _forwarded(request.headers)
        for name in [name for name in headers if name.lower().startswith("sec-websocket-")]:
            headers.popall(name, None)
        try:
            connected = self._session(request).ws_connect(
                self._url(request), protocols=protocols, headers=headers, max_msg_size=0, autoping=False
            )
            async with connected as upstream:
                chosen = [upstream.protocol] if upstream.protocol else []
                client = web.WebSocketResponse(protocols=chosen, max_msg_size=0, autoping=False)
                await client.prepare(request)
                await asyncio.gather(_pump(client, upstream), _pump(upstream, client))
                return client
        except aiohttp.WSServerHandshakeError as refused:
            return _error(Answer(status=refused.status, message=refused.message))

    def _ask(self, request: web.BaseRequest, headers: CIMultiDict[str]) -> Any:
        return self._session(request).request(
            request.method,
            self._url(request),
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    def _url(self, request: web.BaseRequest) -> URL:
        return URL(self._api_server + request.raw_path, encoded=True)

    def _session(self, request: web.BaseRequest) -> aiohttp.ClientSession:
        """Connections to the API server: the administrator's, or nobody's, which a token makes somebody's."""
        assert request.transport is not None
        as_administrator = bool(request.transport.get_extra_info("peercert")) and "Authorization" not in request.headers
        if as_administrator not in self._sessions:
            tls = ssl.create_default_context(cafile=AUTHORITY.certificate)
            if as_administrator:
                tls.load_cert_chain(_ADMINISTRATOR.certificate, _ADMINISTRATOR.key)
            self._sessions[as_administrator] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )
        return self._sessions[as_administrator]

    async def _close(self) -> None:
        for session in self._sessions.values():
            await session.close()


@contextmanager
def serving_identity(address: str, lifetime: timedelta = timedelta(days=1)) -> Iterator[KeyPair]:
    """A key and a certificate of the test bed's authority for an address; expired if the lifetime is negative."""
    name = f"serving-{uuid.uuid4().hex[:8]}"
    pair = pki.issue(name, "auditor-testbed-proxy", hosts=(address, "localhost"), lifetime=lifetime)
    try:
        yield pair
    finally:
        pair.key.unlink()
        pair.certificate.unlink()


@contextmanager
def serve(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    address: str,
    identity: KeyPair,
    *,
    until: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Iterator[int]:
    """Serve HTTPS in a thread; yields the port. ``until`` is awaited in the thread at the end."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=AUTHORITY.certificate)
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_cert_chain(identity.certificate, identity.key)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # broken handshakes are what the tests are about
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=30)

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(handler, handler_cancellation=True, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, address, 0, ssl_context=tls).start()
        return runner

    async def stop(runner: web.ServerRunner) -> None:
        assert runner.server is not None
        transports = [connection.transport for connection in runner.server.connections]
        await runner.cleanup()
        for transport in filter(None, transports):
            transport.abort()  # closing would wait for the client to agree
        if until is not None:
            await until()
        await loop.shutdown_default_executor()

    try:
        runner = do(start())
        try:
            yield runner.addresses[0][1]
        finally:
            do(stop(runner))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _forwarded(headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that are for the other end, and not for the hop."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


def _error(answer: Answer) -> web.Response:
    if answer.text:
        return web.Response(status=answer.status, text=answer.text)
    reason = answer.reason or HTTPStatus(answer.status).phrase.replace(" ", "")
    details = {} if answer.retry_after_seconds is None else {"retryAfterSeconds": answer.retry_after_seconds}
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": answer.message,
        "reason": reason,
        "details": details,
        "code": answer.status,
    }
    headers = {} if answer.retry_after_seconds is None else {"Retry-After": str(answer.retry_after_seconds)}
    return web.json_response(status, status=answer.status, headers=headers)


def _break(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _pump(source: Any, target: Any) -> None:
    """Pass WebSocket messages on until the source closes, then close the target."""
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.PING:
            await target.ping(message.data)
        elif message.type is aiohttp.WSMsgType.PONG:
            await target.pong(message.data)
    if not target.closed:
        await target.close()
