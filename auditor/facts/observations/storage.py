"""What became of volumes of the cluster's StorageClasses, from the claim to the end, and how fast they are."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Latencies, Observations, Step

BIND = "bind"
"""The claim is bound; detail: ``asked_bytes``, ``capacity_bytes``."""
MOUNT = "mount"
"""The volume is mounted in a pod, counted from the creation of claim and pod; detail: ``node``, ``zone``."""
WRITE = "write"
"""A file is written and synced; detail: ``bytes``, ``write_seconds``, ``size_bytes`` of the file system."""
DISK = "disk"
"""The volume's speed was measured; :attr:`ClassObservation.disk` has the figures."""
EXPAND = "expand"
"""A larger claim became a larger file system in the same pod; detail: ``asked_bytes``, ``capacity_bytes``,
``capacity_seconds``, ``size_before_bytes``, ``size_after_bytes``, ``same_pod``."""
MODIFY = "modify"
"""Another VolumeAttributesClass took effect in the same pod; detail: ``attributes_class``, ``state``, ``same_pod``."""
SNAPSHOT = "snapshot"
"""A snapshot became ready; detail: ``snapshot_class``."""
RESTORE = "restore"
"""A volume made from the snapshot holds the same bytes; detail: ``same_bytes``."""
MOVE = "move"
"""The pod came up on another node, with the same bytes; detail: ``from_node``, ``to_node``, ``same_bytes``."""
SHARE = "share"
"""Two pods on two nodes use one volume; detail: ``nodes``, ``read``, ``kept_out``, ``locked_later``."""
DELETE = "delete"
"""The claim was deleted, and its volume is gone; detail: ``reclaim_policy``."""

EARLIER = "Earlier"
"""The reason of a step that was not done because one before it had failed."""
NO_SUCH_ABILITY = "NoSuchAbility"
"""The reason of a step that the class, or what it stands on, is not made for; there is nothing to prove."""
NOT_SERVED = "NotServed"
"""The reason of a step whose API the cluster does not serve."""
NO_CLASS = "NoClass"
"""The reason of a step for which the cluster has no class of the driver."""
NODE_BOUND = "NodeBound"
"""The reason of a move that cannot be: the volume is reached from one node only."""
ONE_NODE = "OneNode"
"""The reason of a step that needs two nodes where there is one."""
IGNORED = "Ignored"
"""The reason of a change that nothing has taken up."""
INFEASIBLE = "Infeasible"
"""The reason of a change that the driver refused."""
LOST = "LostBytes"
"""The reason of a step that found other bytes than were written."""


class DiskSpeed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How fast a file system is, from a few seconds with one file.

    Attributes:
        tool: ``fio``, or ``agent`` for the probe agent's own measurement.
        direct: whether sequential and random requests went past the page cache; otherwise each was synced.
        file_bytes: of the file.
        depth: requests under way at one time in the random measurement.
        sequential_write_bytes_per_second: in blocks of 1 MiB.
        random_read_iops: of 4 KiB, half reads and half writes at the same time.
        random_write_iops: likewise.
        random_read: completion latencies.
        random_write: completion latencies.
        sync: of fdatasync after each write of 8 KiB, one at a time.
        synced_writes_per_second: of these.
        note: why fio was not used although it is there.
    """

    tool: str
    direct: bool
    file_bytes: int
    depth: int
    sequential_write_bytes_per_second: float
    random_read_iops: float
    random_write_iops: float
    random_read: Latencies
    random_write: Latencies
    sync: Latencies
    synced_writes_per_second: float
    note: str = ""


class ClassObservation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of volumes of one StorageClass.

    Attributes:
        provisioner: of the class.
        is_default: whether claims that name no class get this one.
        is_used: whether a claim of the cluster names it.
        allows_expansion: what the class says.
        bytes: that the claims asked for.
        steps: in the order in which they were taken.
        disk: how fast the volume is; None where that was not measured.
    """

    provisioner: str
    is_default: bool
    is_used: bool
    allows_expansion: bool
    bytes: int
    steps: tuple[Step, ...]
    disk: DiskSpeed | None = None

    def step(self, name: str) -> Step | None:
        """One step; None where it was not even planned."""
        return next((step for step in self.steps if step.name == name), None)


class BurstObservation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Several claims at once, each with a pod.

    Attributes:
        class_name: of the claims.
        claims: how many were made.
        mounted: seconds from the creation of all to each pod's start; None where none started.
        failed: how many did not start.
        cause: why the first of these did not.
    """

    class_name: str
    claims: int
    mounted: Latencies | None = None
    failed: int = 0
    cause: Cause | None = None


class StorageObservations(Observations, frozen=True, kw_only=True):
    """``observations/storage.json``.

    Attributes:
        classes: by the class's name.
        left_out: why a class was not probed, by its name.
        node_disk: the speed of an emptyDir, the node's own disk; None where it was not measured.
        node_disk_step: why not, and on which ``node``.
        burst: several claims at once; None where there was no class for it.
    """

    part_id: ClassVar[str] = "observations/storage.json"
    classes: dict[str, ClassObservation]
    left_out: dict[str, str] = msgspec.field(default_factory=dict)
    node_disk: DiskSpeed | None = None
    node_disk_step: Step | None = None
    burst: BurstObservation | None = None
