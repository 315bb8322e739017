"""What the checks of nodes share: amounts in words, autoscaling, and what to say where there is no node to judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor import Facts, Finding, if_served, named
from auditor.facts.kube import ConfigMap, Node
from auditor.facts.kube.karpenter import NodePool
from auditor.facts.parts import Part

from .._nodes import Pool, data_pools, is_linux, is_spot, is_virtual
from .._wording import counted, listed

_AUTOSCALER_STATUS = "cluster-autoscaler-status"
_KUBE_SYSTEM = "kube-system"

AUTOSCALER_PARTS: tuple[Part, ...] = (
    if_served(NodePool),
    named(ConfigMap, _AUTOSCALER_STATUS, namespace=_KUBE_SYSTEM),
)
"""What a check that calls :func:`autoscaler` declares to read."""

_GIB = 2**30


def autoscaler(facts: Facts) -> str | None:
    """What adds nodes when pods need them, as messages call it; None where nothing tells of one."""
    if facts.list(NodePool):
        return "Karpenter"
    status = facts.get_named(ConfigMap, _AUTOSCALER_STATUS, namespace=_KUBE_SYSTEM)
    return "the cluster autoscaler" if status is not None else None


def general_pools(facts: Facts, *, with_spot: bool = False) -> list[Pool]:
    """The pools for data systems: not those behind a GPU's taint, nor spot capacity behind one unless it will do.

    Where there is nothing else, a cluster for machine learning perhaps, those are all that can be judged.
    """
    pools = data_pools(facts)
    return [pool for pool in pools if not is_special(pool, with_spot=with_spot)] or pools


def is_special(pool: Pool, *, with_spot: bool = False) -> bool:
    """Whether its taint is that of GPUs, or of spot capacity unless that will do."""
    if not pool.taints:
        return False
    return pool.is_for_gpus or (not with_spot and any(is_spot(node) for node in pool.nodes))


def no_node_to_judge(facts: Facts) -> Finding:
    """The finding when no Linux machine is there for data systems' pods."""
    nodes = facts.list(Node)
    if nodes and all(is_virtual(node) for node in nodes):
        return Finding.skip(
            f"The cluster has only virtual nodes ({len(nodes)}, of Fargate, virtual-kubelet or KWOK), "
            "so there is no machine to judge."
        )
    return Finding.unknown(
        f"No node can take pods of data systems now ({_kinds(nodes)}), so there is none to judge.",
        fix="Collect again when the nodes for data are there and schedulable.",
    )


def _kinds(nodes: Sequence[Node]) -> str:
    if not nodes:
        return "the cluster has no nodes"
    kinds = Counter(_kind(node) for node in nodes)
    return listed([f"{counted(count, 'node')} {kind}" for kind, count in sorted(kinds.items())])


def _kind(node: Node) -> str:
    if is_virtual(node):
        return "virtual"
    if not is_linux(node):
        return "not Linux"
    if node.is_control_plane:
        return "of the control plane"
    return "cordoned" if node.spec.unschedulable else "tainted"


def gib(amount_bytes: float) -> str:
    """``4.7 GiB``, ``16 GiB``."""
    return f"{_short(amount_bytes / _GIB)} GiB"


def cores(millicores: float) -> str:
    """``0.25 cores``, ``1 core``, ``3.9 cores``."""
    text = _short(millicores / 1000)
    return f"{text} core" if text == "1" else f"{text} cores"


def names(nodes: Sequence[Node]) -> str:
    """The nodes' names as messages list them."""
    return listed([node.name for node in nodes])


def _short(value: float) -> str:
    """Two decimals below 1, one below 100, none above, and no zeros at the end; rounded down, never up."""
    digits = 100 if abs(value) < 1 else 10 if abs(value) < 100 else 1
    return f"{int(value * digits) / digits:g}"
