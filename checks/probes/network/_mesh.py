"""Every peer talks to every other, and some pairs measure how fast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeVar

from auditor.cluster import Manifest
from auditor.facts.kube import Node
from auditor.facts.observations import Cause, Latencies
from auditor.facts.observations.network import ApiReach, Connection, Path, Route, Speed
from auditor.sandbox import Sandbox, Trouble
from auditor.sandbox.agent_pods import agent_pod, run_all
from auditor.sandbox.causes import cause_of

from ._peers import IPERF3_PORT, PORT, ROLE, Peer

API_HOST = "kubernetes.default.svc"
TRANSFER_BYTES = 1024**2
STREAMS = 4
"""Data systems keep many connections; clouds limit what one alone gets."""
ROUND_TRIPS = 500
ROUND_TRIP_SECONDS = 2.0
MEASURED = 10
"""Pairs at most; each takes some seconds, one after the other."""

_TIMEOUT_SECONDS = 2.0
_TRIES = 2
_MESH_SECONDS = 150.0
_SPEED_SPARE_SECONDS = 45.0

Job = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Task:
    """A job, and the peer that it concerns; None where it is the API server."""

    job: Job
    other: Peer | None = None


@dataclass(slots=True)
class Reached:
    """What the peers found; ``failed`` says why some did not look."""

    connections: list[Connection] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    api_server: dict[str, ApiReach] = field(default_factory=dict)
    failed: dict[str, Cause] = field(default_factory=dict)


def measured_routes(nodes: Sequence[Node]) -> list[tuple[Node, Node]]:
    """A pair of nodes within each zone, and one for each pair of zones."""
    return _pairs_of(nodes, lambda node: node.zone or "")


def client(sandbox: Sandbox, stem: str, number: int, node: Node | str, jobs: Sequence[Job]) -> Manifest:
    """A pod that does jobs one after the other, and ends."""
    name = sandbox.name(f"net-{stem}-{number}")
    on = node if isinstance(node, str) else node.name
    return agent_pod(
        sandbox,
        "connect",
        {"jobs": list(jobs)},
        name=name,
        node=on,
        labels={ROLE: f"net-{stem}"},
        container_more={"cpu_limit": "2"},
    )


def reached(sandbox: Sandbox, peers: Sequence[Peer]) -> Reached:
    """Connect all with all, directly and through Services; send large things between zones; ask the API server.

    Raises:
        ObjectError: the account lacks a permission.
    """
    found = Reached()
    pairs = _pairs(peers)
    planned = {peer.number: _jobs(peer, peers, pairs) for peer in peers}
    pods = {
        peer: client(sandbox, "mesh", peer.number, peer.node, [task.job for task in planned[peer.number]])
        for peer in peers
    }
    outcomes = run_all(sandbox, list(pods.values()), seconds=_MESH_SECONDS)
    for peer, manifest in pods.items():
        outcome = outcomes[manifest["metadata"]["name"]]
        if isinstance(outcome, Trouble):
            found.failed[f"clients on {peer.node}"] = cause_of(outcome)
            continue
        for task, said in zip(planned[peer.number], outcome, strict=True):
            _note(found, peer, task, said)
    return found


def speeds(sandbox: Sandbox, peers: Sequence[Peer], seconds: float) -> list[Speed]:
    """Round trips and throughput, one pair at a time.

    Raises:
        ObjectError: the account lacks a permission.
    """
    if seconds <= 0:
        return []
    targets: defaultdict[Peer, list[Peer]] = defaultdict(list)
    for one, other in _pairs(peers):
        targets[one].append(other)
    found = []
    for peer, others in targets.items():
        jobs = [_speed_job(other, seconds) for other in others]
        manifest = client(sandbox, "speed", peer.number, peer.node, jobs)
        limit = (seconds + _SPEED_SPARE_SECONDS) * len(jobs)
        [outcome] = run_all(sandbox, [manifest], seconds=limit).values()
        for number, other in enumerate(others):
            said = {"error": str(outcome)} if isinstance(outcome, Trouble) else outcome[number]
            found.append(speed_of(peer.route_to(other), said))
    return found


def speed_of(route: Route, said: dict[str, Any]) -> Speed:
    """What a client said of one measurement."""
    if "error" in said:
        return Speed(route=route, error=said["error"])
    return Speed(
        route=route,
        tool=said["tool"],
        streams=said["streams"],
        bits_per_second=said["bits_per_second"],
        round_trips=Latencies.of(said["round_trips"]),
    )


def _pairs(peers: Sequence[Peer]) -> list[tuple[Peer, Peer]]:
    """As :func:`measured_routes`, of the peers that came about."""
    return _pairs_of(peers, lambda peer: peer.zone)


def _pairs_of(things: Sequence[T], zone: Callable[[T], str]) -> list[tuple[T, T]]:
    zones: defaultdict[str, list[T]] = defaultdict(list)
    for thing in things:
        zones[zone(thing)].append(thing)
    within = [(members[0], members[1]) for members in zones.values() if len(members) > 1]
    across = [(one[0], other[0]) for one, other in combinations(zones.values(), 2)]
    return [*within, *across][:MEASURED]


def _jobs(peer: Peer, peers: Sequence[Peer], pairs: Sequence[tuple[Peer, Peer]]) -> list[_Task]:
    others = [other for other in peers if other is not peer] or [peer]
    reach = {"do": "reach", "port": PORT, "timeout": _TIMEOUT_SECONDS, "tries": _TRIES}
    tasks = [_Task({"do": "api", "host": API_HOST, "port": 443})]
    for other in others:
        tasks += [_Task({**reach, "address": address}, other) for address in (other.address, other.service)]
    partners = {other.number for pair in pairs if peer in pair for other in pair if other is not peer}
    path = {"do": "path", "port": PORT, "transfer_bytes": TRANSFER_BYTES}
    tasks += [_Task({**path, "address": other.address}, other) for other in others if other.number in partners]
    return tasks


def _speed_job(other: Peer, seconds: float) -> Job:
    return {
        "do": "speed",
        "address": other.address,
        "port": PORT,
        "seconds": seconds,
        "streams": STREAMS,
        "pings": ROUND_TRIPS,
        "iperf3_port": IPERF3_PORT,
    }


def _note(found: Reached, peer: Peer, task: _Task, said: dict[str, Any]) -> None:
    if task.other is None:
        found.api_server[peer.node] = ApiReach(**{"host": API_HOST, **said})
        return
    route = peer.route_to(task.other)
    if task.job["do"] == "reach":
        by_service = task.job["address"] == task.other.service
        found.connections.append(connection_of(route, said, by_service=by_service))
    else:
        found.paths.append(path_of(route, said))


def connection_of(route: Route, said: dict[str, Any], *, by_service: bool) -> Connection:
    """What a client said of one attempt to connect."""
    return Connection(
        route=route,
        by_service=by_service,
        error=said.get("error", ""),
        failed_attempts=said.get("failed_attempts", 0),
        seconds=said.get("seconds", 0.0),
        own_address=said.get("own", ""),
        seen_address=said.get("seen", ""),
    )


def path_of(route: Route, said: dict[str, Any]) -> Path:
    """What a client said of one path."""
    if "error" in said:
        return Path(route=route, error=said["error"])
    return Path(
        route=route,
        transfer_bytes=TRANSFER_BYTES,
        send_error=said.get("send_error", ""),
        receive_error=said.get("receive_error", ""),
        segment_bytes=said.get("segment_bytes", 0),
        interface_mtu=said.get("own_mtu", 0),
        path_mtu=said.get("path_mtu", 0),
        small_datagrams=said.get("small_passes"),
        full_datagrams=said.get("full_passes"),
    )
