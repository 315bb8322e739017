"""How gently, and for how long, an API server is asked; and the error of a request that got nothing."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http import HTTPStatus

_TRY_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How gently, and for how long, a cluster is asked.

    Attributes:
        request_timeout_seconds: without a byte for so long a request has failed.
        deadline_seconds: for one resource, all of its pages and tries included.
        requests_per_second: over all resources.
        parallel_requests: at one time.
        compress: whether answers may come compressed, which costs the API server CPU and saves transfer.
    """

    request_timeout_seconds: float = 30
    deadline_seconds: float = 300
    requests_per_second: float = 20
    parallel_requests: int = 4
    compress: bool = False


class RequestError(Exception):
    """A request that did not get what it asked for.

    Attributes:
        status: of the answer; None where there was none.
        reason: what the server, or the transport, said.
        body: the whole answer, cut at 64 KiB.
        retry_after_seconds: for how long the server asked to wait.
        cause: the likely cause, where it is certain enough that trying again is in vain.
    """

    def __init__(
        self,
        status: int | None,
        reason: str,
        *,
        body: str = "",
        retry_after_seconds: float = 0.0,
        cause: str = "",
    ) -> None:
        super().__init__(f"HTTP {status}: {reason}" if status else reason)
        self.status = status
        self.reason = reason
        self.body = body
        self.retry_after_seconds = retry_after_seconds
        self.cause = cause

    @property
    def is_final(self) -> bool:
        """Whether the same would happen again."""
        return bool(self.cause) or (self.status is not None and self.status not in _TRY_AGAIN)


class Deadline:
    """The end of the time that one resource may take.

    Attributes:
        seconds: the whole time.
        tries: 1, and one more for each time that something had to be asked for again.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.tries = 1
        self._ends = time.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """What is left, 0 when it has passed."""
        return max(0.0, self._ends - time.monotonic())


class Brakes:
    """Spaces requests evenly, and holds all of them back while the server asks for it."""

    def __init__(self, requests_per_second: float) -> None:
        self._interval_seconds = 1 / requests_per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, deadline: Deadline, cancelled: threading.Event) -> None:
        """Wait for this request's turn, or until all is cancelled.

        Raises:
            RequestError: the turn comes after the deadline.
        """
        while pause_seconds := self._seconds_to_turn():
            if pause_seconds > deadline.left_seconds:
                raise RequestError(
                    None,
                    f"its turn did not come within {deadline.seconds:.0f} s",
                    cause="The API server asks for patience (429), or few requests per second are allowed.",
                )
            if cancelled.wait(pause_seconds):  # a hold may have begun meanwhile: look again
                return

    def hold(self, seconds: float) -> None:
        """Let no request start for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def _seconds_to_turn(self) -> float:
        """0 where the turn is now; it is taken then."""
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return self._next - now
            self._next = now + self._interval_seconds
            return 0.0
