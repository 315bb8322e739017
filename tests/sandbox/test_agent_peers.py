"""The tasks of the network probe, against a peer of their own on this machine."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from auditor.sandbox.agent import peers
from auditor.sandbox.agent.tasks import balance, connect, watch

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def peer(port: int) -> "subprocess.Popen[bytes]":
    arguments = json.dumps({"port": port, "iperf3_port": 0, "seconds": 60})
    command = [sys.executable, "-m", "auditor.sandbox.agent", "serve"]
    started = subprocess.Popen(command, env={**os.environ, "AUDITOR_ARGUMENTS": arguments})
    for _ in range(100):
        try:
            peers.who(HOST, port, 1.0)
        except OSError:
            time.sleep(0.1)
        else:
            return started
    started.kill()
    raise AssertionError("the peer does not answer")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    process = peer(port)
    yield port
    process.terminate()
    process.wait()


def only(job: dict[str, Any]) -> dict[str, Any]:
    [said] = connect.run({"jobs": [job]})
    return said


class TestConnect:
    def test_says_whom_the_server_saw(self, port: int) -> None:
        said = only({"do": "reach", "address": HOST, "port": port})

        assert said["seen"] == said["own"] == HOST
        assert said["name"] == socket.gethostname()
        assert said["failed_attempts"] == 0

    def test_says_why_nobody_answers(self) -> None:
        said = only({"do": "reach", "address": HOST, "port": free_port(), "tries": 1})

        assert said["error"].startswith("ConnectionRefusedError")

    def test_moves_bytes_both_ways_and_datagrams(self, port: int) -> None:
        said = only({"do": "path", "address": HOST, "port": port, "transfer_bytes": 1024**2})

        assert said["send_bytes"] == said["receive_bytes"] == 1024**2
        assert said["small_passes"]
        assert said["segment_bytes"] > 0

    def test_says_why_bytes_do_not_pass(self) -> None:
        with socket.create_server((HOST, 0)) as silent:  # takes connections and reads nothing
            said = only(
                {
                    "do": "path",
                    "address": HOST,
                    "port": silent.getsockname()[1],
                    "transfer_bytes": 10**8,
                    "timeout": 0.5,
                }
            )

        assert "timed out" in said["send_error"]
        assert "timed out" in said["receive_error"]

    def test_measures_without_iperf3(self, port: int) -> None:
        job = {"do": "speed", "address": HOST, "port": port, "seconds": 0.3, "streams": 2, "pings": 50}

        said = only(job)

        assert said["tool"] == "agent"
        assert said["bits_per_second"] > 1e6
        assert len(said["round_trips"]) == 50

    def test_goes_on_after_a_job_that_failed(self, port: int) -> None:
        speed = {"do": "speed", "seconds": 0.1, "streams": 1, "pings": 1, "address": HOST}

        failed, done = connect.run({"jobs": [{**speed, "port": free_port()}, {**speed, "port": port}]})

        assert "error" in failed
        assert "error" not in done

    def test_says_when_the_api_server_has_no_name_and_no_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

        said = only({"do": "api", "host": "no-such-name.invalid", "port": 443})

        assert said["name_error"]
        assert said["error"]


class TestWatch:
    def test_says_what_changes(self) -> None:
        port = free_port()
        process = peer(port)
        target = {"name": "it", "address": HOST, "port": port}
        threading.Timer(0.5, process.kill).start()

        said = list(
            islice(watch.run({"targets": [target], "every_seconds": 0.05, "timeout_seconds": 1, "seconds": 30}), 2)
        )

        process.wait()
        assert [each["reached"] for each in said] == [True, False]

    def test_says_every_name_that_resolves(self) -> None:
        target = {"name": "name", "resolve": "localhost"}

        said = list(watch.run({"targets": [target], "every_seconds": 0.05, "timeout_seconds": 1, "seconds": 0.2}))

        assert len(said) > 1
        assert all(each["reached"] for each in said)


BALANCE = {"address": HOST, "backends": 1, "connections": 50, "every_seconds": 0.02, "timeout_seconds": 1.0}


class TestBalance:
    def test_counts_by_backend(self, port: int) -> None:
        seen, counts = balance.run({**BALANCE, "port": port, "steady_seconds": 0})

        assert seen == {"seen": [socket.gethostname()]}
        assert counts["shares"] == {socket.gethostname(): 50}
        assert counts["failed"] == 0

    def test_feels_a_backend_that_goes(self) -> None:
        port = free_port()
        process = peer(port)
        said = []
        for each in balance.run({**BALANCE, "port": port, "steady_seconds": 4.0}):
            said.append(each)
            if "steady" in each:
                threading.Timer(0.5, process.kill).start()

        process.wait()
        felt = said[-1]
        assert felt["answered"][socket.gethostname()] > 0
        assert felt["failed"] > 0
        assert 0 < felt["error_seconds"] < 4.5


def test_addresses_of_ipv4_are_written_as_such() -> None:
    assert peers.plain("::ffff:10.0.0.1") == "10.0.0.1"
    assert peers.plain("fd00::1") == "fd00::1"
