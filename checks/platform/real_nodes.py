"""Are there machines for data, or only services that run pods elsewhere?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, check
from auditor.facts.kube import Node, Pod

from .._wording import counted, full_names, listed
from ._virtual import is_fargate, is_virtual

_POOL = "Add a pool of machines (EKS: a managed node group or Auto Mode; AKS, ACK: a node pool) for data systems."


@check(
    "platform.real-nodes",
    title="There are machines for stateful pods, and not only virtual nodes",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(Node, Pod),
    aliases=("PLT-008",),
)
def real_nodes(facts: Facts) -> Iterator[Finding]:
    """Brokers and DataNodes need nodes to which disks can be attached.

    ## What it checks
    At least one node that takes pods is a machine. Nodes of EKS Fargate (`eks.amazonaws.com/compute-type=fargate`), of
    virtual kubelets (`type=virtual-kubelet`, or the taint `virtual-kubelet.io/provider`: Azure Container Instances,
    Alibaba Cloud ECI and others) and of kwok are none. Where there are both, a pod with claims on a virtual node is a
    warning.

    ## Why it matters
    On Fargate no EBS volume can be attached, no DaemonSet runs, and no pod may be privileged; virtual kubelets have
    limits of the same kind. Storage drivers, log collectors and node exporters are DaemonSets, so that a pod there has
    no volumes, no logs and no metrics. Stateless services and short Spark executors do well there.

    ## How to fix
    Add a pool of machines, and keep stateful pods on it with a node selector or taints.

    ## References
    - [EKS Fargate: considerations](https://docs.aws.amazon.com/eks/latest/userguide/fargate.html)
    - [EKS: EBS volumes cannot be mounted by Fargate pods](https://docs.aws.amazon.com/eks/latest/userguide/ebs-csi.html)
    - [AKS: virtual nodes](https://learn.microsoft.com/en-us/azure/aks/virtual-nodes)
    - [Virtual Kubelet](https://virtual-kubelet.io/docs/)
    """
    nodes = sorted(facts.list(Node), key=lambda node: node.name)
    virtual = [node for node in nodes if is_virtual(node)]
    machines = [node for node in nodes if not is_virtual(node) and _runs_workloads(node)]
    if not machines and not virtual:
        yield Finding.unknown(
            f"No node for pods was seen ({counted(len(nodes), 'node')} in all); Fargate shows none until a pod runs.",
            fix="Collect again when the nodes for data are there.",
        )
        return
    if not machines:
        yield Finding.fail(
            f"Every node for pods ({len(virtual)}: {listed([node.name for node in virtual])}) is virtual "
            f"({_kinds(virtual)}), machines were expected: no disk can be attached, and no DaemonSet runs.",
            subjects=[node.subject for node in virtual],
            fix=_POOL,
        )
        return
    if virtual:
        yield from _judge_pods(facts, virtual)
    beside = f", beside {counted(len(virtual), 'virtual node')}" if virtual else ""
    yield Finding.ok(f"{counted(len(machines), 'machine')} for pods{beside}.")


def _judge_pods(facts: Facts, virtual: Sequence[Node]) -> Iterator[Finding]:
    names = {node.name for node in virtual}
    pods = [
        pod
        for pod in facts.list(Pod)
        if pod.spec.node_name in names and pod.claim_names and not pod.is_finished  # most pods end at the first
    ]
    pods.sort(key=lambda pod: (pod.namespace or "", pod.name))
    if pods:
        yield Finding.warn(
            f"{counted(len(pods), 'pod')} with claims ({full_names(pods)}) "
            f"{'runs' if len(pods) == 1 else 'run'} on virtual nodes ({_kinds(virtual)}), where storage drivers do "
            "not; machines were expected.",
            subjects=[pod.subject for pod in pods],
            fix="Keep stateful pods on machines, with a node selector, or outside of the Fargate profile.",
        )


def _runs_workloads(node: Node) -> bool:
    """Whether it is for pods: a control-plane node only where it takes ordinary ones."""
    return not node.is_control_plane or node.takes_ordinary_pods


def _kinds(virtual: Sequence[Node]) -> str:
    return listed(sorted({_kind(node) for node in virtual}))


def _kind(node: Node) -> str:
    if is_fargate(node):
        return "EKS Fargate"
    return "kwok" if node.labels.get("type") == "kwok" else "virtual kubelet"
