"""The test bed as a whole: up, down, status."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from tests.testbed import binaries, control_plane, images, kubeconfig, network, node, processes, prometheus, storage
from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults import journal
from tests.testbed.layout import (
    AUDIT_KUBECONFIG,
    DNS_SERVICE_ADDRESS,
    HUB_ADDRESS,
    NODES,
    PREFIX,
    SOURCES,
    STATE,
    NodeLayout,
)
from tests.testbed.shell import run

_READY = STATE / "ready"
_LOCK = Path("/run/lock") / f"{PREFIX}.lock"


def up() -> Cluster:
    """The running test bed; started, or healed after a crash, where that is needed."""
    with _locked():
        if is_up():
            return Cluster()
        _take_down()
        _say("starting")
        started = time.monotonic()
        binaries.ensure(binaries.CLUSTER, binaries.METRICS_SERVER, binaries.LOCAL_PATH)
        STATE.mkdir(parents=True)
        network.up()
        cluster = _start_control_plane()
        with ThreadPoolExecutor() as pool:
            list(pool.map(_start_node, NODES))
        _install(cluster)
        _wait_until_ready(cluster)
        _READY.touch()
        _say(f"up after {time.monotonic() - started:.0f} s")
        return cluster


def down() -> None:
    """Stop and remove everything: processes, pods, mounts, namespaces, cgroups, files."""
    with _locked():
        _take_down()


def _take_down() -> None:
    for name in [name for name in processes.recorded() if name.startswith(("kubelet", "kube-"))]:
        processes.stop(name, grace_seconds=2)
    for each in NODES:
        node.down(each)
    processes.stop_all()
    storage.down()
    _unmount_below(STATE)
    network.down()
    if STATE.exists():
        shutil.rmtree(STATE)


def is_up() -> bool:
    """Whether the test bed was started to the end, all of its processes run, and no fault is left in it for good.

    While a living process has a fault on, such as a stopped scheduler, what does not run is that process's business.
    """
    if not _READY.exists() or journal.abandoned():
        return False
    return bool(journal.active()) or all(processes.runs(name) for name in processes.recorded())


def status() -> Iterator[str]:
    """What runs, line by line, in words."""
    if not STATE.exists():
        yield "The test bed is down. Start it with: python -m tests.testbed up"
        return
    yield f"The test bed is {'up' if is_up() else 'not in order; `up` heals it'}. State and logs: {STATE}"
    for name, record in sorted(processes.recorded().items()):
        yield f"  {name:<28} {'running' if processes.runs(name) else 'STOPPED':<8} pid {record.pid}"
    for fault in journal.active():
        yield f"  fault: {fault}"
    if not is_up():
        return
    with closing(Cluster()) as cluster:
        for found in cluster.core.list_node().items:
            ready = next(c.status for c in found.status.conditions if c.type == "Ready")
            zone = found.metadata.labels.get("topology.kubernetes.io/zone", "no zone")
            yield f"  node {found.metadata.name}: Ready={ready}, {zone}"
        pods = cluster.core.list_pod_for_all_namespaces().items
        running = sum(pod.status.phase == "Running" for pod in pods)
        yield f"  {running} of {len(pods)} pods run"


def _start_control_plane() -> Cluster:
    _say("control plane")
    control_plane.issue_certificates()
    control_plane.start_etcd()
    control_plane.start_api_server()
    cluster = Cluster()
    wait_for("the API server", lambda: cluster.get("/readyz") == "ok")
    control_plane.start_controller_manager()
    control_plane.start_scheduler()
    return cluster


def _start_node(layout: NodeLayout) -> None:
    _say(f"node {layout.name}")
    node.prepare(layout)
    node.start_runtime(layout)
    wait_for(
        f"containerd of {layout.name}",
        lambda: run("ctr", "--address", layout.containerd_socket, "version"),
    )
    for image in images.system_images():
        images.import_into(layout, image)
    node.start_agents(layout)


def _install(cluster: Cluster) -> None:
    _say("CoreDNS, storage, metrics")
    values = {
        "DNS_SERVICE_ADDRESS": DNS_SERVICE_ADDRESS,
        "UPSTREAM": HUB_ADDRESS,
        "LOCAL_PATH": str(STATE / "volumes"),
    }
    for name in ("coredns", "local-path", "metrics-server", "audit-account"):
        cluster.apply((SOURCES / "manifests" / f"{name}.yaml").read_text(), **values)
    kubeconfig.write(AUDIT_KUBECONFIG, credentials=cluster.token("auditor", "auditor"))
    prometheus.start()
    storage.up(cluster)


def _wait_until_ready(cluster: Cluster) -> None:
    _say("waiting for nodes and system pods")
    wait_for("three ready nodes", lambda: _ready_nodes(cluster) == len(NODES), timeout_seconds=120)
    wait_for("the system's pods", lambda: _all_pods_ready(cluster), timeout_seconds=180)


def _ready_nodes(cluster: Cluster) -> int:
    nodes = cluster.core.list_node().items
    return sum(c.status == "True" for n in nodes for c in n.status.conditions or () if c.type == "Ready")


def _all_pods_ready(cluster: Cluster) -> bool:
    pods = cluster.core.list_pod_for_all_namespaces().items
    return bool(pods) and all(
        any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ()) for pod in pods
    )


def _unmount_below(folder: Path) -> None:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        run("umount", "--lazy", point, check=False)


def _say(what: str) -> None:
    print(f"testbed: {what}", file=sys.stderr, flush=True)


@contextmanager
def _locked() -> Iterator[None]:
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(_LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
