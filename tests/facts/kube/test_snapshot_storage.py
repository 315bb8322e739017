"""snapshot.storage.k8s.io: what the snapshot-controller and the drivers write, as checks see it."""

import json
from typing import Any, TypeVar

import msgspec
import pytest

from auditor.facts.kube.meta import KubeObject
from auditor.facts.kube.snapshot import VolumeSnapshot, VolumeSnapshotClass, VolumeSnapshotContent

K = TypeVar("K", bound=KubeObject)


def decoded(view: type[K], **fields: Any) -> K:
    return msgspec.json.decode(json.dumps({"metadata": {"name": "x"}, **fields}), type=view)


@pytest.mark.parametrize(
    ("status", "is_bound"),
    [
        (None, False),
        ({}, False),
        ({"readyToUse": False}, False),
        ({"error": {"message": "no such class", "time": "2026-01-01T00:00:00Z"}}, False),
        ({"boundVolumeSnapshotContentName": ""}, False),
        ({"boundVolumeSnapshotContentName": "snapcontent-1", "readyToUse": False}, True),
    ],
)
def test_a_snapshot_is_bound_once_it_has_content(status: dict[str, Any] | None, *, is_bound: bool) -> None:
    fields = {} if status is None else {"status": status}

    assert (
        decoded(VolumeSnapshot, spec={"source": {"persistentVolumeClaimName": "data"}}, **fields).is_bound is is_bound
    )


def test_content_names_its_driver() -> None:
    content = decoded(
        VolumeSnapshotContent,
        spec={
            "driver": "ebs.csi.aws.com",
            "deletionPolicy": "Delete",
            "source": {"volumeHandle": "vol-1"},
            "volumeSnapshotRef": {"kind": "VolumeSnapshot", "namespace": "kafka", "name": "nightly"},
        },
        status={"readyToUse": True, "restoreSize": 1, "snapshotHandle": "snap-1"},
    )

    assert content.spec.driver == "ebs.csi.aws.com"
    assert content.spec.volume_snapshot_ref is not None
    assert content.spec.volume_snapshot_ref.namespace == "kafka"
    assert content.status is not None
    assert content.status.ready_to_use


def test_a_class_names_its_driver() -> None:
    assert decoded(VolumeSnapshotClass, driver="pd.csi.storage.gke.io", deletionPolicy="Delete").driver == (
        "pd.csi.storage.gke.io"
    )


@pytest.mark.parametrize("view", [VolumeSnapshot, VolumeSnapshotClass, VolumeSnapshotContent])
def test_all_are_served_by_one_group(view: type[KubeObject]) -> None:
    assert view.api.group == "snapshot.storage.k8s.io"
    assert view.api.namespaced is (view is VolumeSnapshot)
