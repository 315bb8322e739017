"""What a pod finds when it asks for names: how soon a new one is known, how many answers come, and how fast.

Two ways of asking, which results keep apart: ``udp`` is one datagram, lost after 2 s and not sent again; ``resolver``
is the system's, as applications use it, which waits 5 s and asks again.

Arguments:
    namespace: of the pod.
    service: a headless Service; its pod announces itself, see ``announce``.
    hostname: of that pod.
    fresh: names of ports of that Service, each asked for once, so that no cache can know them.
    port: on which the announcement is awaited.
    wait_seconds: for it.
    visible_seconds: from the announcement, for its names.
    large: a headless Service whose answer is larger than 512 bytes; empty: none.
    lookups: datagrams.
    servers: addresses and ports of DNS servers to ask by themselves.
    external: a name outside the cluster; empty: none.
    burst_seconds: for asking much at once.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import dns.reversename

from ..questions import NO_ANSWER, TIMEOUT, Outcome, ResolvConf, ask, ask_once, burst, question, resolv_conf, resolve

PACE_SECONDS = 0.001
"""Between two datagrams: this is to find those that are lost, not to be a burden."""

_NXDOMAIN = "NXDOMAIN"
_EARLY_SECONDS = 0.5
"""Between two questions for a name that is awaited."""
_FRESH_AT_SECONDS = (0.2, 0.5, 0.8, 1.2, 1.6, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30)
_IN_A_ROW = 10
"""Answers after which a name counts as known: each of several servers may have denied it, and keep that by itself."""
_REVERSE_SECONDS = 35.0
"""For a pod's address to lose the name that another pod had with it."""

_HOPELESS = 5
"""Failures in a row after which datagrams are given up where none was answered; of others four times as many."""
_HOPELESS_RESOLVER = 2
"""Likewise; each of its failures takes 10 s and more."""
_SILENT_SECONDS = 10.0
"""After which a new name is given up where DNS says nothing at all."""
_PATIENCE = 4
_EXTERNAL_LOOKUPS = 100
_EXTERNAL_EVERY_SECONDS = 0.2
"""So that the look-ups outlast the shortest times for which answers are cached."""
_SERVER_LOOKUPS = 20
_BURST_AT_ONCE = 16
_EDNS_BYTES = 1232
_API_SERVICE = "kubernetes.default.svc"


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One result per experiment, in the order in which names come to be; few where DNS does not answer at all."""
    conf = resolv_conf()
    yield {"conf": conf._asdict(), "domain": conf.domain}
    if not conf.nameservers:
        return
    server, domain = conf.nameservers[0], conf.domain
    zone = f"{arguments['namespace']}.svc.{domain}."
    with _listening(int(arguments["port"])) as listener:
        target = f"{arguments['hostname']}.{arguments['service']}.{zone}"
        yield from _new_names(arguments, listener, server, target, f"{arguments['service']}.{zone}")
    api = f"{_API_SERVICE}.{domain}."
    lookups = int(arguments["lookups"])
    found = _datagrams(server, api, lookups)
    yield {"lookups": found}
    for each in arguments["servers"]:
        alone = _datagrams(each["address"], api, _SERVER_LOOKUPS, port=int(each["port"]), hopeless=3)
        yield {"server": {**alone, "address": each["address"]}}
    if not found["microseconds"]:
        yield {"resolver_absolute": _resolved(api, 1)}
        return
    yield {"resolver_absolute": _resolved(api, max(10, lookups // 20))}
    yield {"resolver_searched": _resolved(_API_SERVICE, max(10, lookups // 20))}
    if arguments["large"]:
        yield {"large": _large(server, f"{arguments['large']}.{zone}")}
    at_once = burst(server, question(api), at_once=_BURST_AT_ONCE, seconds=float(arguments["burst_seconds"]))
    yield {"burst": at_once._asdict()}
    if arguments["external"]:
        yield {"external": _external(conf, server, arguments["external"])}


def _listening(port: int) -> socket.socket:
    """A socket for the announcement, over IPv6 where the node has it, which takes IPv4 as well."""
    if socket.has_dualstack_ipv6():
        made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(("::", port))
        return made
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("", port))
    return made


def _new_names(
    arguments: dict[str, Any], listener: socket.socket, server: str, target: str, service: str
) -> Iterator[dict[str, Any]]:
    """Ask for the pod's name before there is one; when the pod announces itself, see how soon its names are known."""
    before = ask(target, "A", server)
    yield {"before": before}
    announced, own = _announcement(listener, float(arguments["wait_seconds"]), lambda: ask(target, "A", server))
    if announced is None:
        yield {"announced": False}
        return
    fresh = [f"_{port}._tcp.{service}" for port in arguments["fresh"]]
    yield {
        "announced": True,
        "own": own,
        **_watched(announced, target, fresh, server, float(arguments["visible_seconds"])),
    }
    for address in own[:1]:
        yield {"reverse": _reverse(address, target, server)}


def _announcement(
    listener: socket.socket, seconds: float, meanwhile: Callable[[], object]
) -> tuple[float | None, list[str]]:
    """When the pod began to run by this clock, and its addresses; None where it does not say so in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([listener], [], [], _EARLY_SECONDS)[0]:
            word = json.loads(listener.recv(4096))
            return time.monotonic() - float(word["elapsed"]), list(word["addresses"])
        meanwhile()
    return None, []


def _watched(announced: float, target: str, fresh: list[str], server: str, seconds: float) -> dict[str, Any]:
    """When the name that was asked for too early is known to all servers, and when one is that nobody asked for."""
    denied: dict[str, Any] = {"name": target, "seconds": None, "asked": 0, "error": "", "addresses": []}
    never: dict[str, Any] = {"name": fresh[0] if fresh else "", "seconds": None, "asked": 0, "error": ""}
    moments = list(zip(_FRESH_AT_SECONDS, fresh))
    in_a_row = 0
    while (elapsed := time.monotonic() - announced) < seconds:
        if in_a_row < _IN_A_ROW:
            denied["addresses"] = _noted(denied, target, "A", server, announced)
            in_a_row = in_a_row + 1 if denied["addresses"] else 0
        if never["seconds"] is None and moments and elapsed >= moments[0][0]:
            _noted(never, moments.pop(0)[1], "SRV", server, announced)
        if elapsed > _SILENT_SECONDS and not _heard(denied) and not _heard(never):
            break
        if in_a_row >= _IN_A_ROW and (never["seconds"] is not None or not moments):
            break
        time.sleep(0.1)
    return {"denied": denied, "fresh": never}


def _heard(found: dict[str, Any]) -> bool:
    """Whether DNS said anything of a name, be it that there is none."""
    return found["seconds"] is not None or found["error"] in (_NXDOMAIN, NO_ANSWER)


def _noted(found: dict[str, Any], name: str, kind: str, server: str, announced: float) -> list[str]:
    """The records of a name, and the time of the first answer that has some after the last that had none."""
    answer = ask(name, kind, server)
    found["asked"] += 1
    records: list[str] = answer["records"]
    if not records:
        found["seconds"], found["error"] = None, answer["error"]
    elif found["seconds"] is None:
        found["seconds"] = time.monotonic() - announced
    return records


def _reverse(address: str, expected: str, server: str) -> dict[str, Any]:
    """The name of an address, and that name's addresses, once both are as expected or have had time to become so."""
    asked = dns.reversename.from_address(address).to_text()
    kind = "AAAA" if ":" in address else "A"
    started = time.monotonic()
    while True:
        answer = ask(asked, "PTR", server)
        names = answer["records"]
        forward = ask(expected if expected in names else names[0], kind, server)["records"] if names else []
        seconds = time.monotonic() - started
        is_right = expected in names and address in forward
        if is_right or answer["error"] == TIMEOUT or seconds > _REVERSE_SECONDS:
            break
        time.sleep(1)
    return {
        "address": address,
        "expected": expected,
        "names": names,
        "forward": forward,
        "error": answer["error"],
        "seconds": seconds,
    }


def _datagrams(server: str, name: str, count: int, *, port: int = 53, hopeless: int = _HOPELESS) -> dict[str, Any]:
    """One datagram after another, each from a port of its own."""
    wire = question(name)
    numbers = iter(range(1, count + 1))
    found = _asked(
        lambda: ask_once(server, wire, number=next(numbers) % 65_536, port=port), count, hopeless, PACE_SECONDS
    )
    return {"way": "udp", "name": name, **found}


def _resolved(name: str, count: int) -> dict[str, Any]:
    return {
        "way": "resolver",
        "name": name,
        **_asked(lambda: resolve(name)[0], count, _HOPELESS_RESOLVER, PACE_SECONDS),
    }


def _asked(one: Callable[[], Outcome], count: int, hopeless: int, every_seconds: float) -> dict[str, Any]:
    """Ask so often, or until so many in a row have failed; microseconds of those that were answered."""
    microseconds: list[int] = []
    failures: dict[str, int] = {}
    started, in_a_row, asked = time.monotonic(), 0, 0
    while asked < count and in_a_row < (_PATIENCE * hopeless if microseconds else hopeless):
        outcome = one()
        asked += 1
        if outcome.error:
            failures[outcome.error] = failures.get(outcome.error, 0) + 1
            in_a_row += 1
        else:
            microseconds.append(round(outcome.seconds * 1e6))
            in_a_row = 0
        time.sleep(every_seconds)
    return {
        "asked": asked,
        "planned": count,
        "failures": failures,
        "took_seconds": time.monotonic() - started,
        "microseconds": microseconds,
    }


def _large(server: str, name: str) -> dict[str, Any]:
    """An answer of more than 512 bytes, by a plain datagram, by a larger one, over TCP, and through the resolver."""
    outcome, addresses = resolve(name)
    return {
        "name": name,
        "plain": _counted(ask(name, "A", server)),
        "edns": _counted(ask(name, "A", server, payload_bytes=_EDNS_BYTES)),
        "tcp": _counted(ask(name, "A", server, tcp=True)),
        "resolver_addresses": len(addresses),
        "resolver_error": outcome.error,
    }


def _counted(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "addresses": len(answer["records"]),
        "bytes": answer.get("bytes", 0),
        "truncated": answer.get("truncated", False),
        "error": answer["error"],
        "seconds": answer["seconds"],
    }


def _external(conf: ResolvConf, server: str, name: str) -> dict[str, Any]:
    """A name outside the cluster: what the resolver must ask for until it is found, and how fast answers come."""
    bare = name.rstrip(".")
    asked = []
    for candidate in conf.candidates(bare):
        answer = ask(candidate, "A", server)
        asked.append({"name": candidate, "error": answer["error"], "seconds": answer["seconds"]})
        if answer["records"]:
            break
    wire = question(f"{bare}.")
    numbers = iter(range(1, _EXTERNAL_LOOKUPS + 1))
    found = _asked(
        lambda: ask_once(server, wire, number=next(numbers), seconds=5), _EXTERNAL_LOOKUPS, 3, _EXTERNAL_EVERY_SECONDS
    )
    return {
        "name": bare,
        "candidates": asked,
        "lookups": {"way": "udp", "name": f"{bare}.", **found},
        "resolver_absolute": _resolved(f"{bare}.", 10),
        "resolver_searched": _resolved(bare, 10),
    }
