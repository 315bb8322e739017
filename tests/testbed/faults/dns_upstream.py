"""A program that answers DNS questions for every name with one address, late or not at all."""

from __future__ import annotations

import argparse
import asyncio
import random
import struct
from dataclasses import dataclass

ADDRESS = "192.0.2.1"
"""What every name resolves to."""

_HEADER = struct.Struct(">HHHHHH")
_RESPONSE_FLAGS = 0x8180  # a response; recursion was wanted and is to be had
_TYPE_A, _CLASS_IN = 1, 1
_TTL_SECONDS = 1
_NAME_OF_QUESTION = 0xC000 | _HEADER.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How badly it answers."""

    delay_seconds: float
    drop_share: float

    async def answer(self, question: bytes) -> bytes | None:
        """The answer when its time has come; None where there shall be none."""
        if random.random() < self.drop_share:  # noqa: S311  no secret
            return None
        await asyncio.sleep(self.delay_seconds)
        return reply(question)


def reply(message: bytes) -> bytes:
    """The answer to a question: one address to a question for addresses, nothing to any other."""
    identity = _HEADER.unpack_from(message)[0]
    end = _HEADER.size
    while message[end]:
        end += 1 + message[end]
    end += 1 + 4
    (wanted,) = struct.unpack_from(">H", message, end - 4)
    record = b""
    if wanted == _TYPE_A:
        record = struct.pack(">HHHIH", _NAME_OF_QUESTION, _TYPE_A, _CLASS_IN, _TTL_SECONDS, 4)
        record += bytes(int(part) for part in ADDRESS.split("."))
    header = _HEADER.pack(identity, _RESPONSE_FLAGS, 1, 1 if record else 0, 0, 0)
    return header + message[_HEADER.size : end] + record


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, question: bytes, client: tuple[str, int]) -> None:
        if answer := await self._behaviour.answer(question):
            self._transport.sendto(answer, client)


async def serve(host: str, port: int, behaviour: Behaviour) -> None:
    """Answer over UDP and TCP until stopped."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                if answer := await behaviour.answer(await reader.readexactly(length)):
                    writer.write(struct.pack(">H", len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Datagrams(behaviour), local_addr=(host, port))
    server = await asyncio.start_server(converse, host, port)
    await server.serve_forever()


def main() -> None:
    """Answer questions until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="ADDRESS:PORT")
    parser.add_argument("--delay-seconds", type=float, default=0.0)
    parser.add_argument("--drop-share", type=float, default=0.0)
    wanted = parser.parse_args()
    host, _, port = wanted.listen.rpartition(":")
    behaviour = Behaviour(delay_seconds=wanted.delay_seconds, drop_share=wanted.drop_share)
    asyncio.run(serve(host, int(port), behaviour))


if __name__ == "__main__":
    main()
