"""What pods ask of their nodes, and what is left of a node: the arithmetic of the scheduler, in whole numbers.

CPU counts in millicores and everything else in bytes, each request rounded up, as the scheduler does. What an in-place
resize has allocated beyond the specification is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from auditor.facts.kube.nodes import Node
from auditor.facts.kube.pods import Container, Pod, PodSpec, ResourceRequirements
from auditor.facts.quantity import parse_quantity

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
PODS = "pods"

_MILLI = 1000

_OWNERS_ON_EVERY_NODE = ("DaemonSet", "Node")
"""Kinds that own pods which a node always carries; static pods belong to their Node."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of the resources that every node has.

    Attributes:
        cpu_millicores: thousandths of a core.
        memory_bytes: bytes of memory.
        ephemeral_storage_bytes: bytes on the disks that kubelet and runtime use.
        pods: places for pods.
    """

    cpu_millicores: int = 0
    memory_bytes: int = 0
    ephemeral_storage_bytes: int = 0
    pods: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_millicores + other.cpu_millicores,
            self.memory_bytes + other.memory_bytes,
            self.ephemeral_storage_bytes + other.ephemeral_storage_bytes,
            self.pods + other.pods,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.cpu_millicores - other.cpu_millicores,
            self.memory_bytes - other.memory_bytes,
            self.ephemeral_storage_bytes - other.ephemeral_storage_bytes,
            self.pods - other.pods,
        )

    def or_more(self, other: Amounts) -> Amounts:
        """The greater of the two amounts of each resource."""
        return Amounts(
            max(self.cpu_millicores, other.cpu_millicores),
            max(self.memory_bytes, other.memory_bytes),
            max(self.ephemeral_storage_bytes, other.ephemeral_storage_bytes),
            max(self.pods, other.pods),
        )

    def holds(self, other: Amounts) -> bool:
        """Whether there is at least as much of every resource."""
        return (
            self.cpu_millicores >= other.cpu_millicores
            and self.memory_bytes >= other.memory_bytes
            and self.ephemeral_storage_bytes >= other.ephemeral_storage_bytes
            and self.pods >= other.pods
        )


NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What the pods of one node ask for.

    Attributes:
        requested: by all pods that are not finished.
        permanent: the share of it that belongs to DaemonSets and static pods, which no other pod can displace.
    """

    requested: Amounts = NOTHING
    permanent: Amounts = NOTHING


def allocatable(node: Node) -> Amounts:
    """What a node has for pods; a resource that it does not report counts as none.

    Raises:
        ValueError: the node reports something else than quantities.
    """
    reported = node.status.allocatable or {}
    return Amounts(*_amounts(reported), _whole(reported.get(PODS, "0")))


def pod_requests(spec: PodSpec) -> Amounts:
    """What the scheduler reserves for a pod, with its place.

    That is the sum of the containers and sidecars, or what the init containers take at their worst moment if that is
    more, and the overhead of the runtime. Requests of the pod as a whole replace the sum for the resources they name.

    Raises:
        ValueError: a request is no quantity.
    """
    cpu = memory = storage = 0
    for container in spec.containers:
        more = _requested(container)
        cpu, memory, storage = cpu + more[0], memory + more[1], storage + more[2]
    asked = Amounts(cpu, memory, storage, 1)
    if spec.init_containers:
        asked = _with_init_containers(asked, spec)
    if spec.resources is not None and spec.resources.requests:
        asked = _of_the_pod(asked, spec.resources)
    return asked + Amounts(*_amounts(spec.overhead)) if spec.overhead else asked


def load_of_nodes(pods: Iterable[Pod]) -> dict[str, NodeLoad]:
    """The load of each node by name, in one pass; finished pods and those without a node do not count.

    Raises:
        ValueError: a request is no quantity.
    """
    requested: dict[str, Amounts] = {}
    permanent: dict[str, Amounts] = {}
    for pod in pods:
        node = pod.spec.node_name
        if node is None or pod.is_finished:
            continue
        asked = pod_requests(pod.spec)
        requested[node] = requested.get(node, NOTHING) + asked
        owners = pod.metadata.owner_references
        if owners and owners[0].kind in _OWNERS_ON_EVERY_NODE:
            permanent[node] = permanent.get(node, NOTHING) + asked
    return {node: NodeLoad(total, permanent.get(node, NOTHING)) for node, total in requested.items()}


def _with_init_containers(containers: Amounts, spec: PodSpec) -> Amounts:
    """Init containers run one after the other, each beside the sidecars that were started before it."""
    sidecars, worst = NOTHING, NOTHING
    for container in spec.init_containers or ():
        own = Amounts(*_requested(container))
        if container.restart_policy == "Always":
            sidecars += own
            worst = worst.or_more(sidecars)
        else:
            worst = worst.or_more(sidecars + own)
    return worst.or_more(containers + sidecars)


def _of_the_pod(containers: Amounts, resources: ResourceRequirements) -> Amounts:
    named = resources.requests or {}
    cpu, memory, storage = _amounts(named)
    return Amounts(
        cpu if CPU in named else containers.cpu_millicores,
        memory if MEMORY in named else containers.memory_bytes,
        storage if EPHEMERAL_STORAGE in named else containers.ephemeral_storage_bytes,
        containers.pods,
    )


def _requested(container: Container) -> tuple[int, int, int]:
    resources = container.resources
    return _amounts(resources.requests) if resources is not None and resources.requests else (0, 0, 0)


def _amounts(quantities: Mapping[str, str]) -> tuple[int, int, int]:
    """Millicores, bytes of memory, bytes of ephemeral storage."""
    return (
        _milli(quantities.get(CPU, "0")),
        _whole(quantities.get(MEMORY, "0")),
        _whole(quantities.get(EPHEMERAL_STORAGE, "0")),
    )


@lru_cache(maxsize=16384)
def _milli(text: str) -> int:
    value = parse_quantity(text) * _MILLI
    return -(-value.numerator // value.denominator)


@lru_cache(maxsize=16384)
def _whole(text: str) -> int:
    value = parse_quantity(text)
    return -(-value.numerator // value.denominator)
