"""Do nodes say where they are?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, check
from auditor.facts.kube import Node
from auditor.facts.kube.nodes import LEGACY_ZONE_LABEL, REGION_LABEL, ZONE_LABEL

from .._wording import counted, full_names, listed

_UNINITIALIZED_TAINT = "node.cloudprovider.kubernetes.io/uninitialized"
_OS_LABEL = "kubernetes.io/os"
_VIRTUAL = ("type", "virtual-kubelet")

_COMMANDS_AT_MOST = 10
"""A finding shows this many commands; the subjects name all nodes."""


@check(
    "scheduler.zone-labels",
    title="Every node that data may run on names its zone",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(Node,),
    aliases=("SCH-007",),
)
def zone_labels(facts: Facts) -> Iterator[Finding]:
    """Racks, spread constraints and volumes of one zone depend on a label that every node carries.

    ## What it checks
    All nodes outside the control plane carry `topology.kubernetes.io/zone`, those that are cordoned or tainted for a
    purpose included: a pool kept for Kafka is tainted.

    - A node without the label beside nodes that have one fails.
    - Where no node of several has it, as on premises or in clouds that know regions only (DigitalOcean, Linode), that
      is a warning: nothing breaks until somebody asks for a zone. A single node has no topology.
    - `topology.kubernetes.io/region` on some nodes only is a warning; without any, or with one on each, all is well.

    The label of old (`failure-domain.beta.kubernetes.io/zone`) does not count: what is written today asks for the new
    one. Left out are Windows nodes, virtual ones, and those that their cloud has not initialized yet.

    ## Why it matters
    With `rack`, Strimzi requires a node that has the label: on others no broker is placed, and older versions loop in
    their init container. A topology spread constraint leaves nodes without its key out. A volume of one zone, and
    HDFS's rack awareness, take the zone from it.

    ## How to fix
    In a cloud, its cloud-controller-manager sets both labels when a node joins: see why it did not. Elsewhere give each
    rack, room or power feed a name of its own, and let the provisioning of nodes set it from the first start
    (kubelet's `--node-labels` may).

        kubectl label node NAME topology.kubernetes.io/zone=ZONE topology.kubernetes.io/region=REGION

    ## References
    - [topology.kubernetes.io/zone](https://kubernetes.io/docs/reference/labels-annotations-taints/#topologykubernetesiozone)
    - [Running in multiple zones](https://kubernetes.io/docs/setup/best-practices/multiple-zones/)
    - [Strimzi: rack awareness](https://strimzi.io/docs/operators/latest/configuring.html#type-Rack-reference)
    - [A broker on a node without the label loops](https://github.com/strimzi/strimzi-kafka-operator/issues/2347)
    """
    nodes = sorted((node for node in facts.list(Node) if _may_hold_data(node)), key=lambda node: node.name)
    if not nodes:
        yield Finding.unknown(
            f"No node that data could run on is known ({counted(len(facts.list(Node)), 'node')} in all), so it cannot "
            "be told whether such nodes name their zone.",
            fix="Collect again when the nodes for data have joined.",
        )
        return
    yield _judge_zones(nodes)
    without = [node for node in nodes if not node.labels.get(REGION_LABEL)]
    if without and len(without) < len(nodes):
        yield Finding.warn(
            f"The label {REGION_LABEL} is missing on {len(without)} of {counted(len(nodes), 'node')} for data "
            f"({full_names(without)}), though others have it: a pod that asks for the region is never placed there.",
            subjects=[node.subject for node in without],
            fix="Label the nodes with the region that they are in.",
            command=_label(without, REGION_LABEL, sorted({node.labels.get(REGION_LABEL, "") for node in nodes} - {""})),
        )


def _may_hold_data(node: Node) -> bool:
    """Whether pods of data systems may come to it, now or when a cordon is lifted, with or without tolerations."""
    key, value = _VIRTUAL
    if node.labels.get(key) == value or node.labels.get(_OS_LABEL) == "windows":
        return False
    if any(taint.key == _UNINITIALIZED_TAINT for taint in node.spec.taints or ()):
        return False
    return node.takes_ordinary_pods or not node.is_control_plane


def _judge_zones(nodes: Sequence[Node]) -> Finding:
    zones = sorted({node.labels[ZONE_LABEL] for node in nodes if node.labels.get(ZONE_LABEL)})
    without = [node for node in nodes if not node.labels.get(ZONE_LABEL)]
    if not without:
        return Finding.ok(
            f"Every node for data names its zone: {counted(len(nodes), 'node')} in {listed(zones)}.",
            subjects=[node.subject for node in nodes],
        )
    if zones:
        return _some_without(without, nodes, zones)
    if len(nodes) == 1:
        return Finding.skip(f"There is one node for data ({nodes[0].name}): it has no zone, and needs none.")
    return Finding.warn(
        f"The label {ZONE_LABEL} is missing on all {len(nodes)} nodes for data: what asks for a zone, such as the "
        "racks of Kafka and HDFS, is never placed, and replicas can be kept apart by node only.",
        subjects=[node.subject for node in nodes],
        fix="Give each rack, room or power feed a name, and label every node with it before data moves in.",
        command=_label(without, ZONE_LABEL, ()),
    )


def _some_without(without: Sequence[Node], nodes: Sequence[Node], zones: Sequence[str]) -> Finding:
    old = [node for node in without if node.labels.get(LEGACY_ZONE_LABEL)]
    hint = f"; the deprecated {LEGACY_ZONE_LABEL} is on {len(old)} of them" if old else ""
    return Finding.fail(
        f"The label {ZONE_LABEL} is missing on {len(without)} of {counted(len(nodes), 'node')} for data "
        f"({full_names(without)}); every one was expected to have it, as others do ({listed(zones)}): a broker with a "
        f"rack is never placed there{hint}.",
        subjects=[node.subject for node in without],
        fix="Label the nodes with the zone that they are in, and see why their cloud or provisioning did not.",
        command=_label(without, ZONE_LABEL, ()),
    )


def _label(nodes: Sequence[Node], key: str, values: Sequence[str]) -> str:
    """The commands to label nodes; the value is filled in where there is only one to choose from."""
    value = values[0] if len(values) == 1 else key.rpartition("/")[2].upper()
    return "\n".join(f"kubectl label node {node.name} {key}={value}" for node in nodes[:_COMMANDS_AT_MOST])
