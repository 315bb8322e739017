"""What a probe knows of the cluster and the site before it begins: nodes, classes, what is served, options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from auditor.facts.kube import Node, StorageClass


class ProbeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a site decides about the probes. Times and counts bound what a probe costs."""

    storage_classes: tuple[str, ...] = ()
    """Globs of the classes to prove; empty: the default class, and those that claims use."""
    storage_bytes: int = 1024**3
    """Of each test volume."""
    shared_storage_classes: tuple[str, ...] = ()
    """Globs of further classes whose volumes several nodes write at once; the usual file systems are known."""
    burst_claims: int = 10
    """Claims of the default class that are made at once; 0: none."""
    disk_seconds: float = 10.0
    """Of each disk measurement, of which there are three per class."""
    lease_seconds: float = 60.0
    """For how long a lease is renewed every 5 s; 300 shows rarer gaps."""
    api_requests: int = 100
    """Of each kind: create, get, list, patch, delete."""
    lookups: int = 5_000
    """DNS look-ups per zone."""
    external_name: str = ""
    """A name outside the cluster to resolve, where the site allows it; empty: none is asked for."""
    burst_pods: int = 200
    """Pods that do nothing, to time the scheduler with."""
    throughput_seconds: float = 5.0
    """Of each network measurement."""
    visited_nodes: int = 50
    """Nodes on which a pod looks around, at most; each kind of node gets its turn."""
    load_balancer: bool = False
    """Whether a Service of type LoadBalancer is asked for, which may cost money."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is known before a probe begins.

    Attributes:
        nodes: all nodes.
        classes: all StorageClasses.
        classes_used: names of those that claims use.
        versions: of each served resource type that a probe may use, by the id of its Api; a type that is not served
            is not there.
        options: of the site.
    """

    nodes: Sequence[Node]
    classes: Sequence[StorageClass]
    classes_used: frozenset[str]
    versions: dict[str, str]
    options: ProbeOptions

    @property
    def usable_nodes(self) -> list[Node]:
        """The ready nodes on which ordinary pods run, by name."""
        return sorted((node for node in self.nodes if node.is_ready and node.takes_ordinary_pods), key=_by_name)

    @property
    def zones(self) -> dict[str, list[Node]]:
        """The usable nodes by zone; those without one under the empty name."""
        zones: dict[str, list[Node]] = {}
        for node in self.usable_nodes:
            zones.setdefault(node.zone or "", []).append(node)
        return dict(sorted(zones.items()))


def _by_name(node: Node) -> str:
    return node.name
