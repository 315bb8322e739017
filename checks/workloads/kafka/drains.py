"""Does draining a node take one broker at a time, and does it end?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.kube import Deployment, PodDisruptionBudget, StatefulSet
from auditor.facts.kube.pods import TemplateContainer
from auditor.facts.kube.strimzi import CLUSTER_LABEL

from ..._wording import counted, examples, full_names, listed
from ._clusters import BROKER, CONTROLLER, STRIMZI, KafkaCluster, no_strimzi, strimzi_clusters
from ._operator import drain_cleaners, says_no


@check(
    "kafka.node-drains",
    title="Draining a node moves one Kafka broker at a time, and comes to an end",
    severity=Severity.MEDIUM,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet, Deployment, PodDisruptionBudget),
    aliases=("KAF-006",),
)
def node_drains(facts: Facts) -> Iterator[Finding]:
    """Upgrades and autoscalers drain nodes; the brokers on them must move without losing copies.

    ## What it checks
    For every Kafka of Strimzi, the PodDisruptionBudgets that count its brokers, and whether Strimzi's Drain Cleaner
    runs and looks after its namespace:

    - with Drain Cleaner, evictions are refused and the operator rolls the broker when all its copies are in sync: fine.
      In its old mode (`STRIMZI_DENY_EVICTION: "false"`) the budget must allow no eviction: otherwise a warning;
    - without it, the budget must allow exactly one node to be away. None at all (`maxUnavailable: 0`) is a failure,
      since no drain ever ends; no budget, or more than one broker, is a warning;
    - a Drain Cleaner without a ready pod is a warning.

    ## Why it matters
    A budget counts pods, not copies: a broker that is Ready may still be copying, and the drain goes on to the next
    one. Topics with two in-sync replicas then stop taking writes for the length of an upgrade. With a budget of zero
    and nobody to move the broker, `kubectl drain`, node upgrades and scale-downs hang until somebody gives up.

    ## How to fix
    Install Drain Cleaner, two replicas of it:

        helm install strimzi-drain-cleaner oci://quay.io/strimzi-helm/strimzi-drain-cleaner --set replicaCount=2

    Or set `spec.kafka.template.podDisruptionBudget.maxUnavailable` to 1, the default, and keep a node free onto which a
    broker can move.

    ## References
    - [Strimzi Drain Cleaner](https://github.com/strimzi/drain-cleaner)
    - [Strimzi: evicting pods with Drain Cleaner](https://strimzi.io/docs/operators/latest/deploying#assembly-drain-cleaner-str)
    - [Strimzi: disruption budgets](https://strimzi.io/docs/operators/latest/configuring#type-PodDisruptionBudgetTemplate-reference)
    - [Safely drain a node](https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/)
    """
    clusters = [cluster for cluster in strimzi_clusters(facts) if cluster.brokers]
    if not clusters:
        yield no_strimzi(facts, "Who moves the brokers")
        return
    cleaners = drain_cleaners(facts)
    idle = [deployment for deployment, _ in cleaners if not deployment.status.ready_replicas]
    if idle:
        yield _idle(idle)
    active = [container for deployment, container in cleaners if deployment not in idle]
    denying = [each for each in active if not says_no([each], "STRIMZI_DENY_EVICTION")]
    if moved := [cluster for cluster in clusters if _minds(denying, cluster)]:
        yield Finding.ok(
            f"Drain Cleaner lets the operator move the brokers of Kafka {_names(moved)} one by one.",
            subjects=[cluster.kafka.subject for cluster in moved],
        )
    rest = [cluster for cluster in clusters if cluster not in moved]
    budgets = {cluster.name: _allowed(facts, cluster) for cluster in rest}
    for legacy in (False, True):
        group = [cluster for cluster in rest if _minds(active, cluster) is legacy]
        yield from _judge_budgets(group, budgets, legacy=legacy)


def _minds(cleaners: Sequence[TemplateContainer], cluster: KafkaCluster) -> bool:
    """Whether a Drain Cleaner looks after the brokers of a Kafka."""
    for each in cleaners:
        namespaces = [name.strip() for name in (each.variable("STRIMZI_DRAIN_NAMESPACES") or "*").split(",")]
        if not says_no([each], "STRIMZI_DRAIN_KAFKA") and {"*", cluster.kafka.namespace} & set(namespaces):
            return True
    return False


def _allowed(facts: Facts, cluster: KafkaCluster) -> int | None:
    """How many nodes the budgets let be away at a time; None where no budget counts the brokers."""
    name = cluster.kafka.name
    labels = {
        CLUSTER_LABEL: name,
        "strimzi.io/kind": "Kafka",
        "strimzi.io/name": f"{name}-kafka",
        "strimzi.io/component-type": "kafka",
        "strimzi.io/broker-role": "true",
    }
    budgets = [
        each
        for each in facts.in_namespace(PodDisruptionBudget, cluster.kafka.namespace or "")
        if each.spec.selector is not None and each.spec.selector.matches(labels)
    ]
    nodes = sum(pool.replicas for pool in cluster.pools if pool.roles & {BROKER, CONTROLLER})
    return min((_away(each, each.status.expected_pods or nodes) for each in budgets), default=None)


def _away(budget: PodDisruptionBudget, pods: int) -> int:
    """How many of the pods a budget lets be away; percentages are rounded up, as Kubernetes does."""
    if budget.spec.max_unavailable is not None:
        return _count(budget.spec.max_unavailable, pods)
    return max(pods - _count(budget.spec.min_available or 0, pods), 0)


def _count(value: int | str, pods: int) -> int:
    if isinstance(value, int):
        return value
    percent = value.strip().removesuffix("%")
    return -(-pods * int(percent) // 100) if percent.isdecimal() else 0


def _idle(deployments: Sequence[Deployment]) -> Finding:
    return Finding.warn(
        f"Drain Cleaner {full_names(deployments)} has no ready pod, at least one was expected: "
        "evictions of brokers go through as if it were not there.",
        subjects=[each.subject for each in deployments],
        fix="Look at why its pods are not ready.",
        command="\n".join(f"kubectl get pods --namespace {each.namespace}" for each in deployments[:5]),
    )


def _judge_budgets(
    clusters: Sequence[KafkaCluster], budgets: dict[str, int | None], *, legacy: bool
) -> Iterator[Finding]:
    wanted = 0 if legacy else 1
    if fine := [cluster for cluster in clusters if budgets[cluster.name] == wanted]:
        how = "leaves evictions to Drain Cleaner" if legacy else "lets one broker be away at a time"
        yield Finding.ok(
            f"The disruption budget of Kafka {_names(fine)} {how}.",
            subjects=[cluster.kafka.subject for cluster in fine],
        )
    if stuck := [cluster for cluster in clusters if budgets[cluster.name] == 0 != wanted]:
        yield Finding.fail(
            f"The disruption budget of Kafka {_names(stuck)} lets no broker be away, and no Drain Cleaner moves "
            "brokers either, one of the two was expected: no drain of their nodes ever ends.",
            subjects=[cluster.kafka.subject for cluster in stuck],
            fix="Install Drain Cleaner, or set maxUnavailable of the budget's template to 1.",
        )
    if none := [cluster for cluster in clusters if budgets[cluster.name] is None]:
        yield Finding.warn(
            f"No disruption budget says how many brokers of Kafka {_names(none)} may be away, one at a time was "
            "expected: a drain may take several.",
            subjects=[cluster.kafka.subject for cluster in none],
            fix="Install Drain Cleaner, or let the operator make budgets (STRIMZI_POD_DISRUPTION_BUDGET_GENERATION).",
        )
    if many := [cluster for cluster in clusters if (budgets[cluster.name] or 0) > wanted]:
        away = " or ".join(counted(count, "broker") for count in sorted({budgets[c.name] or 0 for c in many}))
        yield Finding.warn(
            f"The disruption budget of Kafka {_names(many)} lets {away} be away at a time, "
            f"{'none beside Drain Cleaner in its old mode' if legacy else 'one'} was expected: "
            "a drain may stop writes to topics.",
            subjects=[cluster.kafka.subject for cluster in many],
            fix=f"Set maxUnavailable of the budget's template to {wanted}.",
            evidence=examples({cluster.name: budgets[cluster.name] for cluster in many}),
        )


def _names(clusters: Sequence[KafkaCluster]) -> str:
    return listed([cluster.name for cluster in clusters])
