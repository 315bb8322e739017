"""The node service of the driver, and its registration with the kubelet of that node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.testbed.csi import filesystem, protocol, volumes
from tests.testbed.csi.layout import DRIVER, VOLUMES_PER_NODE, ZONE_KEY, node_socket
from tests.testbed.csi.rpc import RefusedError
from tests.testbed.csi.volumes import Volume
from tests.testbed.layout import NodeLayout

_CAPABILITIES = ("STAGE_UNSTAGE_VOLUME", "EXPAND_VOLUME", "GET_VOLUME_STATS")


class Registration:
    """Tells the kubelet where the driver of its node listens."""

    def __init__(self, node: NodeLayout) -> None:
        self._protocol = protocol.registration()
        self._node = node

    def get_info(self, _request: Any) -> Any:
        return self._protocol.PluginInfo(
            type="CSIPlugin", name=DRIVER, endpoint=str(node_socket(self._node)), supported_versions=["1.0.0"]
        )

    def notify_registration_status(self, request: Any) -> Any:
        if not request.plugin_registered:
            raise RefusedError("INTERNAL", f"the kubelet of {self._node.name} refused: {request.error}")
        return self._protocol.RegistrationStatusResponse()


class Node:
    """Mounts attached volumes on one node."""

    def __init__(self, node: NodeLayout) -> None:
        self._csi = protocol.csi()
        self._node = node

    def node_get_info(self, _request: Any) -> Any:
        return self._csi.NodeGetInfoResponse(
            node_id=self._node.name,
            max_volumes_per_node=VOLUMES_PER_NODE,
            accessible_topology=self._csi.Topology(segments={ZONE_KEY: self._node.zone}),
        )

    def node_get_capabilities(self, _request: Any) -> Any:
        capability = self._csi.NodeServiceCapability
        return self._csi.NodeGetCapabilitiesResponse(
            capabilities=[
                capability(rpc=capability.RPC(type=capability.RPC.Type.Value(name))) for name in _CAPABILITIES
            ]
        )

    def node_stage_volume(self, request: Any) -> Any:
        volume = self._attached(request.volume_id)
        target = Path(request.staging_target_path)
        if not _is_mounted(target):
            target.mkdir(parents=True, exist_ok=True)
            options = tuple(request.volume_capability.mount.mount_flags)
            filesystem.mount(volume.image, target, fs_type=volume.fs_type, options=options)
        return self._csi.NodeStageVolumeResponse()

    def node_unstage_volume(self, request: Any) -> Any:
        filesystem.unmount(Path(request.staging_target_path))
        return self._csi.NodeUnstageVolumeResponse()

    def node_publish_volume(self, request: Any) -> Any:
        self._attached(request.volume_id)
        target = Path(request.target_path)
        if not _is_mounted(target):
            target.mkdir(parents=True, exist_ok=True)
            filesystem.bind(Path(request.staging_target_path), target, read_only=request.readonly)
        return self._csi.NodePublishVolumeResponse()

    def node_unpublish_volume(self, request: Any) -> Any:
        target = Path(request.target_path)
        filesystem.unmount(target)
        if target.exists():
            target.rmdir()
        return self._csi.NodeUnpublishVolumeResponse()

    def node_expand_volume(self, request: Any) -> Any:
        volume = self._attached(request.volume_id)
        filesystem.grow(volume.image, fs_type=volume.fs_type)
        return self._csi.NodeExpandVolumeResponse(capacity_bytes=volume.capacity_bytes)

    def node_get_volume_stats(self, request: Any) -> Any:
        if not _is_mounted(Path(request.volume_path)):
            raise RefusedError("NOT_FOUND", f"volume {request.volume_id} is not mounted at {request.volume_path}")
        found = os.statvfs(request.volume_path)
        usage = self._csi.VolumeUsage
        size = found.f_frsize
        return self._csi.NodeGetVolumeStatsResponse(
            usage=[
                usage(
                    unit=usage.BYTES,
                    total=found.f_blocks * size,
                    available=found.f_bavail * size,
                    used=(found.f_blocks - found.f_bfree) * size,
                ),
                usage(
                    unit=usage.INODES,
                    total=found.f_files,
                    available=found.f_favail,
                    used=found.f_files - found.f_ffree,
                ),
            ]
        )

    def _attached(self, handle: str) -> Volume:
        volume = volumes.volume(handle)
        if volume is None:
            raise RefusedError("NOT_FOUND", f"no volume {handle}")
        if volume.node != self._node.name:
            raise RefusedError("FAILED_PRECONDITION", f"volume {handle} is not attached to node {self._node.name}")
        return volume


def _is_mounted(path: Path) -> bool:
    return any(mount.point == path for mount in filesystem.mounts())
