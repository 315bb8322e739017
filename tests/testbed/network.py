"""One network namespace per node and one for the control plane, joined by a bridge; no route leads out."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.layout import (
    CONTROL_PLANE_ADDRESS,
    CONTROL_PLANE_NETNS,
    ETCD,
    HUB,
    HUB_ADDRESS,
    NODES,
    PREFIX,
    SERVICE_NETWORK,
)
from tests.testbed.shell import run


def up() -> None:
    """Make the bridge, the namespaces and the routes between the nodes' pods."""
    run("ip", "link", "add", HUB, "type", "bridge")
    run("ip", "address", "add", f"{HUB_ADDRESS}/24", "dev", HUB)
    run("ip", "link", "set", HUB, "up")
    _join(CONTROL_PLANE_NETNS, "cp", [CONTROL_PLANE_ADDRESS, *(member.address for member in ETCD)])
    for node in NODES:
        _join(node.netns, node.name, [node.address])
        for setting in ("ipv4/ip_forward", "bridge/bridge-nf-call-iptables"):
            run("sh", "-c", f"echo 1 > /proc/sys/net/{setting}", netns=node.netns)
        run("ip", "route", "add", SERVICE_NETWORK, "dev", "eth0", netns=node.netns)
    for netns, own in [(CONTROL_PLANE_NETNS, None), *((node.netns, node) for node in NODES)]:
        for node in NODES:
            if node != own:
                run("ip", "route", "add", node.pod_network, "via", node.address, netns=netns)


def down() -> None:
    """Remove the namespaces and the bridge; what is not there is fine."""
    for path in sorted(Path("/run/netns").glob(f"{PREFIX}-*")):
        run("ip", "netns", "delete", path.name, check=False)
    for link in sorted(Path("/sys/class/net").glob(f"{PREFIX}-*")):
        run("ip", "link", "delete", link.name, check=False)


def _join(netns: str, name: str, addresses: list[str]) -> None:
    outside = f"{PREFIX}-{name}-x"
    run("ip", "netns", "add", netns)
    run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", netns)
    run("ip", "link", "set", outside, "master", HUB, "up")
    run("ip", "link", "set", "lo", "up", netns=netns)
    for address in addresses:
        run("ip", "address", "add", f"{address}/24", "dev", "eth0", netns=netns)
    run("ip", "link", "set", "eth0", "up", netns=netns)
