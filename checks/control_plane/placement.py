"""Does the control plane survive the loss of a zone?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube import Node, Pod
from auditor.facts.kube.nodes import ZONE_LABEL

from .._wording import listed
from ._etcd import etcd_members
from ._hosting import HOSTING_PARTS, control_plane_nodes, hidden_by

_SPREAD = "Move control-plane nodes until no zone holds half of them or more."


@check(
    "control-plane.failure-domains",
    title="No zone holds the majority of etcd, and all members are in one region",
    severity=Severity.HIGH,
    reads=(Pod, *HOSTING_PARTS),
    aliases=("CPL-004",),
)
def failure_domains(facts: Facts) -> Iterator[Finding]:
    """The loss of one zone leaves etcd its majority.

    ## What it checks
    The nodes on which etcd runs, or the control-plane nodes where etcd's are not known: by their label
    `topology.kubernetes.io/zone` no zone holds so many that the others would be no majority, and by
    `topology.kubernetes.io/region` they are in one region. Nodes are counted as different hosts; whether two of them
    are virtual machines of one host cannot be seen.

    With two zones one of them always holds the majority: that is a warning, as are several regions. Where all nodes of
    the cluster are in one zone, or none has a zone, there is nothing to spread over. On a managed service the vendor
    answers for it, and the check is skipped.

    ## Why it matters
    Brokers and DataNodes that are spread over three zones do not help when the zone that fails takes the control plane
    with it: nothing is rescheduled, no volume is attached elsewhere. Between regions each write to etcd waits for the
    way there and back, and leaders are lost to delays.

    ## How to fix
    Give each of three zones one control-plane node, all in one region. Where zones are not labelled, label the nodes
    with the rack or the room that fails as one:

        kubectl label node NAME topology.kubernetes.io/zone=rack-1

    ## References
    - [Running in multiple zones: control plane behaviour](https://kubernetes.io/docs/setup/best-practices/multiple-zones/)
    - [Considerations for large clusters](https://kubernetes.io/docs/setup/best-practices/cluster-large/)
    - [etcd FAQ: cross-region deployments](https://etcd.io/docs/v3.6/faq/)
    """
    places = {member.place for member in etcd_members(facts)}
    of_etcd = [node for node in facts.list(Node) if node.name in places]
    nodes = sorted(of_etcd, key=lambda node: node.name) or control_plane_nodes(facts)
    if not nodes:
        yield _unseen(facts)
    elif len(nodes) == 1:
        yield Finding.skip(
            f"The control plane is one node ({nodes[0].name}): there is nothing to spread.",
            subjects=[nodes[0].subject],
        )
    else:
        findings = [*_judge_regions(nodes), *_judge_zones(nodes, facts.list(Node), of_etcd=bool(of_etcd))]
        yield from findings


def _unseen(facts: Facts) -> Finding:
    if vendor := hidden_by(facts):
        return Finding.skip(f"{vendor} runs the control plane out of sight and answers for its zones.")
    return Finding.unknown(
        "In which zones the control plane runs cannot be told: no node has its role.",
        fix="See to it that no zone, room or rack holds the majority of etcd's members.",
    )


def _judge_regions(nodes: Sequence[Node]) -> Iterator[Finding]:
    regions = sorted({node.region for node in nodes if node.region})
    if len(regions) > 1:
        yield Finding.warn(
            f"{_named(nodes)} are in {len(regions)} regions ({listed(regions)}), one was expected: "
            "each write waits for the way between them.",
            subjects=[node.subject for node in nodes],
            fix="Keep the control plane in the zones of one region.",
            evidence={"regions": {node.name: node.region for node in nodes}},
        )


def _judge_zones(nodes: Sequence[Node], cluster: Sequence[Node], *, of_etcd: bool) -> Iterator[Finding]:
    known = {node.zone for node in cluster if node.zone}
    without = [node for node in nodes if not node.zone]
    if not known:
        yield Finding.skip(
            f"{_named(nodes)} are {len(nodes)} hosts; no node of the cluster has the label {ZONE_LABEL}, so that there "
            "are no zones to spread over."
        )
    elif without:
        yield Finding.unknown(
            f"{len(without)} of {len(nodes)} nodes of the control plane ({listed([node.name for node in without])}) "
            f"{'has' if len(without) == 1 else 'have'} no label {ZONE_LABEL}: what the loss of a zone does cannot be "
            "told.",
            subjects=[node.subject for node in without],
            fix="Label the nodes with the zone, room or rack that fails as one.",
            command="\n".join(f"kubectl label node {node.name} {ZONE_LABEL}=ZONE" for node in without[:10]),
        )
    elif len(known) == 1:
        yield Finding.ok(
            f"{_named(nodes)} are {len(nodes)} hosts; all nodes of the cluster are in one zone, so that there is "
            "nothing to spread over.",
            subjects=[node.subject for node in nodes],
        )
    else:
        yield _judge_spread(nodes, len(known), of_etcd=of_etcd)


def _judge_spread(nodes: Sequence[Node], known: int, *, of_etcd: bool) -> Finding:
    zones = Counter(node.zone or "" for node in nodes)
    fullest, count = max(sorted(zones.items()), key=lambda entry: entry[1])
    details = {
        "subjects": [node.subject for node in nodes],
        "evidence": {"zones": {node.name: node.zone for node in nodes}},
    }
    if count == len(nodes):
        return Finding.fail(
            f"{_named(nodes)} are all in zone {fullest}, while the cluster spans {known}: the loss of that zone stops "
            "the control plane; several zones were expected.",
            fix=_SPREAD,
            **details,
        )
    spread = ", ".join(f"{number} in {zone}" for zone, number in sorted(zones.items()))
    if of_etcd and len(nodes) - count < len(nodes) // 2 + 1:
        status = Finding.warn if known == 2 else Finding.fail
        return status(
            f"The {len(nodes)} members of etcd are spread so ({spread}) that the loss of zone {fullest} leaves no "
            f"majority; the cluster spans {known} zones, and no zone was expected to hold half or more.",
            fix="Use a third zone, if only for one control-plane node." if known == 2 else _SPREAD,
            **details,
        )
    unseen = "" if of_etcd else "; etcd's members are not seen"
    return Finding.ok(f"{_named(nodes)} are spread over {len(zones)} zones ({spread}){unseen}.", **details)


def _named(nodes: Sequence[Node]) -> str:
    return f"The control-plane nodes {listed([node.name for node in nodes])}"
