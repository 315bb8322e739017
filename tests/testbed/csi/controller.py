"""The controller service of the driver: volumes and snapshots as image files, attached in the books."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

import msgspec

from tests.testbed.csi import filesystem, protocol, volumes
from tests.testbed.csi.layout import FAULT_FILE, VOLUMES_PER_NODE, ZONE_KEY
from tests.testbed.csi.rpc import RefusedError
from tests.testbed.csi.volumes import Snapshot, Volume
from tests.testbed.layout import NODES

MUTABLE_PARAMETERS = {"iops", "throughput"}
_CAPABILITIES = (
    "CREATE_DELETE_VOLUME",
    "PUBLISH_UNPUBLISH_VOLUME",
    "CREATE_DELETE_SNAPSHOT",
    "EXPAND_VOLUME",
    "MODIFY_VOLUME",
)
_DEFAULT_FS_TYPE = "xfs"


class HangingError(Exception):
    """CreateVolume was told never to answer."""


class Controller:
    """Creates, attaches, grows, changes, copies and deletes volumes; one call at a time."""

    def __init__(self) -> None:
        self._csi = protocol.csi()
        self._lock = Lock()
        volumes.make_folders()

    def controller_get_capabilities(self, _request: Any) -> Any:
        capability = self._csi.ControllerServiceCapability
        return self._csi.ControllerGetCapabilitiesResponse(
            capabilities=[
                capability(rpc=capability.RPC(type=capability.RPC.Type.Value(name))) for name in _CAPABILITIES
            ]
        )

    def create_volume(self, request: Any) -> Any:
        """Make a volume, empty or from a snapshot; the first preferred zone is its zone unless it reaches everywhere.

        Raises:
            RefusedError: it cannot be, or a fault was asked for.
            HangingError: a fault was asked for.
        """
        _raise_fault(dict(request.parameters))
        _check_mutable(request.mutable_parameters)
        with self._lock:
            made = volumes.volume(request.name) or self._make(request)
        wanted = request.capacity_range.required_bytes
        if made.capacity_bytes < wanted:
            raise RefusedError("ALREADY_EXISTS", f"volume {made.id} has {made.capacity_bytes} bytes, not {wanted}")
        zones = [made.zone] if made.zone else sorted({node.zone for node in NODES})
        return self._csi.CreateVolumeResponse(
            volume=self._csi.Volume(
                volume_id=made.id,
                capacity_bytes=made.capacity_bytes,
                volume_context={"fsType": made.fs_type},
                accessible_topology=[self._csi.Topology(segments={ZONE_KEY: zone}) for zone in zones],
                content_source=request.volume_content_source,
            )
        )

    def delete_volume(self, request: Any) -> Any:
        with self._lock:
            found = volumes.volume(request.volume_id)
            if found and found.node:
                raise RefusedError("FAILED_PRECONDITION", f"volume {found.id} is still attached to node {found.node}")
            if found:
                volumes.remove(found)
        return self._csi.DeleteVolumeResponse()

    def controller_publish_volume(self, request: Any) -> Any:
        with self._lock:
            found = _existing(request.volume_id)
            node = next((node for node in NODES if node.name == request.node_id), None)
            if node is None:
                raise RefusedError("NOT_FOUND", f"no node {request.node_id}")
            if found.node not in (None, node.name):
                raise RefusedError("FAILED_PRECONDITION", f"volume {found.id} is attached to node {found.node}")
            if found.zone not in (None, node.zone):
                raise RefusedError("INVALID_ARGUMENT", f"volume {found.id} is in {found.zone}, node {node.name} is not")
            if found.node is None and sum(each.node == node.name for each in volumes.volumes()) >= VOLUMES_PER_NODE:
                raise RefusedError("RESOURCE_EXHAUSTED", f"node {node.name} has {VOLUMES_PER_NODE} volumes attached")
            volumes.save(msgspec.structs.replace(found, node=node.name))
        return self._csi.ControllerPublishVolumeResponse()

    def controller_unpublish_volume(self, request: Any) -> Any:
        with self._lock:
            found = volumes.volume(request.volume_id)
            if found and found.node == (request.node_id or found.node):
                if filesystem.mount_points(found.image):
                    # Taken from a node that has not let go: what it still writes goes nowhere, as with a real disk.
                    filesystem.copy(found.image, found.image)
                volumes.save(msgspec.structs.replace(found, node=None))
        return self._csi.ControllerUnpublishVolumeResponse()

    def controller_expand_volume(self, request: Any) -> Any:
        with self._lock:
            found = _existing(request.volume_id)
            size = max(found.capacity_bytes, request.capacity_range.required_bytes)
            with found.image.open("r+b") as stream:
                stream.truncate(size)
            volumes.save(msgspec.structs.replace(found, capacity_bytes=size))
        return self._csi.ControllerExpandVolumeResponse(capacity_bytes=size, node_expansion_required=True)

    def controller_modify_volume(self, request: Any) -> Any:
        _check_mutable(request.mutable_parameters)
        with self._lock:
            found = _existing(request.volume_id)
            parameters = {**found.mutable_parameters, **request.mutable_parameters}
            volumes.save(msgspec.structs.replace(found, mutable_parameters=parameters))
        return self._csi.ControllerModifyVolumeResponse()

    def create_snapshot(self, request: Any) -> Any:
        with self._lock:
            taken = volumes.snapshot(request.name)
            if taken is None:
                source = _existing(request.source_volume_id)
                taken = Snapshot(
                    id=request.name,
                    volume=source.id,
                    size_bytes=source.capacity_bytes,
                    fs_type=source.fs_type,
                    taken_at_seconds=int(time.time()),
                )
                filesystem.copy(source.image, taken.image)
                volumes.save(taken)
        if taken.volume != request.source_volume_id:
            raise RefusedError("ALREADY_EXISTS", f"snapshot {taken.id} is of volume {taken.volume}")
        answer = self._csi.CreateSnapshotResponse()
        answer.snapshot.snapshot_id = taken.id
        answer.snapshot.source_volume_id = taken.volume
        answer.snapshot.size_bytes = taken.size_bytes
        answer.snapshot.creation_time.FromSeconds(taken.taken_at_seconds)
        answer.snapshot.ready_to_use = True
        return answer

    def delete_snapshot(self, request: Any) -> Any:
        with self._lock:
            found = volumes.snapshot(request.snapshot_id)
            if found:
                volumes.remove(found)
        return self._csi.DeleteSnapshotResponse()

    def _make(self, request: Any) -> Volume:
        fs_type = request.volume_capabilities[0].mount.fs_type or _DEFAULT_FS_TYPE
        if fs_type not in filesystem.MINIMUM_BYTES:
            raise RefusedError("INVALID_ARGUMENT", f"fstype {fs_type} is none of {sorted(filesystem.MINIMUM_BYTES)}")
        everywhere = request.parameters.get("reach") == "everywhere"
        preferred = request.accessibility_requirements.preferred
        made = Volume(
            id=request.name,
            capacity_bytes=max(request.capacity_range.required_bytes, filesystem.MINIMUM_BYTES[fs_type]),
            fs_type=fs_type,
            zone=None if everywhere else preferred[0].segments[ZONE_KEY],
            mutable_parameters=dict(request.mutable_parameters),
            snapshot=request.volume_content_source.snapshot.snapshot_id or None,
        )
        if made.snapshot:
            made = _restore(made, made.snapshot)
        else:
            filesystem.make(made.image, size_bytes=made.capacity_bytes, fs_type=fs_type)
        volumes.save(made)
        return made


def _restore(made: Volume, handle: str) -> Volume:
    source = volumes.snapshot(handle)
    if source is None:
        raise RefusedError("NOT_FOUND", f"no snapshot {handle}")
    if made.capacity_bytes < source.size_bytes:
        raise RefusedError("OUT_OF_RANGE", f"snapshot {handle} needs at least {source.size_bytes} bytes")
    filesystem.copy(source.image, made.image)
    with made.image.open("r+b") as stream:
        stream.truncate(made.capacity_bytes)
    return msgspec.structs.replace(made, fs_type=source.fs_type)


def _existing(handle: str) -> Volume:
    found = volumes.volume(handle)
    if found is None:
        raise RefusedError("NOT_FOUND", f"no volume {handle}")
    return found


def _check_mutable(parameters: Any) -> None:
    if unknown := sorted(set(parameters) - MUTABLE_PARAMETERS):
        raise RefusedError("INVALID_ARGUMENT", f"parameters that cannot be changed: {', '.join(unknown)}")


def _raise_fault(parameters: dict[str, str]) -> None:
    fault = FAULT_FILE.read_text().strip() if FAULT_FILE.exists() else parameters.get("fault")
    if fault == "hang":
        raise HangingError
    if fault == "fail":
        raise RefusedError("RESOURCE_EXHAUSTED", "the test asked for this volume to fail")
