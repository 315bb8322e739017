"""snapshot.storage.k8s.io: snapshots of volumes. The API is a set of CRDs, so that a cluster need not serve it."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, ObjectReference, View
from auditor.facts.parts import Api


def _api(kind: str, plural: str, *, namespaced: bool = False) -> Api:
    return Api(
        group="snapshot.storage.k8s.io", versions=("v1", "v1beta1"), plural=plural, kind=kind, namespaced=namespaced
    )


class VolumeSnapshotClass(KubeObject, frozen=True, kw_only=True):
    """A class of snapshots."""

    api: ClassVar[Api] = _api("VolumeSnapshotClass", "volumesnapshotclasses")
    driver: str
    deletion_policy: str | None = None


class SnapshotError(View, frozen=True, kw_only=True):
    """Why a snapshot could not be taken."""

    message: str | None = None
    time: str | None = None


class VolumeSnapshotSource(View, frozen=True, kw_only=True):
    """What a snapshot is taken of; one of the two is set."""

    persistent_volume_claim_name: str | None = None
    volume_snapshot_content_name: str | None = None


class VolumeSnapshotSpec(View, frozen=True, kw_only=True):
    """What is asked of a snapshot."""

    volume_snapshot_class_name: str | None = None
    source: VolumeSnapshotSource = VolumeSnapshotSource()


class VolumeSnapshotStatus(View, frozen=True, kw_only=True):
    """What a snapshot reports."""

    bound_volume_snapshot_content_name: str | None = None
    ready_to_use: bool | None = None
    error: SnapshotError | None = None


class VolumeSnapshot(KubeObject, frozen=True, kw_only=True):
    """A snapshot that a user asks for. The snapshot-controller binds it to a VolumeSnapshotContent."""

    api: ClassVar[Api] = _api("VolumeSnapshot", "volumesnapshots", namespaced=True)
    spec: VolumeSnapshotSpec = VolumeSnapshotSpec()
    status: VolumeSnapshotStatus | None = None
    """None until the snapshot-controller has seen it."""

    @property
    def is_bound(self) -> bool:
        """Whether a snapshot-controller has done its part."""
        return self.status is not None and bool(self.status.bound_volume_snapshot_content_name)


class VolumeSnapshotContentSpec(View, frozen=True, kw_only=True):
    """What a snapshot is made by and for."""

    driver: str
    deletion_policy: str | None = None
    volume_snapshot_class_name: str | None = None
    volume_snapshot_ref: ObjectReference | None = None


class VolumeSnapshotContentStatus(View, frozen=True, kw_only=True):
    """What the driver reports of a snapshot."""

    ready_to_use: bool | None = None
    error: SnapshotError | None = None


class VolumeSnapshotContent(KubeObject, frozen=True, kw_only=True):
    """A snapshot as the storage knows it. The driver's snapshotter sidecar makes it real."""

    api: ClassVar[Api] = _api("VolumeSnapshotContent", "volumesnapshotcontents")
    spec: VolumeSnapshotContentSpec
    status: VolumeSnapshotContentStatus | None = None
