"""storage.k8s.io and volumes: what the API server writes, as checks see it."""

import json
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import CSIDriver, CSINode, PersistentVolume, PersistentVolumeClaim
from auditor.facts.kube.meta import KubeObject
from auditor.facts.kube.storage import CSIStorageCapacity, VolumeAttachment, VolumeAttributesClass

K = TypeVar("K", bound=KubeObject)


def decoded(view: type[K], **fields: Any) -> K:
    return msgspec.json.decode(json.dumps({"metadata": {"name": "x"}, **fields}), type=view)


@pytest.mark.parametrize("spec", [{}, {"drivers": None}, {"drivers": []}])
def test_a_node_without_drivers_is_read(spec: dict[str, Any]) -> None:
    assert decoded(CSINode, spec=spec).drivers == ()


@given(count=st.one_of(st.none(), st.integers(min_value=0, max_value=2**31 - 1)))
def test_a_missing_limit_is_none_and_zero_is_zero(count: int | None) -> None:
    driver: dict[str, Any] = {"name": "ebs.csi.aws.com", "nodeID": "i-1", "topologyKeys": None}
    if count is not None:
        driver["allocatable"] = {"count": count}

    [found] = decoded(CSINode, spec={"drivers": [driver]}).drivers

    assert (found.allocatable.count if found.allocatable is not None else None) == count


def test_a_driver_says_what_it_declares() -> None:
    spec = decoded(
        CSIDriver,
        spec={"attachRequired": False, "fsGroupPolicy": "None", "storageCapacity": True},
    ).spec

    assert (spec.attach_required, spec.fs_group_policy, spec.storage_capacity) == (False, "None", True)
    assert decoded(CSIDriver).spec.fs_group_policy is None


def test_an_attachment_tells_of_its_error() -> None:
    attachment = decoded(
        VolumeAttachment,
        spec={"attacher": "ebs.csi.aws.com", "nodeName": "n1", "source": {"persistentVolumeName": "pvc-1"}},
        status={"attached": False, "attachError": {"message": "busy", "time": "2026-01-01T00:00:00Z"}},
    )

    assert attachment.status.attach_error is not None
    assert attachment.status.attach_error.message == "busy"
    assert attachment.spec.source.persistent_volume_name == "pvc-1"


def test_a_claim_tells_what_became_of_its_attributes() -> None:
    claim = decoded(
        PersistentVolumeClaim,
        spec={"volumeAttributesClassName": "fast"},
        status={
            "phase": "Bound",
            "currentVolumeAttributesClassName": "slow",
            "modifyVolumeStatus": {"status": "Infeasible", "targetVolumeAttributesClassName": "fast"},
        },
    )

    assert claim.status.current_volume_attributes_class_name == "slow"
    assert claim.status.modify_volume_status is not None
    assert claim.status.modify_volume_status.status == "Infeasible"


def test_a_volume_tells_its_file_system_and_mode() -> None:
    volume = decoded(
        PersistentVolume, spec={"volumeMode": "Block", "csi": {"driver": "d", "volumeHandle": "h", "fsType": "xfs"}}
    )

    assert volume.spec.volume_mode == "Block"
    assert volume.spec.csi is not None
    assert volume.spec.csi.fs_type == "xfs"


@pytest.mark.parametrize("view", [VolumeAttributesClass, CSIStorageCapacity])
def test_newer_types_are_served_in_their_group(view: type[KubeObject]) -> None:
    assert view.api.group == "storage.k8s.io"
    assert view.api.versions[0] == "v1"
