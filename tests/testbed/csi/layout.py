"""Names, folders and sockets of the test bed's CSI driver."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.layout import STATE, NodeLayout

DRIVER = "csi.testbed.auditor"
VERSION = "1"
ZONE_KEY = "topology.testbed.auditor/zone"
"""The topology key that the driver puts on nodes and volumes."""

VOLUMES_PER_NODE = 20

FOLDER = STATE / "csi"
"""Images of volumes and snapshots, and what is known of them."""

CONTROLLER_SOCKET = FOLDER / "csi.sock"

FAULT_FILE = FOLDER / "fault"
"""``hang`` or ``fail`` in it makes every CreateVolume do so; a class's parameter ``fault`` does it for that class."""


def node_socket(node: NodeLayout) -> Path:
    """Where the node's part of the driver listens."""
    return node.folder / "kubelet" / "plugins" / DRIVER / "csi.sock"


def registration_socket(node: NodeLayout) -> Path:
    """Where the node's kubelet finds out about the driver."""
    return node.folder / "kubelet" / "plugins_registry" / f"{DRIVER}-reg.sock"
