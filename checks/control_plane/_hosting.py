"""Who runs the control plane, and what can be seen of it."""

from __future__ import annotations

from auditor import Facts
from auditor.facts.kube import Node
from auditor.facts.vendor import VENDOR_PARTS, detect_vendor, served_groups
from auditor.facts.vendor_marks import ACK, MARKS, OPENSHIFT, Platform
from auditor.model import Vendor

HOSTING_PARTS = VENDOR_PARTS
"""What :func:`vendor_of` and :func:`hidden_by` read."""

MICROK8S_LABEL = "node.kubernetes.io/microk8s-controlplane"
"""MicroK8s gives its control-plane nodes this label, and no role."""

_HIDING = {mark.of.id for mark in MARKS if isinstance(mark.of, Platform) and mark.of.hides_control_plane}
_HIDING_SOMETIMES = {ACK.id, OPENSHIFT.id}
"""ACK managed and OpenShift with a hosted control plane: where no node of them has the role, it is hidden too."""


def control_plane_nodes(facts: Facts) -> list[Node]:
    """The nodes of the control plane, as far as they are nodes of the cluster, by name."""
    nodes = (node for node in facts.list(Node) if node.is_control_plane or MICROK8S_LABEL in node.labels)
    return sorted(nodes, key=lambda node: node.name)


def vendor_of(facts: Facts) -> Vendor | None:
    """Who runs the cluster, where that can be told.

    Raises:
        UnreadableError: nodes were not read, which carry most of the marks.
    """
    facts.list(Node)
    return detect_vendor(facts, api_groups=served_groups(facts))


def hidden_by(facts: Facts) -> str | None:
    """The vendor that runs the control plane out of the cluster's sight; None where it is seen or nobody is known."""
    if control_plane_nodes(facts):
        return None
    vendor = vendor_of(facts)
    return vendor.name if vendor is not None and vendor.id in _HIDING | _HIDING_SOMETIMES else None
