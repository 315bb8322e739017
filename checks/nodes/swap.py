"""Can pods of data systems be swapped out?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Severity, Workload, check
from auditor.facts.kube import Node
from auditor.facts.kubelet import KUBELET_PARTS, KubeletConfiguration, kubelet_configuration

from .._nodes import workers
from .._wording import counted, examples
from ._shared import gib, names, no_node_to_judge

_COLLECT = Fix(
    text="Collect one node's kubelet configuration, or look at /proc/swaps on the nodes.",
    command="auditor collect --kubelet-config",
)


@check(
    "nodes.no-swap",
    title="Pods of data systems are never swapped out",
    severity=Severity.MEDIUM,
    workloads=(*STATEFUL_WORKLOADS, Workload.SPARK),
    reads=(Node, *KUBELET_PARTS),
    aliases=("NOD-008",),
)
def no_swap(facts: Facts) -> Iterator[Finding]:
    """A Java heap that is partly swapped out turns every garbage collection into disk reads.

    ## What it checks
    Nodes have no swap, or pods cannot use it:

    - Nodes that report swap (`status.nodeInfo.swap.capacity`, of recent kubelets) are judged by the kubelet's
      `memorySwap.swapBehavior`: with `NoSwap`, the default, pods cannot use it; `LimitedSwap` lets Burstable pods swap,
      a warning; anything else fails.
    - Nodes that report none have none where the kubelet refuses to start with swap (`failSwapOn`, the default).
    - Where neither can be told the finding is unknown: a node that does not report swap most likely has none.

    The kubelet's configuration is that of one node (`auditor collect --kubelet-config`) or kubeadm's. Judged are Linux
    machines that are there for pods, not Fargate, virtual-kubelet or KWOK.

    ## Why it matters
    A garbage collector walks the whole heap; if parts of it lie on disk, a pause of milliseconds takes many seconds, a
    broker or DataNode misses its heartbeats, and a healthy process is taken for dead.

    ## How to fix
    Switch swap off on nodes for data (`swapoff -a`, and out of /etc/fstab), or leave `swapBehavior` at `NoSwap`. Pods
    of the class Guaranteed, whose requests equal their limits, never swap.

    ## References
    - [Swap memory management](https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/)
    - [KEP-2400: node swap](https://www.kubernetes.dev/resources/keps/2400/)
    - [Linux node swap behaviors](https://kubernetes.io/docs/reference/node/swap-behavior/)
    """
    nodes = workers(facts)
    if not nodes:
        yield no_node_to_judge(facts)
        return
    configuration = kubelet_configuration(facts)
    if swapping := [node for node in nodes if _swap_bytes(node)]:
        yield _judge_swapping(swapping, configuration)
    if rest := [node for node in nodes if not _swap_bytes(node)]:
        yield _judge_silent(rest, configuration)


def _swap_bytes(node: Node) -> int:
    swap = node.status.node_info.swap
    return (swap.capacity if swap is not None else None) or 0


def _judge_swapping(nodes: Sequence[Node], configuration: KubeletConfiguration | None) -> Finding:
    largest = max(map(_swap_bytes, nodes))
    found = f"{counted(len(nodes), 'node')} ({names(nodes)}) with swap, up to {gib(largest)}"
    subjects = [node.subject for node in nodes]
    evidence: dict[str, object] = {"swap_bytes": examples({node.name: _swap_bytes(node) for node in nodes})}
    if configuration is None or configuration.fail_swap_on:
        # A kubelet that refuses swap does not run on these nodes: the configuration that was read is not theirs.
        return Finding.unknown(
            f"Whether pods can use it on {found}, cannot be told: these kubelets' swapBehavior was not read.",
            subjects=subjects,
            fix=_COLLECT,
            evidence=evidence,
        )
    behavior = configuration.swap_behavior
    evidence["swapBehavior"] = behavior
    if behavior == "NoSwap":
        return Finding.ok(
            f"{found[0].upper()}{found[1:]}: pods cannot use it (swapBehavior NoSwap, {configuration.source}).",
            subjects=subjects,
            evidence=evidence,
        )
    if behavior == "LimitedSwap":
        return Finding.warn(
            f"{found[0].upper()}{found[1:]}: Burstable pods can be swapped out (swapBehavior LimitedSwap, "
            f"{configuration.source}), NoSwap was expected.",
            subjects=subjects,
            fix="Set requests equal to limits for pods of data systems, or swapBehavior to NoSwap on their nodes.",
            evidence=evidence,
        )
    return Finding.fail(
        f"{found[0].upper()}{found[1:]}: all pods can be swapped out (swapBehavior {behavior}, "
        f"{configuration.source}), NoSwap was expected.",
        subjects=subjects,
        fix="Switch swap off on nodes for data, or set swapBehavior to NoSwap.",
        evidence=evidence,
    )


def _judge_silent(nodes: Sequence[Node], configuration: KubeletConfiguration | None) -> Finding:
    if configuration is not None and configuration.fail_swap_on:
        return Finding.ok(
            f"No swap on {counted(len(nodes), 'node')}: none reports any, and the kubelet refuses to start with it "
            f"(failSwapOn, {configuration.source}).",
            subjects=[node.subject for node in nodes],
        )
    why = "the kubelets' failSwapOn was not read" if configuration is None else "the kubelets start with swap too"
    return Finding.unknown(
        f"Whether there is swap on {counted(len(nodes), 'node')} ({names(nodes)}) cannot be told: none is reported, "
        f"which most likely means none, but {why}.",
        subjects=[node.subject for node in nodes],
        fix=_COLLECT,
    )
