"""A peer for others to talk to, over TCP and UDP, until it is ended. It says nothing itself.

Arguments:
    port: of both.
    iperf3_port: of an iperf3 server, where the image has one; 0: none.
    seconds: after which it ends by itself.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..peers import BLOCK, line, plain

_BACKLOG = 1024
_PATIENCE_SECONDS = 60.0
_DATAGRAM_BYTES = 65536


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Answer everybody."""
    with_iperf3 = _iperf3(int(arguments.get("iperf3_port", 0)))
    server = Server(int(arguments["port"]), with_iperf3=with_iperf3)
    server.start()
    time.sleep(float(arguments["seconds"]))
    yield from ()


class Server:
    """Answers on one port, in threads that end with the process.

    Args:
        port: of TCP and UDP; 0: any.
        with_iperf3: what ``who`` says of it.
    """

    def __init__(self, port: int, *, with_iperf3: bool = False) -> None:
        self.name = socket.gethostname()
        self.with_iperf3 = with_iperf3
        self._stream = _bound(socket.SOCK_STREAM, port)
        self._stream.listen(_BACKLOG)
        self.port: int = self._stream.getsockname()[1]
        self._datagrams = _bound(socket.SOCK_DGRAM, self.port)

    def start(self) -> None:
        """Begin to answer."""
        for work in (self._accept, self._answer_datagrams):
            threading.Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, peer = self._stream.accept()
            threading.Thread(target=self._serve, args=(connection, plain(peer[0])), daemon=True).start()

    def _answer_datagrams(self) -> None:
        while True:
            datagram, peer = self._datagrams.recvfrom(_DATAGRAM_BYTES)
            with contextlib.suppress(OSError):
                self._datagrams.sendto(str(len(datagram)).encode(), peer)

    def _serve(self, connection: socket.socket, seen: str) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(_PATIENCE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            verb, _, rest = line(connection, piece_bytes=1).partition(" ")
            if verb == "who":
                said = {"seen": seen, "name": self.name, "iperf3": self.with_iperf3, "mtu": mtu()}
                connection.sendall(json.dumps(said).encode() + b"\n")
            elif verb == "ping":
                while piece := connection.recv(1024):
                    connection.sendall(piece)
            elif verb == "take":
                connection.sendall(json.dumps({"bytes": _drain(connection)}).encode() + b"\n")
            elif verb == "give":
                _give(connection, int(rest))


def mtu() -> int:
    """Of the pod's interface; 0 where it is not to be seen."""
    for interface in sorted(Path("/sys/class/net").glob("*")):
        if interface.name != "lo":
            with contextlib.suppress(OSError, ValueError):
                return int((interface / "mtu").read_text())
    return 0


def _bound(kind: int, port: int) -> socket.socket:
    """A socket that hears IPv6 and IPv4, or IPv4 where there is nothing else."""
    try:
        made = socket.socket(socket.AF_INET6, kind)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::", port))
    except OSError:
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("0.0.0.0", port))  # noqa: S104  it is there to be reached
    return made


def _iperf3(port: int) -> bool:
    program = shutil.which("iperf3") if port else None
    if program is None:
        return False
    subprocess.Popen(  # noqa: S603  the image's own program, which ends with the pod
        [program, "--server", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return True


def _drain(connection: socket.socket) -> int:
    buffer, taken = bytearray(len(BLOCK)), 0
    while count := connection.recv_into(buffer):
        taken += count
    return taken


def _give(connection: socket.socket, wanted: int) -> None:
    given = 0
    while given < wanted:
        given += connection.send(BLOCK[: wanted - given])
