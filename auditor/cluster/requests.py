"""Asking the API server: each request has a timeout, is tried again if that may help, and obeys the server's brakes."""

from __future__ import annotations

import random
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    SSLError,
    TimeoutError,  # noqa: A004
)

from auditor.cluster.connection import Connection
from auditor.cluster.pace import Brakes, Deadline, Limits, RequestError
from auditor.errors import ClusterUnreachableError

T = TypeVar("T")

_CONNECT_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 15.0
_LONGEST_ERROR_BYTES = 64 * 1024
_PIECE_BYTES = 1024 * 1024


class CancelledError(Exception):
    """The collection was cancelled while this request waited."""


class Stream(Protocol):
    """The body of an answer as it arrives."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end.

        Raises:
            RequestError: the connection broke.
        """

    def read1(self, size: int, /) -> bytes:
        """What has arrived, at most ``size`` bytes; waits for the first byte, and gives none at the end.

        Raises:
            RequestError: the connection broke.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer of the API server."""

    status: int
    body: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a request does, where it does more than read.

    Attributes:
        method: of HTTP.
        body: what is sent, if anything.
        content_type: of the body.
    """

    method: str
    body: bytes | None = None
    content_type: str = "application/json"


_GET = Change(method="GET")


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    message: str = ""


class ApiServer:
    """An API server that is asked within limits."""

    def __init__(self, connection: Connection, limits: Limits | None = None) -> None:
        self.connection = connection
        self.limits = limits or Limits()
        self.requests = 0
        """Requests made so far, failed ones included."""
        self._brakes = Brakes(self.limits.requests_per_second)
        self._slots = threading.BoundedSemaphore(self.limits.parallel_requests)
        self._cancelled = threading.Event()
        self._under_way: set[urllib3.BaseHTTPResponse] = set()
        connection.pool.connection_pool_kw["maxsize"] = self.limits.parallel_requests

    def cancel(self) -> None:
        """Let no further request start, and break off those under way; they raise :class:`CancelledError`."""
        self._cancelled.set()
        for response in tuple(self._under_way):
            _break_off(response)

    def text(self, path: str, *, deadline: Deadline) -> str:
        """A whole answer, tried again until the deadline where that may help.

        Raises:
            RequestError: it did not come.
        """
        return self.insist(lambda: self._whole(path, "*/*", deadline).decode(errors="replace"), deadline)

    def json(self, path: str, shape: type[T], *, deadline: Deadline) -> T:
        """A whole answer that is JSON of a shape, tried again until the deadline where that may help.

        Raises:
            RequestError: it did not come, or is something else.
        """

        def decoded() -> T:
            data = self._whole(path, "application/json", deadline)
            try:
                return msgspec.json.decode(data, type=shape)
            except msgspec.DecodeError as error:
                raise _no_api_answer(data, error) from error

        return self.insist(decoded, deadline)

    def insist(self, attempt: Callable[[], T], deadline: Deadline) -> T:
        """Try until it works, the error is final, or the deadline has passed; pauses grow and vary.

        Raises:
            RequestError: the last one.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return attempt()
            except RequestError as error:
                jittered = pause_seconds * random.uniform(0.5, 1.5)  # noqa: S311  jitter, not a secret
                pause = max(jittered, error.retry_after_seconds)
                if error.is_final or deadline.left_seconds <= pause:
                    raise
                self._cancelled.wait(pause)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                deadline.tries += 1

    @contextmanager
    def open(
        self,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        accept: str = "application/json",
        deadline: Deadline,
        change: Change | None = None,
    ) -> Iterator[Answer]:
        """One request, its answer to be read as it arrives: a GET, or a change.

        Raises:
            RequestError: there was no answer in time, or not a good one.
        """
        url = f"{self.connection.server}{path}{'?' + urlencode(query) if query else ''}"
        with self._slots:
            self._brakes.wait(deadline, self._cancelled)
            self._stop_if_cancelled()
            self.requests += 1
            response = self._send(url, accept, deadline, change or _GET)
            self._under_way.add(response)
            watchdog = threading.Timer(
                deadline.left_seconds, _break_off, [response]
            )  # a read may wait for its last byte
            watchdog.daemon = True
            watchdog.start()
            try:
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    raise self._refusal(response)
                yield Answer(status=response.status, body=_Body(response, partial(self._check, deadline)))
                response.release_conn()  # read to its end: the next request may use the connection
            finally:
                watchdog.cancel()
                self._under_way.discard(response)
                if response.connection is not None:
                    response.close()

    def _whole(self, path: str, accept: str, deadline: Deadline) -> bytes:
        with self.open(path, accept=accept, deadline=deadline) as answer:
            pieces = []
            while piece := answer.body.read(_PIECE_BYTES):
                pieces.append(piece)
            return b"".join(pieces)

    def _check(self, deadline: Deadline) -> None:
        self._stop_if_cancelled()
        if not deadline.left_seconds:
            raise RequestError(None, f"the answer did not end within {deadline.seconds:.0f} s")

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError

    def _send(self, url: str, accept: str, deadline: Deadline, change: Change) -> urllib3.BaseHTTPResponse:
        wait_seconds = min(self.limits.request_timeout_seconds, max(deadline.left_seconds, 1.0))
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, wait_seconds), read=wait_seconds)
        encodings = "gzip" if self.limits.compress else "identity"
        headers = {**self.connection.headers(), "Accept": accept, "Accept-Encoding": encodings}
        if change.body is not None:
            headers["Content-Type"] = change.content_type
        try:
            return self.connection.pool.request(
                change.method,
                url,
                body=change.body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise _not_sent(error, timeout) from error

    def _refusal(self, response: urllib3.BaseHTTPResponse) -> RequestError:
        try:
            text = response.read(_LONGEST_ERROR_BYTES, decode_content=True)
        except (HTTPError, OSError):
            text = b""
        retry_after_seconds = _retry_after_seconds(response)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._brakes.hold(retry_after_seconds)
        return RequestError(
            response.status,
            _message(text) or response.reason or "",
            body=text.decode(errors="replace"),
            retry_after_seconds=retry_after_seconds,
        )


class _Body:
    def __init__(self, response: urllib3.BaseHTTPResponse, check: Callable[[], None]) -> None:
        self._response = response
        self._check = check

    def read(self, size: int, /) -> bytes:
        return self._piece(lambda: self._response.read(size, decode_content=True))

    def read1(self, size: int, /) -> bytes:
        return self._piece(lambda: self._response.read1(size, decode_content=True))

    def _piece(self, read: Callable[[], bytes]) -> bytes:
        self._check()
        try:
            return read()
        except (HTTPError, OSError, ValueError) as error:  # ValueError: a TLS socket that was broken off
            self._check()
            raise RequestError(None, f"the connection broke in mid-answer ({type(error).__name__})") from error


def unreachable(server: str, error: RequestError) -> ClusterUnreachableError:
    """The error for a cluster that does not answer at all, or not to this account."""
    if error.status == HTTPStatus.UNAUTHORIZED:
        return ClusterUnreachableError(
            f"The API server {server} does not know who asks (HTTP 401: {error.reason}).",
            cause="The token or certificate of this context has expired, or belongs to another cluster.",
            next_step="Log in again, then: kubectl auth whoami",
        )
    return ClusterUnreachableError(
        f"The API server {server} does not answer: {error}.",
        cause=error.cause or "The address, a VPN, a proxy or a firewall; or the API server is down.",
        next_step="kubectl version",
    )


def _break_off(response: urllib3.BaseHTTPResponse) -> None:
    with suppress(ValueError, RuntimeError, OSError):  # it has ended meanwhile
        response.shutdown()


def _no_api_answer(data: bytes, error: msgspec.DecodeError) -> RequestError:
    """JSON that was cut short may come whole the next time; what is no JSON at all comes from another server."""
    is_json = data.lstrip().startswith(b"{")
    cause = "" if is_json else "A proxy, a login page or another service answers at this address."
    return RequestError(None, f"the answer is not that of an API server ({error})", cause=cause)


def _not_sent(error: Exception, timeout: urllib3.Timeout) -> RequestError:
    match error:
        case ProxyError():
            return RequestError(None, f"the proxy does not let it through: {error.original_error}")
        case SSLError() if isinstance(error.args[0], ssl.SSLCertVerificationError):
            return RequestError(
                None,
                f"TLS: {error.args[0].verify_message}",
                cause="The server's certificate has expired, is for another name, or was not issued by the "
                "certificate-authority of the kubeconfig: another cluster, or something between that reads along.",
            )
        case SSLError():
            return RequestError(None, f"TLS: {error}")
        case NewConnectionError():  # a timeout, says its class
            return RequestError(None, f"no connection: {error.__cause__ or error}")
        case ConnectTimeoutError():
            return RequestError(None, f"no connection within {timeout.connect_timeout:.0f} s")
        case TimeoutError():
            return RequestError(None, f"no answer within {timeout.read_timeout:.0f} s")
        case _:
            return RequestError(None, f"{type(error).__name__}: {error}")


def _message(text: bytes) -> str:
    try:
        return msgspec.json.decode(text, type=_Status).message
    except msgspec.DecodeError:
        return text.decode(errors="replace").strip()[:300]


def _retry_after_seconds(response: urllib3.BaseHTTPResponse) -> float:
    """What the server asked for; a second where it did not, or gave a date, with 429; nothing with other errors."""
    try:
        return float(max(0, int(response.headers.get("Retry-After", ""))))
    except ValueError:
        return 1.0 if response.status == HTTPStatus.TOO_MANY_REQUESTS else 0.0
