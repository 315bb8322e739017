"""Down leaves nothing behind, and up heals what a crash left. Runs last: it ends the test bed that others use."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests.testbed import bed, node, processes
from tests.testbed.client import Cluster
from tests.testbed.layout import NODES, PREFIX, STATE
from tests.testbed.shell import run

CRASHED = ("kube-apiserver", "etcd-1", "containerd-n1", "kubelet-n2", "csi-controller", "prometheus")


def leftovers(shim_sockets: list[Path]) -> dict[str, list[str]]:
    """What of a test bed is still on this machine, by kind."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {
        "processes": [line for line in run("ps", "-eo", "pid,args").splitlines() if str(STATE) in line],
        "mounts": [point for point in mounts if point.startswith(str(STATE))],
        "network namespaces": [path.name for path in Path("/run/netns").glob(f"{PREFIX}-*")],
        "links": [path.name for path in Path("/sys/class/net").glob(f"{PREFIX}-*")],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{PREFIX}-*")],
        "loop devices": [line for line in run("losetup", "--list", "--noheadings").splitlines() if str(STATE) in line],
        "shim sockets": [str(socket) for socket in shim_sockets if socket.exists()],
        "files": [str(STATE)] if STATE.exists() else [],
    }


@pytest.mark.last
def test_down_leaves_nothing_and_up_heals_a_crash(test_bed: Cluster) -> None:
    sockets = [socket for each in NODES for socket in node.shim_sockets(each)]
    assert all(socket.exists() for socket in sockets)

    bed.down()
    found = leftovers(sockets)
    assert not any(found.values()), found

    with closing(bed.up()) as fresh:
        assert len(fresh.core.list_node().items) == 3

    for name in CRASHED:
        os.kill(processes.recorded()[name].pid, signal.SIGKILL)
    assert not bed.is_up()
    assert next(bed.status()).startswith("The test bed is not in order")

    with closing(bed.up()) as healed:
        assert bed.is_up()
        assert len(healed.core.list_node().items) == 3
