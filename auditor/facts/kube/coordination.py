"""coordination.k8s.io: who leads, and who is alive."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api

API_SERVER_LABEL = "apiserver.kubernetes.io/identity"
"""On the lease of each API server, which it renews every 10 s; the value names the kind of server."""

API_SERVER = "kube-apiserver"
"""The value of :data:`API_SERVER_LABEL` on leases of the cluster's own API servers."""

NODE_LEASES = "kube-node-lease"
"""The namespace with one lease per node, of the node's name."""


class LeaseSpec(View, frozen=True, kw_only=True):
    """Who holds a lease."""

    holder_identity: str | None = None
    """Empty where the last holder has let it go."""
    lease_duration_seconds: int | None = None
    """For how long others wait after the last renewal that they saw."""
    renew_time: str | None = None
    """RFC 3339 with microseconds, by the holder's clock."""
    lease_transitions: int | None = None
    """How often the holder changed since the lease was made."""


class Lease(KubeObject, frozen=True, kw_only=True):
    """A claim that its holder renews for as long as it lives."""

    api: ClassVar[Api] = Api(
        group="coordination.k8s.io", versions=("v1",), plural="leases", kind="Lease", namespaced=True
    )
    spec: LeaseSpec = LeaseSpec()

    @property
    def is_of_api_server(self) -> bool:
        """Whether one of the cluster's own API servers holds it to show that it lives."""
        return self.labels.get(API_SERVER_LABEL) == API_SERVER

    @property
    def is_of_node(self) -> bool:
        """Whether a kubelet holds it to show that its node lives."""
        return self.namespace == NODE_LEASES
