"""Does the node autoscaler leave running jobs alone?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.durations import parse_duration
from auditor.facts.kube import ConfigMap, Deployment, Node, Pod
from auditor.facts.kube.karpenter import DO_NOT_DISRUPT_ANNOTATION, NODE_POOL_LABEL, NodePool
from auditor.facts.parts import if_served, named

from .._wording import counted, examples, full_name, full_names, listed
from ._deployments import Marks, deployments

_STATUS_NAMESPACE, _STATUS_NAME = "kube-system", "cluster-autoscaler-status"
"""The ConfigMap in which a cluster-autoscaler reports, the hidden ones of GKE and AKS included."""

_CLUSTER_AUTOSCALER = Marks(
    names=("cluster-autoscaler", "cluster-autoscaler-default", "*-cluster-autoscaler"),
    images=("*/cluster-autoscaler", "*-cluster-autoscaler"),
)
_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_PROTECTING_FLAGS = ("skip-nodes-with-local-storage", "skip-nodes-with-custom-controller-pods")
"""Both are true by default; a driver of an operator is evicted only where both are false."""

_NEVER = "Never"


class AutoscalerParameters(Parameters, frozen=True, kw_only=True):
    """How eagerly nodes may be taken away."""

    consolidate_after_seconds: Annotated[
        int,
        threshold(
            "Seconds for which a node must be underused before Karpenter may remove it.",
            source="spark.dynamicAllocation.executorIdleTimeout, 60 s by default: until then executors come and go.",
            ge=0,
        ),
    ] = 60


@check(
    "scheduler.node-autoscaler",
    title="The node autoscaler leaves running Spark jobs alone",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK,),
    reads=(
        if_served(NodePool),
        Deployment,
        named(ConfigMap, _STATUS_NAME, namespace=_STATUS_NAMESPACE),
        Pod,
        Node,
    ),
    aliases=("SCH-009",),
)
def node_autoscaler(facts: Facts, params: AutoscalerParameters) -> Iterator[Finding]:
    """An autoscaler that packs nodes tighter ends the job whose driver stood in its way.

    ## What it checks
    Which autoscaler there is: Karpenter, EKS Auto Mode or AKS node auto-provisioning by their NodePools; the
    cluster-autoscaler by its Deployment, or by the ConfigMap `cluster-autoscaler-status`, which hidden ones write too.
    Without one of them there is nothing to judge.

    For Karpenter and its kin:

    - A pool that consolidates underused nodes waits for at least `consolidate_after_seconds`, longer than Spark's
      dynamic allocation needs to let idle executors go.
    - A pool does not allow all its nodes to be disrupted at once (`budgets`; by default 10 % may be).
    - Running drivers on its nodes carry `karpenter.sh/do-not-disrupt: "true"`.

    For the cluster-autoscaler:

    - No running driver carries `cluster-autoscaler.kubernetes.io/safe-to-evict: "true"`.
    - Drivers that an operator owns are protected by `--skip-nodes-with-local-storage` or
      `--skip-nodes-with-custom-controller-pods`, both true by default. Where both are false, or where the flags are
      hidden, such drivers need `safe-to-evict: "false"`. Drivers without an owner are never evicted.

    ## Why it matters
    Executors can be replaced, the driver cannot: with it the whole application ends, hours of work included. The other
    way round, executors keep nodes: the cluster-autoscaler removes no node under a pod whose owner it does not know,
    so a few idle executors keep a large pool alive.

    ## How to fix
    Annotate drivers in the pod template or `spark.kubernetes.driver.annotation.*`, and let pools wait:

        spark.kubernetes.driver.annotation.karpenter.sh/do-not-disrupt=true
        spark.kubernetes.driver.annotation.cluster-autoscaler.kubernetes.io/safe-to-evict=false
        kubectl patch nodepool NAME --type=merge --patch '{"spec": {"disruption": {"consolidateAfter": "5m"}}}'

    ## References
    - [Karpenter: disruption](https://karpenter.sh/docs/concepts/disruption/)
    - [cluster-autoscaler: which pods prevent the removal of a node](https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md#what-types-of-pods-can-prevent-ca-from-removing-a-node)
    - [Spark: dynamic allocation](https://spark.apache.org/docs/latest/configuration.html#dynamic-allocation)
    - [Data on EKS: Spark best practices](https://awslabs.github.io/data-on-eks/docs/bestpractices/analytics/spark-best-practices)
    - [EKS Auto Mode: built-in node pools](https://docs.aws.amazon.com/eks/latest/userguide/set-builtin-node-pools.html)
    """
    pools = sorted(facts.list(NodePool), key=lambda pool: pool.name)
    yield from _judge_pools(pools, params)
    autoscalers = deployments(facts, _CLUSTER_AUTOSCALER)
    status = facts.get_named(ConfigMap, _STATUS_NAME, namespace=_STATUS_NAMESPACE)
    if not pools and not autoscalers and status is None:
        yield Finding.skip(
            "No node autoscaler shows itself: no NodePool of Karpenter, no Deployment of the cluster-autoscaler and no "
            f"ConfigMap {_STATUS_NAME}."
        )
        return
    drivers = sorted((pod for pod in facts.list(Pod) if _is_running_driver(pod)), key=full_name)
    if pools:
        yield from _judge_under_karpenter(facts, drivers)
    if autoscalers or status is not None:
        yield from _judge_under_cluster_autoscaler(autoscalers, drivers)


def _judge_pools(pools: Sequence[NodePool], params: AutoscalerParameters) -> Iterator[Finding]:
    hasty = {pool.name: pool.spec.disruption.consolidate_after or "0s" for pool in pools if _is_hasty(pool, params)}
    if hasty:
        yield Finding.warn(
            f"Underused nodes are removed after {listed(sorted(set(hasty.values())))} in {_pools(list(hasty))}, "
            f"{params.consolidate_after_seconds} s or more were expected: executors that come and go move with them.",
            subjects=[pool.subject for pool in pools if pool.name in hasty],
            fix="Raise consolidateAfter; where the pool is built in, as in EKS Auto Mode, make one of the site's own.",
            command="\n".join(
                f"kubectl patch nodepool {name} --type=merge "
                """--patch '{"spec": {"disruption": {"consolidateAfter": "5m"}}}'"""
                for name in list(hasty)[:10]
            ),
            evidence=dict(examples(hasty)),
        )
    unlimited = [pool for pool in pools if _may_lose_all(pool)]
    if unlimited:
        yield Finding.warn(
            f"All nodes may be disrupted at once in {_pools([pool.name for pool in unlimited])}; a budget of fewer, "
            "such as 10 %, was expected.",
            subjects=[pool.subject for pool in unlimited],
            fix="Give the pool a disruption budget of less than all its nodes.",
            command=f"kubectl edit nodepool {unlimited[0].name}",
        )
    calm = [pool for pool in pools if pool.name not in hasty and pool not in unlimited]
    if calm:
        yield Finding.ok(
            f"Nodes are removed with care in {_pools([pool.name for pool in calm])}.",
            subjects=[pool.subject for pool in calm],
        )


def _pools(names: Sequence[str]) -> str:
    return f"{'NodePool' if len(names) == 1 else 'NodePools'} {listed(names)}"


def _is_hasty(pool: NodePool, params: AutoscalerParameters) -> bool:
    """Whether nodes with pods on them are removed sooner than executors settle."""
    disruption = pool.spec.disruption
    if pool.spec.replicas is not None or "WhenEmpty" in (disruption.consolidation_policy, disruption.consolidate_when):
        return False
    after = disruption.consolidate_after or "0s"
    return after != _NEVER and parse_duration(after).total_seconds() < params.consolidate_after_seconds


def _may_lose_all(pool: NodePool) -> bool:
    """Whether no budget that always holds, for whatever reason, keeps some of the nodes."""
    budgets = pool.spec.disruption.budgets
    if budgets is None:
        return False
    always = [each for each in budgets if each.schedule is None and each.reasons is None]
    consolidations = [each for each in budgets if each.schedule is None and "Underutilized" in (each.reasons or ())]
    return all(each.nodes == "100%" for each in (*always, *consolidations))


def _is_running_driver(pod: Pod) -> bool:
    return pod.labels.get("spark-role") == "driver" and bool(pod.spec.node_name) and not pod.is_finished


def _judge_under_karpenter(facts: Facts, drivers: Sequence[Pod]) -> Iterator[Finding]:
    open_to_it = [pod for pod in drivers if pod.annotations.get(DO_NOT_DISRUPT_ANNOTATION) != "true"]
    if not open_to_it:
        if drivers:
            yield Finding.ok(f"Karpenter may not disrupt {counted(len(drivers), 'running driver')}.")
        return
    its_nodes = {node.name for node in facts.list(Node) if NODE_POOL_LABEL in node.labels}
    if endangered := [pod for pod in open_to_it if pod.spec.node_name in its_nodes]:
        yield _unprotected(
            endangered,
            f'on nodes of Karpenter without {DO_NOT_DISRUPT_ANNOTATION}: "true"',
            f"Annotate drivers with {DO_NOT_DISRUPT_ANNOTATION} in their template; that protects the next ones.",
            f"{DO_NOT_DISRUPT_ANNOTATION}=true",
        )


def _judge_under_cluster_autoscaler(autoscalers: Sequence[Deployment], drivers: Sequence[Pod]) -> Iterator[Finding]:
    given_up = [pod for pod in drivers if pod.annotations.get(_SAFE_TO_EVICT) == "true"]
    if given_up:
        yield _unprotected(
            given_up,
            f'with {_SAFE_TO_EVICT}: "true"',
            f"Take {_SAFE_TO_EVICT} from drivers, or set it to false.",
            f"{_SAFE_TO_EVICT}=false",
        )
    owned = [pod for pod in drivers if pod.metadata.owner_references and pod.annotations.get(_SAFE_TO_EVICT) is None]
    if autoscalers:
        yield from _judge_flags(autoscalers, owned)
    elif owned:
        yield Finding.unknown(
            f"Whether the cluster-autoscaler spares {counted(len(owned), 'driver')} ({full_names(owned)}) cannot be "
            "told: its flags are hidden.",
            subjects=[pod.subject for pod in owned],
            fix=f"Annotate drivers with {_SAFE_TO_EVICT}=false, which holds whatever the flags are.",
        )
    elif not given_up:
        yield Finding.ok("A cluster-autoscaler is there, and no running driver is open to eviction by it.")


def _judge_flags(autoscalers: Sequence[Deployment], owned: Sequence[Pod]) -> Iterator[Finding]:
    """What the flags of the autoscaler mean for drivers that an operator owns and that say nothing themselves."""
    flags = " and ".join(_PROTECTING_FLAGS)
    if _protects(autoscalers):
        yield Finding.ok(
            f"The cluster-autoscaler ({full_names(autoscalers)}) removes no node under pods with local storage or with "
            "owners that it does not know.",
            subjects=[each.subject for each in autoscalers],
        )
    elif owned:
        yield _unprotected(
            owned,
            f"without {_SAFE_TO_EVICT}, where the cluster-autoscaler runs with {flags} off",
            f"Annotate drivers with {_SAFE_TO_EVICT}=false in their template; that protects the next ones.",
            f"{_SAFE_TO_EVICT}=false",
        )
    else:
        yield Finding.warn(
            f"The cluster-autoscaler ({full_names(autoscalers)}) runs with {flags} off: it may evict drivers that an "
            "operator owns; one of the two was expected to be on.",
            subjects=[each.subject for each in autoscalers],
            fix=f"Switch one of the flags on, or annotate drivers with {_SAFE_TO_EVICT}=false in their template.",
        )


def _protects(autoscalers: Sequence[Deployment]) -> bool:
    """Whether, in each of them, one of the flags that protect drivers is on."""
    return all(not all(_is_off(deployment, flag) for flag in _PROTECTING_FLAGS) for deployment in autoscalers)


def _is_off(deployment: Deployment, flag: str) -> bool:
    words = [
        word
        for container in deployment.spec.template.spec.containers
        for word in (*(container.command or ()), *(container.args or ()))
    ]
    return any(re.search(rf"--{flag}=(?:false|f|0)\b", word, re.IGNORECASE) for word in words)


def _unprotected(drivers: Sequence[Pod], how: str, fix: str, annotation: str) -> Finding:
    return Finding.warn(
        f"{counted(len(drivers), 'running driver')} ({full_names(drivers)}) {how}: the autoscaler may end the whole "
        "application to save a node.",
        subjects=[pod.subject for pod in drivers],
        fix=fix,
        command="\n".join(
            f"kubectl -n {pod.namespace} annotate pod {pod.name} {annotation} --overwrite" for pod in drivers[:10]
        ),
    )
