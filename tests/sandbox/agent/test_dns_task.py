"""What the agent asks of DNS, against a server of the test's own on the loopback address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from auditor.sandbox.agent import questions
from auditor.sandbox.agent.questions import NO_ANSWER, TIMEOUT, ResolvConf, ask_once, question, resolv_conf, told
from auditor.sandbox.agent.tasks import dns as task

NAME = "kubernetes.default.svc.cluster.local."
SEARCH = ["data.svc.cluster.local", "svc.cluster.local", "cluster.local"]

KNOWN = {3, *range(6, 99)}
"""Questions that a second server answers, which did not deny the name, and those after the first has forgotten."""

Answer = Callable[[dns.message.Message], dns.message.Message | None]


def response(query: dns.message.Message, *addresses: str, rcode: int = 0) -> dns.message.Message:
    made = dns.message.make_response(query)
    made.set_rcode(dns.rcode.Rcode(rcode))
    if addresses:
        made.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "A", *addresses))
    return made


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], int]]:
    """``serve(answer)`` gives the port of a server that answers so."""
    sockets: list[socket.socket] = []

    def start(answer: Answer) -> int:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        sockets.append(server)

        def loop() -> None:
            while True:
                try:
                    wire, client = server.recvfrom(4096)
                except OSError:
                    return
                if made := answer(dns.message.from_wire(wire)):
                    server.sendto(made.to_wire(), client)

        threading.Thread(target=loop, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for each in sockets:
        each.close()


class TestTheSearchList:
    def test_is_read_from_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "resolv.conf"
        file.write_text(f"nameserver 10.96.0.10\nsearch {' '.join(SEARCH)}\noptions ndots:5 timeout:1\n# end\n")

        conf = resolv_conf(str(file))

        assert conf == ResolvConf(["10.96.0.10"], SEARCH, ["ndots:5", "timeout:1"])
        assert conf.domain == "cluster.local"

    def test_may_name_no_domain_of_a_cluster(self) -> None:
        assert ResolvConf(["192.0.2.1"], ["example.com"], []).domain == ""

    @pytest.mark.parametrize(
        ("name", "ndots", "expected"),
        [
            ("s3.example.com.", 5, ["s3.example.com."]),
            ("s3.example.com", 5, [*(f"s3.example.com.{each}." for each in SEARCH), "s3.example.com."]),
            ("s3.example.com", 2, ["s3.example.com.", *(f"s3.example.com.{each}." for each in SEARCH)]),
        ],
    )
    def test_comes_before_the_name_itself_where_that_has_few_dots(
        self, name: str, ndots: int, expected: list[str]
    ) -> None:
        assert ResolvConf([], SEARCH, [f"ndots:{ndots}"]).candidates(name) == expected


class TestOneDatagram:
    def test_is_answered(self, serve: Callable[[Answer], int]) -> None:
        port = serve(lambda query: response(query, "10.96.0.1"))

        assert ask_once("127.0.0.1", question(NAME), number=7, port=port).error == ""

    def test_is_refused_with_the_servers_word(self, serve: Callable[[Answer], int]) -> None:
        port = serve(lambda query: response(query, rcode=dns.rcode.SERVFAIL))

        assert ask_once("127.0.0.1", question(NAME), number=7, port=port).error == "SERVFAIL"

    def test_is_lost(self, serve: Callable[[Answer], int]) -> None:
        outcome = ask_once("127.0.0.1", question(NAME), number=7, port=serve(lambda _: None), seconds=0.2)

        assert outcome.error == TIMEOUT
        assert 0.2 <= outcome.seconds < 1

    def test_does_not_take_the_answer_to_another_question(self, serve: Callable[[Answer], int]) -> None:
        def other(query: dns.message.Message) -> dns.message.Message:
            made = response(query, "10.96.0.1")
            made.id = query.id ^ 1
            return made

        assert ask_once("127.0.0.1", question(NAME), number=7, port=serve(other), seconds=0.2).error == TIMEOUT

    def test_that_nobody_takes_is_told_at_once(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]

        assert ask_once("127.0.0.1", question(NAME), number=7, port=port).error == "connection refused"

    def test_may_say_that_a_name_has_no_such_record(self) -> None:
        query = dns.message.make_query(NAME, "A")
        cut = dns.message.make_response(query)
        cut.flags |= dns.flags.TC

        assert told(dns.message.make_response(query).to_wire()) == NO_ANSWER
        assert told(cut.to_wire()) == ""


class TestManyDatagrams:
    def test_are_given_up_where_none_is_answered(
        self, serve: Callable[[Answer], int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(task, "PACE_SECONDS", 0)
        port = serve(lambda query: response(query, rcode=dns.rcode.SERVFAIL))

        found = task._datagrams("127.0.0.1", NAME, 500, port=port, hopeless=5)

        assert (found["asked"], found["planned"], found["failures"]) == (5, 500, {"SERVFAIL": 5})
        assert found["microseconds"] == []

    def test_go_on_where_some_are(self, serve: Callable[[Answer], int], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task, "PACE_SECONDS", 0)
        calls = iter(range(1000))
        port = serve(
            lambda query: response(query, "10.96.0.1") if next(calls) % 3 else response(query, rcode=dns.rcode.REFUSED)
        )

        found = task._datagrams("127.0.0.1", NAME, 30, port=port, hopeless=2)

        assert found["asked"] == 30
        assert found["failures"] == {"REFUSED": 10}
        assert len(found["microseconds"]) == 20

    def test_at_once_are_counted(self, serve: Callable[[Answer], int], monkeypatch: pytest.MonkeyPatch) -> None:
        port = serve(lambda query: response(query, "10.96.0.1"))
        connect = questions._socket
        monkeypatch.setattr(questions, "_socket", lambda server, _: connect(server, port))

        found = questions.burst("127.0.0.1", question(NAME), at_once=4, seconds=0.2)

        assert found.asked == found.answered > 0
        assert found.failures == {}
        assert found.seconds == pytest.approx(0.2, abs=0.05)


class TestANewName:
    def test_is_timed_from_the_announcement(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told_so_far: dict[str, int] = {}

        def answer(name: str, _kind: str, _server: str) -> dict[str, object]:
            told_so_far[name] = told_so_far.get(name, 0) + 1
            known = name.startswith("_p1") or (name == "target." and told_so_far[name] in KNOWN)
            return {"records": ["10.244.0.9"] if known else [], "error": "" if known else "NXDOMAIN"}

        monkeypatch.setattr(task, "ask", answer)
        start = time.monotonic()

        found = task._watched(start, "target.", ["_p0.", "_p1.", "_p2."], "192.0.2.1", 10)

        assert found["fresh"]["asked"] == 2
        assert 0.5 <= found["fresh"]["seconds"] < 0.8
        assert found["denied"]["asked"] == 15
        assert found["denied"]["seconds"] >= 0.5
        assert found["denied"]["error"] == "NXDOMAIN"
        assert found["denied"]["addresses"] == ["10.244.0.9"]
        assert told_so_far["_p0."] == told_so_far["_p1."] == 1

    def test_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(task, "ask", lambda *_: {"records": [], "error": "NXDOMAIN"})

        found = task._watched(time.monotonic(), "target.", ["_p0."], "192.0.2.1", 0.5)

        assert found["fresh"]["seconds"] is None
        assert found["denied"]["seconds"] is None

    def test_announces_itself_with_the_time_that_it_has_run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b'{"elapsed": 2.5, "addresses": ["10.244.0.9"]}', listener.getsockname())
            announced, own = task._announcement(listener, 5, lambda: None)

        assert announced is not None
        assert time.monotonic() - announced == pytest.approx(2.5, abs=0.5)
        assert own == ["10.244.0.9"]

    def test_may_never_announce_itself(self) -> None:
        asked: list[int] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))

            assert task._announcement(listener, 0.6, lambda: asked.append(1)) == (None, [])
        assert asked
