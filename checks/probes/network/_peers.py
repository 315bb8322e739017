"""The pods that others talk to: one on each sampled node, with a Service of its own."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Node, Pod
from auditor.facts.observations import Cause
from auditor.facts.observations.network import Route
from auditor.facts.observations.nodes import LeftOut
from auditor.sandbox import Sandbox, Trouble, TroubleError
from auditor.sandbox.agent_pods import agent_pod
from auditor.sandbox.causes import cause_of, refusal
from auditor.sandbox.scope import Scope

from ..nodes import choose

PORT = 18080
"""Above 1024, where firewalls between nodes commonly let pods through."""
IPERF3_PORT = 18081
ROLE = "cluster-readiness-auditor/role"
"""Label that Services and policies select by."""

PER_ZONE = 2
"""One to talk to other zones, and a second one within the zone."""
PER_ONLY_ZONE = 4
PEERS = 12

_EXAMPLES = 10
_HOPELESS = {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "ImagePullBackOff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A pod that answers.

    Attributes:
        number: in its name.
        node: on which it runs.
        zone: of the node, empty where it has none.
        address: of the pod.
        service: address of its Service; empty where there is none.
    """

    number: int
    node: str
    zone: str
    address: str
    service: str

    def route_to(self, other: Peer) -> Route:
        """The way from here to there."""
        return Route(from_node=self.node, to_node=other.node, from_zone=self.zone, to_zone=other.zone)


def sample(scope: Scope, tolerations: Sequence[Mapping[str, Any]]) -> tuple[list[Node], list[LeftOut]]:
    """Some nodes of each zone, the zones taking turns; and those that get no pod.

    Args:
        scope: the cluster's nodes.
        tolerations: of the site's pods.
    """
    usable, left_out = choose(scope, tolerations)
    zones: defaultdict[str, list[Node]] = defaultdict(list)
    for node in usable:
        zones[node.zone or ""].append(node)
    each = PER_ZONE if len(zones) > 1 else PER_ONLY_ZONE
    rounds = zip_longest(*(zones[zone][:each] for zone in sorted(zones)))
    chosen = [node for round_ in rounds for node in round_ if node is not None][:PEERS]
    names = {node.name for node in chosen}
    if rest := [node.name for node in usable if node.name not in names]:
        why = f"{each} nodes of each zone are enough, and {PEERS} of all"
        left_out = [*left_out, LeftOut(reason=why, count=len(rest), examples=tuple(rest[:_EXAMPLES]))]
    return chosen, left_out


def raised(sandbox: Sandbox, nodes: Sequence[Node]) -> tuple[list[Peer], dict[str, Cause]]:
    """The pods and Services, once all are ready; and why some are not.

    Raises:
        ObjectError: the account lacks a permission.
    """
    failed: dict[str, Cause] = {}
    services: dict[int, str] = {}
    for number, node in enumerate(nodes):
        try:
            sandbox.create(server(sandbox, number, node))
            services[number] = sandbox.create(service(sandbox, number))["spec"]["clusterIP"]
        except ObjectError as error:
            failed[f"node {node.name}"] = cause_of(permitted(error))
    peers = []
    for number, address in services.items():
        node = nodes[number]
        try:
            own = ready(sandbox, _name(sandbox, number))
        except TroubleError as error:
            failed[f"node {node.name}"] = cause_of(error)
            continue
        peers.append(Peer(number=number, node=node.name, zone=node.zone or "", address=own, service=address))
    return peers, failed


def permitted(error: ObjectError) -> Trouble:
    """What a refusal is where rights are not the trouble.

    Raises:
        ObjectError: they are.
    """
    if error.missing_permission:
        raise error
    return refusal(error)


def ready(sandbox: Sandbox, name: str) -> str:
    """The address of a pod, once it is ready.

    Raises:
        TroubleError: it does not become so; it says why.
    """
    started = time.monotonic()
    concerning = (Pod.api.kind, name)
    what = f"pod {name} is ready"

    def look() -> str | None:
        status = (sandbox.get(*concerning) or {}).get("status", {})
        waiting = [
            each.get("state", {}).get("waiting", {}).get("reason") for each in status.get("containerStatuses", ())
        ]
        if status.get("phase") in ("Failed", "Succeeded") or _HOPELESS.intersection(waiting):
            raise TroubleError(sandbox.trouble(what, time.monotonic() - started, concerning))
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
        return status.get("podIP") if is_ready else None

    return sandbox.wait_for(what, look, concerning=concerning)


def server(sandbox: Sandbox, number: int, node: Node) -> Manifest:
    """A peer's pod."""
    name = _name(sandbox, number)
    return server_pod(sandbox, name, role=name, node=node.name)


def service(sandbox: Sandbox, number: int) -> Manifest:
    """A peer's Service."""
    name = _name(sandbox, number)
    return service_of(name, role=name)


def server_pod(sandbox: Sandbox, name: str, *, role: str, node: str | None = None) -> Manifest:
    """A pod that answers until the run has expired."""
    arguments = {"port": PORT, "iperf3_port": IPERF3_PORT, "seconds": sandbox.settings.expiry_minutes * 60}
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "failureThreshold": 10, "timeoutSeconds": 5}
    more = {
        "ports": [{"name": "peer", "containerPort": PORT}, {"name": "iperf3", "containerPort": IPERF3_PORT}],
        "readinessProbe": probe,
        "cpu_limit": "2",
    }
    return agent_pod(sandbox, "serve", arguments, name=name, node=node, labels={ROLE: role}, container_more=more)


def service_of(name: str, *, role: str, **spec: Any) -> Manifest:
    """A Service before the pods of a role."""
    ports = [{"name": "peer", "port": PORT, "targetPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {ROLE: role}, "ports": ports, **spec},
    }


def _name(sandbox: Sandbox, number: int) -> str:
    return sandbox.name(f"net-{number}")
