"""Claims and volumes."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import Condition, KubeObject, LabelSelector, NodeSelector, ObjectReference, View, core_api
from auditor.facts.kube.pods import ResourceRequirements
from auditor.facts.parts import Api


class DataSource(View, frozen=True, kw_only=True):
    """What a claim is filled from."""

    kind: str = ""
    name: str = ""


class PersistentVolumeClaimSpec(View, frozen=True, kw_only=True):
    """What is asked of a claim."""

    access_modes: tuple[str, ...] | None = None
    storage_class_name: str | None = None
    """None: the default class at creation; empty: no class on purpose."""
    volume_attributes_class_name: str | None = None
    volume_mode: str | None = None
    volume_name: str | None = None
    resources: ResourceRequirements | None = None
    selector: LabelSelector | None = None
    data_source: DataSource | None = None


class ModifyVolumeStatus(View, frozen=True, kw_only=True):
    """How far a change of a volume's attributes is; there is none when nothing is being changed."""

    status: str = ""
    """``Pending``, ``InProgress`` or ``Infeasible``."""
    target_volume_attributes_class_name: str | None = None


class PersistentVolumeClaimStatus(View, frozen=True, kw_only=True):
    """What a claim reports."""

    phase: str | None = None
    capacity: dict[str, str] | None = None
    conditions: tuple[Condition, ...] | None = None
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: ModifyVolumeStatus | None = None


class PersistentVolumeClaim(KubeObject, frozen=True, kw_only=True):
    """A claim for a volume."""

    api: ClassVar[Api] = core_api("PersistentVolumeClaim", "persistentvolumeclaims")
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class CSIVolumeSource(View, frozen=True, kw_only=True):
    """The CSI driver behind a volume."""

    driver: str
    fs_type: str | None = None


class LocalVolumeSource(View, frozen=True, kw_only=True):
    """A disk or folder of one node."""

    path: str = ""


class NfsVolumeSource(View, frozen=True, kw_only=True):
    """An NFS export."""

    server: str = ""


class VolumeNodeAffinity(View, frozen=True, kw_only=True):
    """The nodes from which a volume can be reached."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(View, frozen=True, kw_only=True):
    """What a volume is."""

    storage_class_name: str | None = None
    access_modes: tuple[str, ...] | None = None
    capacity: dict[str, str] | None = None
    persistent_volume_reclaim_policy: str | None = None
    claim_ref: ObjectReference | None = None
    node_affinity: VolumeNodeAffinity | None = None
    volume_mode: str | None = None
    """None means Filesystem, the API's default."""
    csi: CSIVolumeSource | None = None
    local: LocalVolumeSource | None = None
    host_path: LocalVolumeSource | None = None
    nfs: NfsVolumeSource | None = None


class PersistentVolumeStatus(View, frozen=True, kw_only=True):
    """What a volume reports."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None


class PersistentVolume(KubeObject, frozen=True, kw_only=True):
    """A volume."""

    api: ClassVar[Api] = core_api("PersistentVolume", "persistentvolumes", namespaced=False)
    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()
