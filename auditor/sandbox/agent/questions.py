"""DNS questions in two ways: one datagram each, without second tries, and through the system's resolver.

What applications feel is the second way: the resolver walks the search list, asks for IPv4 and IPv6 at once, waits 5 s
for a lost datagram and asks again. The first way shows what it hides: which datagrams were lost, which server failed.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

DATAGRAM_SECONDS = 2.0
"""After which a datagram counts as lost; half of the resolver's default."""

TIMEOUT = "timeout"
NO_ANSWER = "no answer"
"""The name is known, but not with such a record."""

_HEADER = struct.Struct(">HHHHHH")
_RCODE_BITS = 0x000F
_LARGEST_BYTES = 65_535
_RESOLV_CONF = "/etc/resolv.conf"


class ResolvConf(NamedTuple):
    """What pods are told of DNS."""

    nameservers: list[str]
    search: list[str]
    options: list[str]

    @property
    def ndots(self) -> int:
        """Names with fewer dots are tried with the search list first."""
        said = [option.partition(":")[2] for option in self.options if option.startswith("ndots:")]
        return int(said[-1]) if said and said[-1].isdigit() else 1

    @property
    def domain(self) -> str:
        """The cluster's domain: what follows ``svc`` in the search list; empty where nothing does."""
        return next((each[len("svc.") :].rstrip(".") for each in self.search if each.startswith("svc.")), "")

    def candidates(self, name: str) -> list[str]:
        """The absolute names that the resolver asks for in turn, as resolv.conf(5) says."""
        if name.endswith("."):
            return [name]
        absolute = f"{name}."
        searched = [f"{name}.{domain.rstrip('.')}." for domain in self.search]
        return [*searched, absolute] if name.count(".") < self.ndots else [absolute, *searched]


def resolv_conf(path: str = _RESOLV_CONF) -> ResolvConf:
    """The container's own."""
    found = ResolvConf([], [], [])
    with Path(path).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                found.nameservers.append(words[1])
            elif words and words[0] in ("search", "domain"):
                found.search[:] = words[1:]
            elif words and words[0] == "options":
                found.options.extend(words[1:])
    return found


class Outcome(NamedTuple):
    """What came of one question; the error is empty where it was answered with such a record."""

    seconds: float
    error: str


def question(name: str, kind: str = "A") -> bytes:
    """A question as it is sent; its number is set anew by :func:`ask_once`."""
    return dns.message.make_query(name, kind, flags=dns.flags.RD).to_wire()


def ask_once(server: str, wire: bytes, *, number: int, port: int = 53, seconds: float = DATAGRAM_SECONDS) -> Outcome:
    """One datagram from a socket of its own, and the answer to it."""
    started = time.monotonic()
    deadline = started + seconds
    try:
        with _socket(server, port) as asking:
            asking.send(struct.pack(">H", number) + wire[2:])
            while True:
                asking.settimeout(max(deadline - time.monotonic(), 0.001))
                answer = asking.recv(_LARGEST_BYTES)
                if len(answer) >= _HEADER.size and answer[:2] == struct.pack(">H", number):
                    return Outcome(time.monotonic() - started, told(answer))
    except OSError as error:
        return Outcome(time.monotonic() - started, _short(error))


def told(answer: bytes) -> str:
    """What an answer's header says is wrong; empty where it brings records or may not say all."""
    _, flags, _, answers, _, _ = _HEADER.unpack_from(answer)
    code = flags & _RCODE_BITS
    if code:
        return dns.rcode.to_text(dns.rcode.Rcode(code))
    return "" if answers or flags & dns.flags.TC else NO_ANSWER


def ask(name: str, kind: str, server: str, *, tcp: bool = False, payload_bytes: int = 0) -> dict[str, Any]:
    """One question and all that its answer says.

    Args:
        name: absolute.
        kind: of the records.
        server: its address.
        tcp: not by a datagram.
        payload_bytes: of a datagram that EDNS allows the answer; 0 asks without EDNS, which allows 512.
    """
    found: dict[str, Any] = {"name": name, "type": kind, "records": []}
    edns = {"use_edns": 0, "payload": payload_bytes} if payload_bytes else {"use_edns": False}
    query = dns.message.make_query(name, kind, **edns)
    started = time.monotonic()
    try:
        way = dns.query.tcp if tcp else dns.query.udp
        answer = way(query, server, timeout=DATAGRAM_SECONDS)
    except dns.exception.Timeout:
        return {**found, "error": TIMEOUT, "seconds": time.monotonic() - started}
    except (OSError, EOFError, dns.exception.DNSException) as error:
        return {**found, "error": _short(error), "seconds": time.monotonic() - started}
    found["seconds"] = time.monotonic() - started
    found["bytes"] = len(answer.to_wire())
    found["truncated"] = bool(answer.flags & dns.flags.TC)
    records = [
        item.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.from_text(kind) for item in rrset
    ]
    found["records"] = sorted(records)
    code = answer.rcode()
    found["error"] = dns.rcode.to_text(code) if code else ("" if records or found["truncated"] else NO_ANSWER)
    found["denied_seconds"] = next(
        (min(rrset.ttl, rrset[0].minimum) for rrset in answer.authority if rrset.rdtype == dns.rdatatype.SOA), None
    )
    return found


def resolve(name: str) -> tuple[Outcome, list[str]]:
    """What the system's resolver makes of a name, as applications ask it: how long it took, and the addresses."""
    started = time.monotonic()
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return Outcome(time.monotonic() - started, _short(error)), []
    return Outcome(time.monotonic() - started, ""), sorted({str(answer[4][0]) for answer in answers})


class Burst(NamedTuple):
    """Many questions at once: how many were asked and answered, how the others ended, how long it took."""

    asked: int
    answered: int
    failures: dict[str, int]
    seconds: float


def burst(server: str, wire: bytes, *, at_once: int, seconds: float) -> Burst:
    """Ask again as soon as there is an answer, over so many sockets at once."""
    asked = answered = 0
    failures: dict[str, int] = {}
    started = time.monotonic()
    end = started + seconds
    with selectors.DefaultSelector() as selector:
        waiting: dict[socket.socket, float] = {}

        def send() -> None:
            nonlocal asked
            asked += 1
            try:
                one = _socket(server, 53)
                one.setblocking(False)  # noqa: FBT003  the library's own
                one.send(struct.pack(">H", asked % 65_536) + wire[2:])
            except OSError as error:
                _count(failures, _short(error))
                time.sleep(0.01)
                return
            waiting[one] = time.monotonic()
            selector.register(one, selectors.EVENT_READ)

        def close(one: socket.socket) -> None:
            selector.unregister(one)
            del waiting[one]
            one.close()

        while (now := time.monotonic()) < end or waiting:
            while now < end and len(waiting) < at_once:
                send()
                now = time.monotonic()
            for key, _ in selector.select(timeout=0.05):
                one: Any = key.fileobj
                try:
                    error = told(one.recv(_LARGEST_BYTES))
                except OSError as problem:
                    error = _short(problem)
                close(one)
                if error:
                    _count(failures, error)
                else:
                    answered += 1
            for late in [each for each, since in waiting.items() if time.monotonic() - since > DATAGRAM_SECONDS]:
                close(late)
                _count(failures, TIMEOUT)
    return Burst(asked, answered, failures, min(time.monotonic() - started, seconds))


def _count(failures: dict[str, int], error: str) -> None:
    failures[error] = failures.get(error, 0) + 1


def _socket(server: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.connect((server, port))
    except OSError:
        made.close()
        raise
    return made


def _short(error: BaseException) -> str:
    """An error in few words, alike for like errors; before Python 3.10 a timeout is no TimeoutError."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return TIMEOUT
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
