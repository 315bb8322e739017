"""From where a class's volumes can be reached: from every node, from one zone, from one node."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from auditor import Facts
from auditor.facts.kube import CSINode, Node, PersistentVolume, StorageClass

from .._provisioners import (
    NO_PROVISIONER,
    NODE_LOCAL,
    OBJECT_STORES,
    SHARED_FILE_SYSTEMS,
    ZONAL_BLOCK,
    driver_of,
    matches,
)
from .._wording import counted, listed

_NODE_KEY = re.compile(r"(^|[./-])(host|hostname|node|nodename|node-name|nodeid|node-id)$", re.IGNORECASE)
_NO_PLACE = re.compile(r"(^|\.)kubernetes\.io/(os|arch)$|^disk-type\.gke\.io/")
"""Topology keys that say what a node is, not where."""


class ReachKind(Enum):
    """Whether it matters where a volume is made."""

    EVERY_NODE = auto()
    PART = auto()
    """Some data nodes cannot reach it."""
    NOT_TOLD = auto()


@dataclass(frozen=True, slots=True)
class Reach:
    """From where the volumes of a class can be reached.

    Attributes:
        kind: whether it matters where a volume is made.
        reason: half a sentence that says why.
        how_to_tell: for what cannot be told, the imperative that changes that.
    """

    kind: ReachKind
    reason: str
    how_to_tell: str = ""


class Reaches:
    """The reach of classes, by what the cluster tells and what is known of their provisioners.

    Args:
        facts: where CSINodes and volumes come from.
        nodes: the data nodes.
        zonal: globs of provisioners that a site knows to be zonal.
        node_local: globs of provisioners that a site knows to be node-local.
        shared: globs of provisioners that a site knows to be reachable from every node.
    """

    def __init__(
        self,
        facts: Facts,
        nodes: Sequence[Node],
        *,
        zonal: Sequence[str],
        node_local: Sequence[str],
        shared: Sequence[str],
    ) -> None:
        self._facts = facts
        self._nodes = nodes
        self._zonal = zonal
        self._node_local = node_local
        self._shared = shared
        self._topology_keys = topology_keys(facts)

    def of(self, cls: StorageClass) -> Reach:
        """The reach of one class's volumes."""
        if matches(cls.provisioner, self._shared) or self._is_shared(cls):
            return Reach(ReachKind.EVERY_NODE, "every node can reach them")
        if (place := _only_place(cls)) is not None:
            return Reach(ReachKind.EVERY_NODE, f"allowedTopologies pins them to {place}")
        if matches(cls.provisioner, self._node_local):
            return self._one_node()
        if matches(cls.provisioner, self._zonal):
            return self._one_zone(())
        keys = self._topology_keys.get(driver_of(cls.provisioner))
        if keys is not None:
            return self._by_keys(keys)
        if matches(cls.provisioner, NODE_LOCAL):
            return self._one_node()
        if matches(cls.provisioner, ZONAL_BLOCK):
            return self._one_zone(())
        return Reach(
            ReachKind.NOT_TOLD,
            f"no CSINode knows the provisioner {cls.provisioner}",
            "Say what it is in zonal_provisioners, node_local_provisioners or shared_provisioners of this check.",
        )

    def _is_shared(self, cls: StorageClass) -> bool:
        if matches(cls.provisioner, (*SHARED_FILE_SYSTEMS, *OBJECT_STORES)):
            return True
        return cls.provisioner == NO_PROVISIONER and self._has_only_network_volumes(cls)

    def _has_only_network_volumes(self, cls: StorageClass) -> bool:
        """Whether the hand-made volumes of a class are no disks of nodes: those can be mounted on one node only."""
        volumes = [v.spec for v in self._facts.list(PersistentVolume) if v.spec.storage_class_name == cls.name]
        return bool(volumes) and all({"ReadWriteMany", "ReadOnlyMany"} & set(v.access_modes or ()) for v in volumes)

    def _by_keys(self, keys: set[str]) -> Reach:
        places = {key for key in keys if not _NO_PLACE.search(key)}
        if any(_NODE_KEY.search(key) for key in places):
            return self._one_node()
        if places:
            return self._one_zone(sorted(key for key in places if "zone" in key) or sorted(places))
        return Reach(ReachKind.EVERY_NODE, "their driver names no topology, so every node can reach them")

    def _one_node(self) -> Reach:
        if len(self._nodes) == 1:
            return Reach(ReachKind.EVERY_NODE, "there is one data node only")
        reason = f"each can be reached from one node only and there are {counted(len(self._nodes), 'data node')}"
        return Reach(ReachKind.PART, reason)

    def _one_zone(self, labels: Sequence[str]) -> Reach:
        """The reach of zonal volumes; ``labels`` are the driver's own, the well-known zone label stands in."""
        zone_of = {
            node.name: next((node.labels[key] for key in labels if key in node.labels), node.zone)
            for node in self._nodes
        }
        zones = sorted({zone for zone in zone_of.values() if zone is not None})
        without = [name for name, zone in zone_of.items() if zone is None]
        total = counted(len(self._nodes), "data node")
        unlabelled = f"{len(without)} of {total} ({listed(without)}) carry no zone label" if without else ""
        if len(zones) > 1:
            seen = f"{listed(zones)}; {unlabelled}" if unlabelled else listed(zones)
            reason = f"each can be reached from one zone only and the data nodes span {len(zones)} zones ({seen})"
            return Reach(ReachKind.PART, reason)
        if unlabelled:
            return Reach(
                ReachKind.NOT_TOLD,
                f"each can be reached from one zone only, and {unlabelled}",
                "Label the nodes with topology.kubernetes.io/zone, as the cloud's controller does.",
            )
        return Reach(ReachKind.EVERY_NODE, f"all data nodes are in {zones[0]}, and one zone needs no waiting")


def is_on_one_node(cls: StorageClass, keys: dict[str, set[str]]) -> bool:
    """Whether a class's volumes lie on a node's own disks, by its driver's topology keys or by its name."""
    own = keys.get(driver_of(cls.provisioner))
    return matches(cls.provisioner, NODE_LOCAL) if own is None else any(_NODE_KEY.search(key) for key in own)


def topology_keys(facts: Facts) -> dict[str, set[str]]:
    """The topology keys of each registered driver, over all nodes."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for csi_node in facts.list(CSINode):
        for driver in csi_node.drivers:
            keys[driver.name].update(driver.topology_keys or ())
    return dict(keys)


def _only_place(cls: StorageClass) -> str | None:
    """The one value that all terms of ``allowedTopologies`` agree on, if they do."""
    places = {
        value
        for term in cls.allowed_topologies or ()
        for expression in term.match_label_expressions or ()
        if not _NO_PLACE.search(expression.key)
        for value in expression.values
    }
    return places.pop() if len(places) == 1 else None
