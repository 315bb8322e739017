"""A program that holds back the packets of a netfilter queue: what tc's netem would do, were it in the kernel.

It speaks the kernel's nfnetlink_queue protocol: bind to a queue, get told of each packet, let it go after the delay.
Packets pass at once while the program does not run, if the rule that queues them says ``--queue-bypass``.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
from collections.abc import Iterator

_NETLINK_NETFILTER = 12
_SUBSYSTEM_QUEUE = 3 << 8
_PACKET, _VERDICT, _CONFIG = _SUBSYSTEM_QUEUE, _SUBSYSTEM_QUEUE | 1, _SUBSYSTEM_QUEUE | 2
_REQUEST, _ACKNOWLEDGE = 1, 4
_ERROR = 2
_CONFIG_COMMAND, _CONFIG_PARAMETERS, _CONFIG_LENGTH = 1, 2, 3
_BIND, _COPY_HEADER_ONLY = 1, 1
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_ACCEPT = 1
_QUEUE_LENGTH = 10_000


class HeldQueue:
    """A netfilter queue whose packets go on after a delay."""

    def __init__(self, number: int, *, delay_seconds: float) -> None:
        self._number = number
        self._delay_seconds = delay_seconds
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._netlink.bind((0, 0))

    def open(self) -> None:
        """Bind to the queue.

        Raises:
            OSError: the kernel does not let us, for instance because another program has the queue.
        """
        self._configure(_CONFIG_COMMAND, struct.pack(">BxH", _BIND, socket.AF_UNSPEC))
        self._configure(_CONFIG_PARAMETERS, struct.pack(">IB", 0, _COPY_HEADER_ONLY))
        self._configure(_CONFIG_LENGTH, struct.pack(">I", _QUEUE_LENGTH))

    async def serve(self) -> None:
        """Let packets go, each after the delay, for ever."""
        loop = asyncio.get_running_loop()
        self._netlink.settimeout(0)
        while True:
            for kind, body in _messages(await loop.sock_recv(self._netlink, 1 << 16)):
                if kind == _PACKET:
                    loop.call_later(self._delay_seconds, self._accept, _packet_id(body))

    def _accept(self, packet_id: int) -> None:
        self._send(_VERDICT, _REQUEST, _VERDICT_HEADER, struct.pack(">II", _ACCEPT, packet_id))

    def _configure(self, attribute: int, value: bytes) -> None:
        self._send(_CONFIG, _REQUEST | _ACKNOWLEDGE, attribute, value)
        kind, body = next(_messages(self._netlink.recv(1 << 16)))
        (code,) = struct.unpack_from("=i", body)
        if kind != _ERROR or code != 0:
            raise OSError(-code, f"netfilter queue {self._number}")

    def _send(self, kind: int, flags: int, attribute: int, value: bytes) -> None:
        family = struct.pack(">BBH", socket.AF_UNSPEC, 0, self._number)
        padded = value.ljust(-(-len(value) // 4) * 4, b"\0")
        body = family + struct.pack("=HH", 4 + len(value), attribute) + padded
        self._netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The netlink messages in what the kernel sent: type and body."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[-(-length // 4) * 4 :]


def _packet_id(body: bytes) -> int:
    attributes = body[4:]
    while attributes:
        length, attribute = struct.unpack_from("=HH", attributes)
        if attribute == _PACKET_HEADER:
            packet_id: int = struct.unpack_from(">I", attributes, 4)[0]
            return packet_id
        attributes = attributes[-(-length // 4) * 4 :]
    raise ValueError("a packet without its header")


def main() -> None:
    """Hold back the packets of a queue until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queue", type=int, required=True)
    parser.add_argument("--delay-seconds", type=float, required=True)
    wanted = parser.parse_args()
    queue = HeldQueue(wanted.queue, delay_seconds=wanted.delay_seconds)
    queue.open()
    asyncio.run(queue.serve())


if __name__ == "__main__":
    main()
