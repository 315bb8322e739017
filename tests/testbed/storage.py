"""The test bed's own CSI driver with the real sidecars around it: started, stopped, told to misbehave."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tests.testbed import processes
from tests.testbed.binaries import binary
from tests.testbed.client import Cluster, wait_for
from tests.testbed.csi import filesystem, protocol
from tests.testbed.csi.layout import CONTROLLER_SOCKET, DRIVER, FAULT_FILE, FOLDER, registration_socket
from tests.testbed.layout import CONTROL_PLANE_NETNS, KUBECONFIG, NODES, SOURCES, NodeLayout

CONTROLLER = "csi-controller"


def up(cluster: Cluster) -> None:
    """Install the classes and start the driver; the nodes' kubelets must run."""
    protocol.prepare()
    for manifest in protocol.snapshot_crds():
        cluster.apply(manifest.read_text())
    wait_for("the VolumeSnapshot API", lambda: cluster.get("/apis/snapshot.storage.k8s.io/v1"))
    cluster.apply((SOURCES / "manifests" / "csi.yaml").read_text())
    start_controller()
    for node in NODES:
        start_node_service(node)
    wait_for("the CSI driver in every CSINode", lambda: all(has_driver(cluster, node) for node in NODES))


def down() -> None:
    """Let go of all volumes; the driver and the pods must have ended."""
    filesystem.release_all(FOLDER)


def start_controller() -> None:
    """Start the driver's controller, and the sidecars, which end when they lose it."""
    processes.start(CONTROLLER, _driver("controller"), netns=CONTROL_PLANE_NETNS)
    wait_for("the CSI controller", CONTROLLER_SOCKET.exists)
    client_flags = [f"--kubeconfig={KUBECONFIG}", "--kube-api-qps=50", "--kube-api-burst=100"]
    sidecar_flags = [*client_flags, f"--csi-address={CONTROLLER_SOCKET}", "--retry-interval-max=10s"]
    for sidecar in ("csi-attacher", "csi-resizer", "csi-snapshotter"):
        processes.start(sidecar, [binary(sidecar), *sidecar_flags], netns=CONTROL_PLANE_NETNS)
    no_groups = "--feature-gates=CSIVolumeGroupSnapshot=false"  # on by default, it would wait for CRDs of its own
    processes.start(
        "snapshot-controller", [binary("snapshot-controller"), *client_flags, no_groups], netns=CONTROL_PLANE_NETNS
    )


def start_node_service(node: NodeLayout) -> None:
    """Start the driver on a node; its kubelet then enters it in the CSINode."""
    processes.start(node_service(node), _driver("node", node.name), netns=node.netns)
    wait_for(f"the CSI driver on {node.name}", registration_socket(node).exists)


def stop_node_service(node: NodeLayout) -> None:
    """Stop the driver on a node; its kubelet then takes it off the CSINode."""
    processes.stop(node_service(node))


def node_service(node: NodeLayout) -> str:
    """The recorded name of the driver's process on a node."""
    return f"csi-node-{node.name}"


def has_driver(cluster: Cluster, node: NodeLayout) -> bool:
    """Whether the CSINode names the driver."""
    found = cluster.resource("CSINode", "storage.k8s.io/v1").get(name=node.name)
    return any(driver.name == DRIVER for driver in found.spec.drivers or ())


@contextmanager
def provisioning_fault(fault: Literal["hang", "fail"]) -> Iterator[None]:
    """Make every CreateVolume hang or fail for a while."""
    FAULT_FILE.write_text(fault)
    try:
        yield
    finally:
        FAULT_FILE.unlink()


def _driver(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.testbed.csi", *words]
