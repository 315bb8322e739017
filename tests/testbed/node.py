"""A real node: containerd, kubelet and kube-proxy of its own in a network namespace of its own."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.testbed import kubeconfig, pki, processes
from tests.testbed.binaries import binary
from tests.testbed.layout import (
    CLUSTER_DOMAIN,
    DNS_SERVICE_ADDRESS,
    PKI,
    POD_NETWORK,
    NodeLayout,
)
from tests.testbed.pki import AUTHORITY

PAUSE_IMAGE = "localhost/auditor-testbed/pause:1"


def prepare(node: NodeLayout) -> None:
    """Write the node's configuration and make its cgroups."""
    node.folder.mkdir(parents=True, exist_ok=True)
    _make_cgroup(node.cgroup)
    _make_cgroup(node.shim_cgroup)
    (node.folder / "cni").mkdir(exist_ok=True)
    (node.folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni_configuration(node), indent=1))
    (node.folder / "containerd.toml").write_text(_containerd_configuration(node))
    (node.folder / "resolv.conf").write_text("nameserver 100.64.0.1\n")
    (node.folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet_configuration(node)))
    serving = pki.issue(
        f"kubelet-{node.name}", f"system:node:{node.name}", organization="system:nodes", hosts=(node.name, node.address)
    )
    kubeconfig.write(node.folder / "kubelet.kubeconfig", credentials=serving)
    proxy = pki.issue(f"kube-proxy-{node.name}", "system:kube-proxy")
    kubeconfig.write(node.folder / "kube-proxy.kubeconfig", credentials=proxy)
    (node.folder / "kube-proxy.yaml").write_text(yaml.safe_dump(_proxy_configuration(node)))


def start_runtime(node: NodeLayout) -> None:
    """Start containerd."""
    processes.start(
        f"containerd-{node.name}",
        ["containerd", "--config", node.folder / "containerd.toml"],
        netns=node.netns,
    )


def start_agents(node: NodeLayout) -> None:
    """Start kubelet and kube-proxy."""
    start_kubelet(node)
    processes.start(
        f"kube-proxy-{node.name}",
        [binary("kube-proxy"), f"--config={node.folder / 'kube-proxy.yaml'}"],
        netns=node.netns,
    )


def start_kubelet(node: NodeLayout) -> None:
    """Start kubelet."""
    processes.start(
        f"kubelet-{node.name}",
        [
            binary("kubelet"),
            f"--config={node.folder / 'kubelet.yaml'}",
            f"--kubeconfig={node.folder / 'kubelet.kubeconfig'}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            f"--root-dir={node.folder / 'kubelet'}",
            f"--cert-dir={node.folder / 'kubelet' / 'pki'}",
            f"--node-labels=topology.kubernetes.io/zone={node.zone},topology.kubernetes.io/region=testbed",
        ],
        netns=node.netns,
    )


def down(node: NodeLayout) -> None:
    """Kill what still runs on the node: its pods and their shims, whose sockets live outside the node's folder."""
    sockets = shim_sockets(node)
    processes.kill_cgroup(node.shim_cgroup)
    processes.kill_cgroup(node.cgroup)
    for socket in sockets:
        socket.unlink(missing_ok=True)


def shim_sockets(node: NodeLayout) -> list[Path]:
    """Where the shims of the node's pods listen."""
    addresses = node.folder.glob("containerd-state/io.containerd.runtime.v2.task/*/*/address")
    return [Path(address.read_text().removeprefix("unix://")) for address in addresses]


def _make_cgroup(cgroup: str) -> None:
    for controller in Path("/sys/fs/cgroup").iterdir():
        if controller.is_symlink() or not controller.is_dir():
            continue
        folder = controller / cgroup.strip("/")
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (folder / setting).exists():
                (folder / setting).write_text((controller / setting).read_text())


def _cni_configuration(node: NodeLayout) -> object:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": node.pod_network}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(node.folder / "ipam"),
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "testbed", "plugins": [bridge, portmap]}


def _containerd_configuration(node: NodeLayout) -> str:
    folder = node.folder
    return f"""version = 2
root = "{folder}/containerd-root"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs"]

[grpc]
  address = "{node.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{folder}/runc"
        ShimCgroup = "{node.shim_cgroup}"
"""


def _kubelet_configuration(node: NodeLayout) -> object:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(AUTHORITY.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / f"kubelet-{node.name}.crt"),
        "tlsPrivateKeyFile": str(PKI / f"kubelet-{node.name}.key"),
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_SERVICE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(node.folder / "resolv.conf"),
        "healthzBindAddress": node.address,
        "podLogsDir": str(node.folder / "pod-logs"),
        "volumePluginDir": str(node.folder / "volume-plugins"),
        "oomScoreAdj": 0,
        "maxPods": 200,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "systemReserved": {"memory": "256Mi"},
        "shutdownGracePeriod": "0s",
        "registerNode": True,
        "serverTLSBootstrap": False,
    }


def _proxy_configuration(node: NodeLayout) -> object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(node.folder / "kube-proxy.kubeconfig")},
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": node.name,
        "bindAddress": node.address,
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": f"{node.address}:10249",
        "mode": "iptables",
        "conntrack": {"maxPerCore": 0, "min": 0},
    }
