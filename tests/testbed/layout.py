"""Where everything of the test bed lives: names, addresses, folders, versions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

STATE = Path("/var/lib/auditor-testbed")
"""Everything of the running test bed: keys, configurations, data, logs, process ids. Short, for socket paths."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "auditor-testbed"
"""What outlives a test bed: binaries and images, by version."""

SOURCES = Path(__file__).parent
REPOSITORY = SOURCES.parents[1]

PREFIX = "atb"
"""Start of every network namespace, link and cgroup that the test bed makes."""

HUB = f"{PREFIX}-hub"
"""The bridge in the host's namespace that joins the nodes and the control plane."""

HUB_ADDRESS = "100.64.0.1"
CONTROL_PLANE_ADDRESS = "100.64.0.10"
NODE_NETWORK = "100.64.0.0/24"
SERVICE_NETWORK = "100.65.0.0/16"
POD_NETWORK = "100.66.0.0/16"
KUBERNETES_SERVICE_ADDRESS = "100.65.0.1"
DNS_SERVICE_ADDRESS = "100.65.0.10"
CLUSTER_DOMAIN = "cluster.local"

API_SERVER = f"https://{CONTROL_PLANE_ADDRESS}:6443"

KUBERNETES_VERSION = "1.35.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLayout:
    """One real node."""

    name: str
    zone: str
    address: str
    pod_network: str

    @property
    def netns(self) -> str:
        """Its network namespace."""
        return f"{PREFIX}-{self.name}"

    @property
    def folder(self) -> Path:
        """Its folder below the state."""
        return STATE / self.name

    @property
    def cgroup(self) -> str:
        """Its cgroup in every controller, for pods."""
        return f"/{PREFIX}-{self.name}"

    @property
    def shim_cgroup(self) -> str:
        """The cgroup of its containerd shims."""
        return f"/{PREFIX}-{self.name}-shims"

    @property
    def containerd_socket(self) -> Path:
        """The address of its container runtime."""
        return self.folder / "containerd.sock"


NODES = tuple(
    NodeLayout(
        name=f"n{number}",
        zone=f"zone-{letter}",
        address=f"100.64.0.{10 + number}",
        pod_network=f"100.66.{number}.0/24",
    )
    for number, letter in enumerate("abc", start=1)
)

CONTROL_PLANE_NETNS = f"{PREFIX}-cp"


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdLayout:
    """One etcd member; all of them run in the control plane's namespace, each on an address of its own."""

    name: str
    address: str

    @property
    def client_url(self) -> str:
        """Where clients reach it."""
        return f"https://{self.address}:2379"

    @property
    def peer_url(self) -> str:
        """Where the other members reach it."""
        return f"https://{self.address}:2380"


ETCD = tuple(EtcdLayout(name=f"etcd-{number}", address=f"100.64.0.{20 + number}") for number in (1, 2, 3))

PKI = STATE / "pki"
LOGS = STATE / "logs"
KUBECONFIG = STATE / "admin.kubeconfig"
AUDIT_KUBECONFIG = STATE / "audit.kubeconfig"
