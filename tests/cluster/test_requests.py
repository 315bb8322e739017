"""Turns, deadlines and retries, and servers that the proxy of the test bed does not play."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from aiohttp import web

from auditor.cluster import ApiServer, Limits, RequestError, connect
from auditor.cluster.pace import Brakes, Deadline
from auditor.cluster.requests import CancelledError
from tests.testbed import kubeconfig
from tests.testbed.client import Cluster
from tests.testbed.proxy import LOOPBACK, serve, serving_identity

LIMITS = Limits(request_timeout_seconds=1, deadline_seconds=2, requests_per_second=500)
GOING_ON = threading.Event()

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], "ApiServer"]


def test_a_deadline_passes() -> None:
    deadline = Deadline(0.05)

    assert 0 < deadline.left_seconds <= 0.05
    assert deadline.tries == 1
    time.sleep(0.06)
    assert deadline.left_seconds == 0


def test_brakes_space_requests_of_all_threads() -> None:
    brakes = Brakes(requests_per_second=50)
    turns: list[float] = []

    def ask() -> None:
        for _ in range(3):
            brakes.wait(Deadline(10), GOING_ON)
            turns.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    turns.sort()
    assert len(turns) == 12
    assert turns[-1] - turns[0] >= 11 / 50 - 0.01
    assert turns[-1] - turns[0] < 2


def test_brakes_hold_also_those_that_wait_already() -> None:
    brakes = Brakes(requests_per_second=5)
    brakes.wait(Deadline(10), GOING_ON)
    turns: list[float] = []
    waiting = threading.Thread(target=lambda: turns.append(_turn(brakes)))
    waiting.start()
    time.sleep(0.05)

    held_at = time.monotonic()
    brakes.hold(0.5)
    waiting.join()

    assert turns[0] - held_at >= 0.5


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    brakes = Brakes(requests_per_second=100)
    held_at = time.monotonic()
    brakes.hold(0.3)
    brakes.hold(0.01)

    assert _turn(brakes) - held_at >= 0.3


def test_a_turn_after_the_deadline_is_not_waited_for() -> None:
    brakes = Brakes(requests_per_second=100)
    brakes.hold(60)

    started = time.monotonic()
    with pytest.raises(RequestError, match="its turn did not come within 1 s"):
        brakes.wait(Deadline(1), GOING_ON)
    assert time.monotonic() - started < 0.5


def test_nobody_waits_for_a_turn_when_all_is_cancelled() -> None:
    brakes = Brakes(requests_per_second=100)
    brakes.hold(5)
    cancelled = threading.Event()
    threading.Timer(0.1, cancelled.set).start()

    started = time.monotonic()
    brakes.wait(Deadline(10), cancelled)

    assert time.monotonic() - started < 1


def _turn(brakes: Brakes) -> float:
    brakes.wait(Deadline(10), GOING_ON)
    return time.monotonic()


@pytest.fixture
def served(test_bed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves with a handler, and gives what asks it; all is closed after the test."""

    @contextmanager
    def serving(handler: Handler) -> Iterator[ApiServer]:
        with serving_identity(LOOPBACK) as identity, serve(handler, LOOPBACK, identity) as port:
            path = tmp_path_factory.mktemp("served") / "kubeconfig"
            kubeconfig.write(path, credentials="none", server=f"https://{LOOPBACK}:{port}")
            connection = connect(kubeconfig=path)
            try:
                yield ApiServer(connection, LIMITS)
            finally:
                connection.pool.clear()

    with ExitStack() as stack:
        yield lambda handler: stack.enter_context(serving(handler))


async def _drip(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.2)


def test_a_body_that_drips_for_ever_ends_at_the_deadline(served: Serve) -> None:
    server = served(_drip)
    deadline = Deadline(1.5)

    started = time.monotonic()
    with pytest.raises(RequestError, match="the answer did not end within 2 s"):
        server.text("/metrics", deadline=deadline)

    assert 1.4 < time.monotonic() - started < 3


def test_a_body_under_way_is_broken_off_when_all_is_cancelled(served: Serve) -> None:
    server = served(_drip)
    threading.Timer(0.5, server.cancel).start()

    started = time.monotonic()
    with pytest.raises(CancelledError):
        server.text("/metrics", deadline=Deadline(20))

    assert time.monotonic() - started < 2


async def _stall(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.sleep(30)
    return response


def test_a_body_that_stalls_is_asked_for_again(served: Serve) -> None:
    server = served(_stall)
    deadline = Deadline(2.5)

    with pytest.raises(RequestError):
        server.text("/metrics", deadline=deadline)

    assert server.requests == deadline.tries >= 2  # the pauses between tries are random


def test_a_login_page_is_no_api_server_and_asked_for_once(served: Serve) -> None:
    async def page(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<html>Log in</html>")

    server = served(page)
    with pytest.raises(RequestError, match="the answer is not that of an API server") as caught:
        server.json("/version", dict[str, str], deadline=Deadline(5))

    assert caught.value.cause == "A proxy, a login page or another service answers at this address."
    assert server.requests == 1


def test_a_redirect_is_not_followed(served: Serve) -> None:
    async def elsewhere(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "https://example.org/login"})

    server = served(elsewhere)
    with pytest.raises(RequestError) as caught:
        server.text("/version", deadline=Deadline(5))

    assert caught.value.status == 302
    assert server.requests == 1


@pytest.mark.parametrize("retry_after", ["Wed, 21 Oct 2015 07:28:00 GMT", "-5", "soon"])
def test_a_retry_after_that_is_no_number_of_seconds_is_a_short_one(served: Serve, retry_after: str) -> None:
    answers = iter([web.Response(status=429, headers={"Retry-After": retry_after}), web.Response(text="ok")])

    async def busy_once(_: web.BaseRequest) -> web.StreamResponse:
        return next(answers)

    assert served(busy_once).text("/version", deadline=Deadline(5)) == "ok"


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(served: Serve) -> None:
    async def busy(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": "3600"})

    server = served(busy)
    started = time.monotonic()
    with pytest.raises(RequestError) as caught:
        server.text("/version", deadline=Deadline(5))
    with pytest.raises(RequestError, match="its turn did not come"):
        server.text("/metrics", deadline=Deadline(5))

    assert caught.value.status == 429
    assert time.monotonic() - started < 2
    assert server.requests == 1
