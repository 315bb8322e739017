"""The members of etcd, as far as they are pods or nodes of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor import Facts, Subject
from auditor.facts.kube import Node, Pod

from ._hosting import control_plane_nodes

ETCD_ROLE_LABEL = "node-role.kubernetes.io/etcd"
"""k3s, RKE2 and RKE label the nodes on which a member runs."""

_POD_LABELS = (
    ("kube-system", "component", "etcd"),  # kubeadm and all that build on it, RKE2
    ("kube-system", "k8s-app", "etcd-manager-main"),  # kOps; its second etcd holds nothing but events
    ("openshift-etcd", "app", "etcd"),
)
_TALOS = "Talos"
"""Talos runs a member on every control-plane node, as a service that is no pod."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of etcd.

    Attributes:
        place: the node that it runs on; the pod's name where that is not known.
        is_ready: whether its pod and its node are, as far as each is seen.
        subject: what a finding shows.
    """

    place: str
    is_ready: bool
    subject: Subject


def etcd_pods(facts: Facts) -> list[Pod]:
    """The members that are pods, by name."""
    pods = [
        pod
        for namespace, key, value in _POD_LABELS
        for pod in facts.labelled(Pod, key, value)
        if pod.namespace == namespace and not pod.is_finished
    ]
    return sorted(pods, key=lambda pod: pod.name)


def etcd_members(facts: Facts) -> list[Member]:
    """The members that are seen, one per node, by place; none where etcd runs elsewhere."""
    members: dict[str, Member] = {}
    for member in _of_nodes(facts):
        members[member.place] = member
    for member in _of_pods(facts):
        known = members.get(member.place)
        ready = member.is_ready and (known is None or known.is_ready)
        members[member.place] = Member(member.place, ready, member.subject)
    return sorted(members.values(), key=lambda member: member.place)


def _of_nodes(facts: Facts) -> Iterator[Member]:
    for node in facts.list(Node):
        if node.labels.get(ETCD_ROLE_LABEL) in ("", "true"):
            yield Member(node.name, node.is_ready, node.subject)
    for node in control_plane_nodes(facts):
        if node.status.node_info.os_image.startswith(_TALOS):
            yield Member(node.name, node.is_ready, node.subject)


def _of_pods(facts: Facts) -> Iterator[Member]:
    for pod in etcd_pods(facts):
        yield Member(pod.spec.node_name or pod.name, pod.is_ready, pod.subject)
