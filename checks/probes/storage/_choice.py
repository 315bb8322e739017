"""Which StorageClasses are proved, with volumes of which size, and which nodes their pods may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from auditor.facts.kube import Node, StorageClass
from auditor.sandbox import Sandbox
from auditor.sandbox.scope import Scope

from ..._provisioners import MANY_WRITERS, NO_PROVISIONER, OBJECT_STORES, WITHOUT_VOLUMES, matches

GIB = 1024**3

LEAST_BYTES = (
    ("diskplugin.csi.alibabacloud.com", 20 * GIB),
    ("blockvolume.csi.oraclecloud.com", 50 * GIB),
    ("com.tencent.cloud.csi.cbs", 20 * GIB),
    ("csi.hetzner.cloud", 10 * GIB),
    ("block.csi.vultr.com", 10 * GIB),
    ("disk.csi.everest.io", 10 * GIB),
    ("linodebs.csi.linode.com", 10 * GIB),
    ("vpc.block.csi.ibm.io", 10 * GIB),
)
"""Provisioners that make no smaller volumes, or round up to that."""

LEAST_BYTES_OF_TYPE = {
    "hyperdisk-balanced": 4 * GIB,
    "hyperdisk-balanced-high-availability": 4 * GIB,
    "hyperdisk-extreme": 64 * GIB,
    "sc1": 125 * GIB,
    "st1": 125 * GIB,
    "io1": 4 * GIB,
    "io2": 4 * GIB,
    "pd-extreme": 500 * GIB,
}
"""Likewise, by the class's parameter ``type``."""

COSTLY = (
    "bmcpfsplugin.csi.alibabacloud.com",
    "filestore.csi.storage.gke.io",
    "fsx.csi.aws.com",
    "fsx.openzfs.csi.aws.com",
    "lustre.csi.storage.gke.io",
    "parallelstore.csi.storage.gke.io",
    "sfsturbo.csi.everest.io",
)
"""Each volume is a file server of its own, with a terabyte or so, and takes minutes: only by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A class to prove.

    Attributes:
        number: stands in the names of its objects.
        cls: the class.
        is_used: whether a claim of the cluster names it.
        bytes: of its volumes.
        is_shared: whether several nodes can write them at once.
        is_made_by_hand: whether nobody provisions them, so that only sharing is tried.
    """

    number: int
    cls: StorageClass
    is_used: bool
    bytes: int
    is_shared: bool
    is_made_by_hand: bool


def choose(scope: Scope) -> tuple[list[Chosen], dict[str, str]]:
    """The classes to prove, the default first, and why others are not, by name."""
    chosen: list[Chosen] = []
    left_out: dict[str, str] = {}
    for cls in sorted(scope.classes, key=lambda cls: (not cls.is_default, cls.name)):
        if reason := _obstacle(cls, scope):
            left_out[cls.name] = reason
            continue
        chosen.append(
            Chosen(
                number=len(chosen),
                cls=cls,
                is_used=cls.name in scope.classes_used,
                bytes=max(scope.options.storage_bytes, least_bytes(cls)),
                is_shared=_is_named(cls, scope.options.shared_storage_classes)
                or matches(cls.provisioner, MANY_WRITERS),
                is_made_by_hand=cls.provisioner == NO_PROVISIONER,
            )
        )
    return chosen, left_out


def least_bytes(cls: StorageClass) -> int:
    """The smallest volume that the class makes, as far as it is known; 0 where it is not."""
    kind = next((value for key, value in (cls.parameters or {}).items() if key.lower() == "type"), "")
    known = next((size for provisioner, size in LEAST_BYTES if matches(cls.provisioner, (provisioner,))), 0)
    return max(known, LEAST_BYTES_OF_TYPE.get(kind, 0))


def nodes_for_pods(sandbox: Sandbox, scope: Scope) -> list[Node]:
    """The nodes on which the site's settings let the pods run, by name."""
    settings = sandbox.settings
    if settings.tolerations:  # which taints these tolerate the scheduler knows better
        ready = sorted((n for n in scope.nodes if n.is_ready and not n.spec.unschedulable), key=lambda node: node.name)
    else:
        ready = scope.usable_nodes
    wanted = settings.node_selector.items()
    return [node for node in ready if all(node.labels.get(key) == value for key, value in wanted)]


def zone_with_company(nodes: Sequence[Node], cls: StorageClass) -> str | None:
    """The zone to begin in, so that the pod can move within it; None where the scheduler shall choose.

    A class that makes volumes before their pods, or names its own zones, has decided already.
    """
    if not cls.waits_for_consumer or cls.allowed_topologies:
        return None
    sizes: dict[str, int] = {}
    for node in nodes:
        sizes[node.zone or ""] = sizes.get(node.zone or "", 0) + 1
    if len(sizes) < 2 or min(sizes.values()) > 1 or max(sizes.values()) < 2 or "" in sizes:
        return None
    return max(sorted(sizes), key=lambda zone: sizes[zone])


def _obstacle(cls: StorageClass, scope: Scope) -> str:
    """Why a class is not proved; empty if it is."""
    options = scope.options
    if matches(cls.provisioner, WITHOUT_VOLUMES):
        return "it hands out no volumes"
    if cls.provisioner == NO_PROVISIONER:
        named = _is_named(cls, options.shared_storage_classes)
        return "" if named else "nobody provisions its volumes, which are made by hand"
    if options.storage_classes or _is_named(cls, options.shared_storage_classes):
        named = _is_named(cls, (*options.storage_classes, *options.shared_storage_classes))
        return "" if named else "the option storage_classes does not name it"
    if not cls.is_default and cls.name not in scope.classes_used:
        return "it is not the default, and no claim uses it"
    if matches(cls.provisioner, COSTLY):
        return (
            "each of its volumes is a file server that costs money and minutes; the option storage_classes can name it"
        )
    if matches(cls.provisioner, OBJECT_STORES):
        return (
            "it mounts an object store, which is no volume to move or to grow; the option storage_classes can name it"
        )
    return ""


def _is_named(cls: StorageClass, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(cls.name, pattern) for pattern in patterns)
