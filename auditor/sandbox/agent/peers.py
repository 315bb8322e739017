"""What ``serve`` and the tasks that talk to it agree on: one line that says what is wanted, then as it asks.

==================  ====================================================================================
``who``             the server says in one line of JSON whom it saw, and who it is
``ping``            every byte comes back
``take``            the server reads to the client's end, then says in one line of JSON how much came
``give <bytes>``    the server sends so much
==================  ====================================================================================

A datagram is answered by its length, as text.
"""

from __future__ import annotations

import json
import socket
from typing import Any

BLOCK = b"\0" * (128 * 1024)

_LINE_BYTES = 4096


def connect(address: str, port: int, timeout: float, wanted: str) -> socket.socket:
    """A connection on which it is already said what is wanted.

    Raises:
        OSError: there is none.
    """
    connection = socket.create_connection((address, port), timeout=timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(f"{wanted}\n".encode())
    except OSError:
        connection.close()
        raise
    return connection


def who(address: str, port: int, timeout: float) -> dict[str, Any]:
    """Who answers, whom the server saw (``seen``), and what this side's address is (``own``).

    Raises:
        OSError: nobody answers.
        ValueError: somebody else answers.
    """
    with connect(address, port, timeout, "who") as connection:
        own = plain(connection.getsockname()[0])
        said = json.loads(line(connection))
    if not isinstance(said, dict):
        raise ValueError("the answer is not that of a peer")
    return {**said, "own": own}


def line(connection: socket.socket, *, piece_bytes: int = _LINE_BYTES) -> str:
    """One line, without its end.

    Args:
        connection: where it comes.
        piece_bytes: read at once; 1 reads nothing of what follows the line.

    Raises:
        OSError: it did not come in time.
        ValueError: it is too long.
    """
    read = b""
    while not read.endswith(b"\n"):
        piece = connection.recv(piece_bytes)
        if not piece:
            break
        read += piece
        if len(read) > _LINE_BYTES:
            raise ValueError("the answer is not that of a peer")
    return read.decode(errors="replace").rstrip("\n")


def plain(address: str) -> str:
    """An address as IPv4 writes it where it is one."""
    return address[len("::ffff:") :] if address.startswith("::ffff:") else address


def told(error: BaseException) -> str:
    """An error in a few words."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
