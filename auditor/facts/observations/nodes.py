"""What containers find on the nodes: limits, kernel settings, cgroups, swap, disks, names, clocks."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Observations, Step

UNLIMITED = -1


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One of a process's limits; :data:`UNLIMITED` where there is none.

    Attributes:
        soft: in force.
        hard: up to which the process may raise it.
    """

    soft: int
    hard: int


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """The node's processors: how many, and which."""

    count: int = 0
    model: str = ""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The node's memory."""

    total_bytes: int | None = None
    available_bytes: int | None = None


class ControlGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The hierarchy that limits the container's memory: version 1 or 2, 0 where none is to be seen."""

    version: int = 0


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """Swap.

    Attributes:
        total_bytes: of the node.
        used_bytes: of the node.
        allowed_bytes: that this container may use, :data:`UNLIMITED` where nothing limits it; None where that is not
            to be seen, as without swap accounting on cgroup v1.
    """

    total_bytes: int | None = None
    used_bytes: int | None = None
    allowed_bytes: int | None = None


class FileSystem(msgspec.Struct, frozen=True, kw_only=True):
    """The file system behind a folder of the container."""

    type: str
    source: str
    size_bytes: int
    free_bytes: int
    inodes: int
    inodes_free: int


class ResolvConf(msgspec.Struct, frozen=True, kw_only=True):
    """The container's ``/etc/resolv.conf``."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """How far the API server's clock is ahead of the node's: between two bounds, which the round trips leave open.

    Attributes:
        ahead_at_least_seconds: negative where the node may be ahead.
        ahead_at_most_seconds: likewise.
        answers: of the API server, over one connection.
        error: why there are no bounds.
    """

    ahead_at_least_seconds: float | None = None
    ahead_at_most_seconds: float | None = None
    answers: int = 0
    error: str = ""


class NodeObservation(msgspec.Struct, frozen=True, kw_only=True):
    """What one unprivileged container found on one node. What it could not read is empty or None.

    Attributes:
        kernel: its release.
        machine: ``x86_64``, ``aarch64`` …
        python: version of the agent's interpreter.
        user_id: that the container ran as.
        cpu: processors of the node.
        memory: of the node.
        cgroup: the hierarchy.
        limits: by name: ``core``, ``memlock``, ``nofile``, ``nproc``, ``stack``.
        sysctls: by name; those of ``net.*`` are the pod's, others the node's.
        swap: of the node, and what the container may use of it.
        huge_pages: of the node, by size (``2Mi``, ``1Gi``).
        transparent_huge_pages: ``always``, ``madvise`` or ``never``.
        transparent_huge_pages_defrag: likewise.
        resolv_conf: of a pod with the default DNS policy.
        file_systems: behind ``scratch``, an emptyDir, and ``shm``, the container's /dev/shm.
        clock: against the API server's.
    """

    kernel: str
    machine: str
    python: str = ""
    user_id: int | None = None
    cpu: Processor = Processor()
    memory: Memory = Memory()
    cgroup: ControlGroup = ControlGroup()
    limits: dict[str, Limit] = {}
    sysctls: dict[str, str] = {}
    swap: Swap = Swap()
    huge_pages: dict[str, int] = {}
    transparent_huge_pages: str = ""
    transparent_huge_pages_defrag: str = ""
    resolv_conf: ResolvConf | None = None
    file_systems: dict[str, FileSystem] = {}
    clock: Clock | None = None

    def sysctl(self, name: str) -> int | None:
        """The number that a setting holds; None where it was not to be read or is none."""
        value = self.sysctls.get(name, "")
        return int(value) if value.lstrip("-").isdigit() else None


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that were not visited.

    Attributes:
        reason: why, to be read after "not visited:".
        count: of the nodes.
        examples: some of their names.
    """

    reason: str
    count: int
    examples: tuple[str, ...] = ()


class NodesObservations(Observations, frozen=True, kw_only=True):
    """``observations/nodes.json``.

    Attributes:
        nodes: what was found, by the node's name.
        failed: why a visit gave nothing, by the node's name.
        left_out: nodes that no visit was planned to.
        namespace: that the pods lived in, which their search list begins with.
        shared_memory: whether a pod may have a larger /dev/shm, an emptyDir in memory; the detail says
            ``asked_bytes``, ``size_bytes`` and ``written_bytes``.
    """

    part_id: ClassVar[str] = "observations/nodes.json"
    nodes: dict[str, NodeObservation]
    failed: dict[str, Cause] = msgspec.field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    namespace: str
    shared_memory: Step
