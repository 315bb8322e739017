"""Talks to peers and to the API server, one job after the other; one observation per job, in their order.

Arguments:
    jobs: each with ``do``: ``reach``, ``path``, ``speed`` or ``api``, and what that function asks for.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..peers import BLOCK, connect, line, told, who
from .serve import mtu

_IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_MTU = 10, 2, 14
_IPV6_MTU_DISCOVER, _IPV6_MTU = 23, 24
"""Of Linux; Python names them from 3.x on some systems only."""

_UDP_HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
_TRIES = 3
_DATAGRAM_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0
_RTT_WARM_UP = 20
_STREAM_GRACE_SECONDS = 30.0


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Do the jobs."""
    kinds: dict[str, Callable[..., dict[str, Any]]] = {"reach": reach, "path": path, "speed": speed, "api": api}
    for job in arguments["jobs"]:
        wanted = {key: value for key, value in job.items() if key != "do"}
        try:
            yield kinds[job["do"]](**wanted)
        except (OSError, ValueError, http.client.HTTPException) as error:
            yield {"error": told(error)}


def reach(address: str, port: int, timeout: float = _TIMEOUT_SECONDS, tries: int = _TRIES) -> dict[str, Any]:
    """One connection, and what the server saw of it; tried a few times, and the failures counted."""
    error = ""
    for attempt in range(tries):
        started = time.monotonic()
        try:
            said = who(address, port, timeout)
        except (OSError, ValueError) as problem:
            error = told(problem)
            time.sleep(0.5)
            continue
        seconds = time.monotonic() - started
        return {**said, "seconds": seconds, "failed_attempts": attempt, "own_mtu": mtu()}
    return {"error": error, "failed_attempts": tries}


def path(address: str, port: int, transfer_bytes: int, timeout: float = 10.0) -> dict[str, Any]:
    """Whether large things pass: bytes over TCP in both directions, and datagrams as large as the interface sends."""
    found: dict[str, Any] = {"own_mtu": mtu()}
    for name, move in (("send", _send), ("receive", _receive)):
        started = time.monotonic()
        try:
            moved, segment = move(address, port, transfer_bytes, timeout)
            found[f"{name}_bytes"], found["segment_bytes"] = moved, segment
        except (OSError, ValueError) as error:
            found[f"{name}_error"] = told(error)
        found[f"{name}_seconds"] = time.monotonic() - started
    with contextlib.suppress(OSError):
        found.update(_datagrams(address, port, found["own_mtu"]))
    return found


def speed(address: str, port: int, seconds: float, streams: int, pings: int, iperf3_port: int = 0) -> dict[str, Any]:
    """Round trips of one byte, then as many bytes as several streams can send."""
    found: dict[str, Any] = {"round_trips": round_trips(address, port, pings), "streams": streams}
    program = shutil.which("iperf3") if iperf3_port and who(address, port, _TIMEOUT_SECONDS).get("iperf3") else None
    if program is not None:
        with contextlib.suppress(OSError, ValueError, KeyError, subprocess.SubprocessError):
            rate = _iperf3(program, address, iperf3_port, seconds, streams)
            return {**found, "tool": "iperf3", "bits_per_second": rate}
    return {**found, "tool": "agent", "bits_per_second": flood(address, port, seconds, streams)}


def round_trips(address: str, port: int, pings: int) -> list[float]:
    """Seconds of each of so many round trips over one connection."""
    samples = []
    with connect(address, port, _TIMEOUT_SECONDS, "ping") as connection:
        for number in range(pings + _RTT_WARM_UP):
            started = time.perf_counter()
            connection.sendall(b"x")
            if not connection.recv(1):
                raise ValueError("the peer closed the connection")
            if number >= _RTT_WARM_UP:
                samples.append(round(time.perf_counter() - started, 7))
    return samples


def flood(address: str, port: int, seconds: float, streams: int) -> float:
    """Bits per second that arrive over several streams."""
    taken: list[int] = []
    errors: list[str] = []

    def one() -> None:
        try:
            with connect(address, port, _STREAM_GRACE_SECONDS, "take") as connection:
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    connection.sendall(BLOCK)
                connection.shutdown(socket.SHUT_WR)
                taken.append(int(json.loads(line(connection))["bytes"]))
        except (OSError, ValueError, KeyError) as error:
            errors.append(told(error))

    started = time.monotonic()
    threads = [threading.Thread(target=one) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise ValueError(errors[0])
    return 8 * sum(taken) / (time.monotonic() - started)


def api(host: str, port: int, timeout: float = _TIMEOUT_SECONDS) -> dict[str, Any]:
    """Whether the API server answers over TLS, whatever it answers; where its name is unknown, by its address."""
    found: dict[str, Any] = {"host": host}
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as problem:
        found["name_error"] = told(problem)
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        if not host:
            return {**found, "error": "neither its name nor its address is known"}
    error = ""
    for _ in range(_TRIES):
        started = time.monotonic()
        try:
            status = _status(host, port, timeout)
        except (OSError, http.client.HTTPException) as failure:
            error = told(failure)
            time.sleep(0.5)
            continue
        return {**found, "status": status, "seconds": time.monotonic() - started}
    return {**found, "error": error}


def _status(host: str, port: int, timeout: float) -> int:
    """Of an answer to nobody in particular: no secret is sent, so that it does not matter who answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.request("GET", "/version")
        return connection.getresponse().status
    finally:
        connection.close()


def _send(address: str, port: int, wanted: int, timeout: float) -> tuple[int, int]:
    with connect(address, port, timeout, "take") as connection:
        sent = 0
        while sent < wanted:
            sent += connection.send(BLOCK[: wanted - sent])
        connection.shutdown(socket.SHUT_WR)
        return int(json.loads(line(connection))["bytes"]), _segment(connection)


def _receive(address: str, port: int, wanted: int, timeout: float) -> tuple[int, int]:
    with connect(address, port, timeout, f"give {wanted}") as connection:
        received = 0
        while piece := connection.recv(len(BLOCK)):
            received += len(piece)
        if received < wanted:
            raise ValueError(f"the connection ended after {received} of {wanted} bytes")
        return received, _segment(connection)


def _segment(connection: socket.socket) -> int:
    with contextlib.suppress(OSError):
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    return 0


def _datagrams(address: str, port: int, interface_mtu: int) -> dict[str, Any]:
    """Whether a small datagram is answered, and one as large as goes in one frame, which nobody may cut in pieces."""
    family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
    is_v4 = family == socket.AF_INET
    level = socket.IPPROTO_IP if is_v4 else socket.IPPROTO_IPV6
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.settimeout(_DATAGRAM_SECONDS)
        made.setsockopt(level, _IP_MTU_DISCOVER if is_v4 else _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DO)
        made.connect(target)
        found: dict[str, Any] = {"small_passes": _answered(made, 16)}
        if not found["small_passes"] or interface_mtu <= _UDP_HEADERS[family]:
            return found
        for _ in range(_TRIES):  # a smaller frame on the way is told by the network, and then known to the kernel
            found["path_mtu"] = path_mtu = made.getsockopt(level, _IP_MTU if is_v4 else _IPV6_MTU)
            found["full_passes"] = _answered(made, min(path_mtu, interface_mtu) - _UDP_HEADERS[family])
            if found["full_passes"]:
                break
        return found


def _answered(made: socket.socket, size: int) -> bool:
    """Whether one of a few datagrams of this size is answered."""
    return any(_sent(made, size) for _ in range(_TRIES))


def _sent(made: socket.socket, size: int) -> bool:
    try:
        made.send(b"\0" * size)
        while made.recv(64) != str(size).encode():
            pass
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            time.sleep(0.1)
        return False
    return True


def _iperf3(program: str, address: str, port: int, seconds: float, streams: int) -> float:
    command = [program, "--client", address, "--port", str(port), "--time", str(max(1, round(seconds)))]
    command += ["--parallel", str(streams), "--omit", "1", "--json"]
    ended = subprocess.run(  # noqa: S603  the image's own program
        command, capture_output=True, timeout=seconds + _STREAM_GRACE_SECONDS, check=True
    )
    return float(json.loads(ended.stdout)["end"]["sum_received"]["bits_per_second"])
