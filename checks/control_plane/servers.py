"""Does the API survive the loss of one server?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Subject, check, named, threshold
from auditor.facts.kube import EndpointSlice, Node
from auditor.facts.kube.coordination import API_SERVER_LABEL, Lease

from .._wording import counted, listed
from ._hosting import HOSTING_PARTS, control_plane_nodes, hidden_by
from ._leases import renewed_at

_KUBERNETES = named(EndpointSlice, "kubernetes", namespace="default")
_ADD = "Run three control-plane nodes, or choose the highly available control plane of the managed service."
_LOOK = f"kubectl get leases --namespace kube-system --selector {API_SERVER_LABEL}=kube-apiserver"


class ServersParameters(Parameters, frozen=True, kw_only=True):
    """How many servers a control plane must have."""

    min_api_servers: Annotated[
        int,
        threshold(
            "API servers that must live.",
            source="Amazon EKS best practices: at least two API servers; one cannot be replaced without an outage.",
            ge=1,
        ),
    ] = 2
    min_control_plane_nodes: Annotated[
        int,
        threshold(
            "Nodes that the control plane must have where its nodes are seen.",
            source="kubeadm, creating highly available clusters: three or more machines for the control plane.",
            ge=1,
        ),
    ] = 3
    alive_seconds: Annotated[
        int,
        threshold(
            "An API server whose lease is older than the newest one by more seconds is gone.",
            source="No upstream number; API servers renew their lease every 10 s, so that this is six renewals missed.",
            ge=20,
        ),
    ] = 60


@dataclass(frozen=True, slots=True)
class _Servers:
    """The API servers, seen from two sides."""

    addresses: tuple[str, ...]
    """Behind the Service ``kubernetes``; one may be a load balancer's."""
    leases: tuple[Lease, ...]
    """Of servers that live."""

    @property
    def count(self) -> int:
        """How many there are, at least."""
        return max(len(self.addresses), len(self.leases))

    @property
    def subjects(self) -> list[Subject]:
        """Their leases."""
        return [lease.subject for lease in self.leases]

    @property
    def seen(self) -> str:
        """What was seen of them."""
        addresses = "1 address" if len(self.addresses) == 1 else f"{len(self.addresses)} addresses"
        return f"{counted(len(self.leases), 'lease')} of living API servers, {addresses} behind the Service kubernetes"

    @property
    def evidence(self) -> dict[str, object]:
        """The same for programs."""
        return {"addresses": list(self.addresses), "leases": [lease.name for lease in self.leases]}


@check(
    "control-plane.api-servers",
    title="The control plane survives the loss of one API server",
    severity=Severity.HIGH,
    reads=(Lease, _KUBERNETES, *HOSTING_PARTS),
    aliases=("CPL-002",),
)
def api_servers(facts: Facts, params: ServersParameters) -> Iterator[Finding]:
    """The cluster has two API servers or more, and three control-plane nodes where these are nodes of the cluster.

    ## What it checks
    API servers are counted from two sides, and the greater number counts: the leases in `kube-system` with the label
    `apiserver.kubernetes.io/identity=kube-apiserver`, which each server since Kubernetes 1.26 renews every 10 s, and
    the addresses of the EndpointSlice `default/kubernetes`. One address alone says nothing, because it may be that of a
    load balancer. Where control-plane nodes are among the nodes, three of them are expected, all of them ready.

    One node with one API server is a failure. One API server behind a control plane that is not seen is a warning.

    ## Why it matters
    With one API server each upgrade and each crash stops scheduling, leader election and every operator. Flink's job
    managers lose the lease that they lead by and restart their jobs; Spark drivers get no executors; a broker whose
    node dies is not replaced. On DigitalOcean a highly available control plane is an option that is off by default, on
    AKS the Free tier has none, on GKE zonal clusters have one API server.

    ## How to fix
    Run three control-plane nodes behind a load balancer, or choose the highly available tier, or regional, form of the
    managed service. On some services that can only be chosen when the cluster is made.

    ## References
    - [Large clusters: API servers in each failure zone](https://kubernetes.io/docs/setup/best-practices/cluster-large/)
    - [kubeadm: creating highly available clusters](https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/)
    - [Leases: API server identity](https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity)
    - [EKS best practices: control plane](https://docs.aws.amazon.com/eks/latest/best-practices/control-plane.html)
    - [AKS pricing tiers](https://learn.microsoft.com/en-us/azure/aks/free-standard-pricing-tiers)
    - [DOKS: high availability](https://docs.digitalocean.com/products/kubernetes/how-to/enable-high-availability/)
    """
    nodes = control_plane_nodes(facts)
    servers = _Servers(_addresses(facts), _living(facts.list(Lease), params))
    findings = list(_judge_nodes(nodes, servers, params) if nodes else _judge_unseen(facts, servers, params))
    yield from findings
    if not findings:
        where = f" on {counted(len(nodes), 'control-plane node')}" if nodes else ""
        yield Finding.ok(
            f"The control plane has {servers.count} API servers{where} ({servers.seen}).",
            subjects=servers.subjects,
        )


def _judge_nodes(nodes: Sequence[Node], servers: _Servers, params: ServersParameters) -> Iterator[Finding]:
    if len(nodes) == 1 and servers.count < params.min_api_servers:
        yield Finding.fail(
            f"The control plane is one node ({nodes[0].name}) with one API server ({servers.seen}); at least "
            f"{params.min_control_plane_nodes} nodes and {params.min_api_servers} API servers were expected.",
            subjects=[node.subject for node in nodes],
            fix=_ADD,
            evidence=servers.evidence,
        )
        return
    if down := [node for node in nodes if not node.is_ready]:
        yield Finding.warn(
            f"{len(down)} of {len(nodes)} control-plane nodes ({listed([node.name for node in down])}) "
            f"{'is' if len(down) == 1 else 'are'} not ready, all were expected to be.",
            subjects=[node.subject for node in down],
            fix="Repair or replace the control-plane nodes that are not ready.",
        )
    if max(len(nodes), servers.count) < params.min_control_plane_nodes:  # k0s: not every server is a node
        yield Finding.warn(
            f"The control plane has {counted(len(nodes), 'node')} ({listed([node.name for node in nodes])}), "
            f"at least {params.min_control_plane_nodes} were expected.",
            subjects=[node.subject for node in nodes],
            fix=_ADD,
        )
    if servers.leases and servers.count < len(nodes) - len(down):
        yield Finding.warn(
            f"{counted(servers.count, 'API server')} for {len(nodes) - len(down)} control-plane nodes that are ready "
            f"({servers.seen}), one per node was expected.",
            subjects=servers.subjects,
            fix="Find the control-plane node whose API server does not run, and read the log of its container.",
            command=_LOOK,
            evidence=servers.evidence,
        )
    elif servers.count < params.min_api_servers:
        yield _not_told(servers)


def _judge_unseen(facts: Facts, servers: _Servers, params: ServersParameters) -> Iterator[Finding]:
    if servers.count >= params.min_api_servers:
        return
    if servers.leases:
        yield Finding.warn(
            f"{counted(servers.count, 'API server')} was seen ({servers.seen}), at least {params.min_api_servers} were "
            "expected; no node has the control plane's role.",
            subjects=servers.subjects,
            fix=_ADD,
            command=_LOOK,
            evidence=servers.evidence,
        )
    elif vendor := hidden_by(facts):
        yield Finding.skip(
            f"{vendor} runs the control plane out of sight: {servers.seen}, and an address may be a load balancer's."
        )
    else:
        yield _not_told(servers)


def _not_told(servers: _Servers) -> Finding:
    return Finding.unknown(
        f"How many API servers there are cannot be told: {servers.seen}, and an address may be a load balancer's.",
        fix="Count the API servers behind the address that clients use.",
        command=_LOOK,
        evidence=servers.evidence,
    )


def _addresses(facts: Facts) -> tuple[str, ...]:
    """The ready addresses behind the Service ``kubernetes``."""
    found = facts.get_named(EndpointSlice, "kubernetes", namespace="default")
    endpoints = (found.endpoints or ()) if found is not None else ()
    return tuple(sorted({address for each in endpoints if each.is_ready for address in each.addresses}))


def _living(leases: Sequence[Lease], params: ServersParameters) -> tuple[Lease, ...]:
    """The leases of API servers that were renewed when the newest one was; those of servers that left stay an hour."""
    renewals = [(time, lease) for lease in leases if lease.is_of_api_server and (time := renewed_at(lease))]
    if not renewals:
        return ()
    oldest = max(time for time, _ in renewals) - timedelta(seconds=params.alive_seconds)
    return tuple(sorted((lease for time, lease in renewals if time >= oldest), key=lambda lease: lease.name))
