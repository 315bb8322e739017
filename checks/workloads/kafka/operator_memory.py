"""Has Strimzi's operator memory for all that it minds?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, if_served, threshold
from auditor.facts.kube import Deployment, Pod
from auditor.facts.kube.pods import TemplateContainer
from auditor.facts.kube.strimzi import StrimziPodSet
from auditor.facts.quantity import quantity_bytes

from ..._wording import counted, examples, full_name, full_names, listed
from ._operator import cluster_operators

_MIB = 2**20


class OperatorMemoryParameters(Parameters, frozen=True, kw_only=True):
    """Up to where the operator's default memory is enough."""

    default_limit_mebibytes: Annotated[
        int,
        threshold(
            "A memory limit of this many MiB or less counts as the default, which is for few brokers.",
            source="Strimzi's installation files and chart: 384Mi.",
            ge=1,
        ),
    ] = 384
    brokers_with_default_limit: Annotated[
        int,
        threshold(
            "So many pods (brokers, controllers, Connect workers) can an operator with the default limit mind.",
            source="No upstream number; restarts were reported with 10 pods (strimzi-kafka-operator#5040).",
            ge=0,
        ),
    ] = 10


@check(
    "kafka.operator-memory",
    title="Strimzi's operator has memory for all the brokers that it minds",
    severity=Severity.MEDIUM,
    workloads=(Workload.KAFKA,),
    reads=(Deployment, Pod, if_served(StrimziPodSet)),
    aliases=("KAF-008",),
)
def operator_memory(facts: Facts, params: OperatorMemoryParameters) -> Iterator[Finding]:
    """The operator keeps all that it minds in memory, and its default limit is made for a small cluster.

    ## What it checks
    - No pod of Strimzi's cluster operator was killed for its memory (OOMKilled): otherwise a failure.
    - The operator's memory limit is more than 384 MiB, the default, where the pods in all StrimziPodSets are more than
      ten (`brokers_with_default_limit`): otherwise a warning. No limit at all is fine.

    ## Why it matters
    While the operator restarts, nobody renews certificates, moves brokers or takes up a change; one that is killed in
    the middle of a rolling update begins again, and a broker is restarted more often than it had to be.

    ## How to fix
    Raise request and limit together; the JVM takes its heap from the limit:

        kubectl set resources deployment strimzi-cluster-operator --limits memory=1Gi --requests memory=1Gi

    ## References
    - [Operator restarts: out of memory](https://github.com/strimzi/strimzi-kafka-operator/issues/5040)
    - [OOM of the operator, brokers re-created](https://github.com/strimzi/strimzi-kafka-operator/issues/3537)
    - [The default of 384Mi](https://github.com/strimzi/strimzi-kafka-operator/pull/3022)
    """
    operators = cluster_operators(facts)
    if not operators:
        yield Finding.skip("No cluster operator of Strimzi is installed here, so there is none to judge.")
        return
    killed = _killed(facts, [deployment for deployment, _ in operators])
    if killed:
        yield Finding.fail(
            f"Strimzi's cluster operator was killed for its memory (OOMKilled) in {counted(len(killed), 'pod')} "
            f"({full_names(killed)}), which was not expected to happen.",
            subjects=[pod.subject for pod in killed],
            fix="Raise the memory request and limit of the operator, 1Gi to begin with.",
            evidence=examples({full_name(pod): {"restarts": _restarts(pod)} for pod in killed}),
        )
    minded = sum(each.status.pods for each in facts.list(StrimziPodSet))
    tight = [(d, c) for d, c in operators if (limit := _limit(c)) and limit <= params.default_limit_mebibytes * _MIB]
    if tight and minded > params.brokers_with_default_limit:
        yield _tight(tight, minded, params)
    elif not killed:
        yield Finding.ok(
            f"Strimzi's cluster operator {listed([full_name(each) for each, _ in operators])} has memory for the "
            f"{counted(minded, 'pod')} that it minds.",
            subjects=[each.subject for each, _ in operators],
        )


def _killed(facts: Facts, deployments: Sequence[Deployment]) -> list[Pod]:
    """The pods of the operators whose container ran out of memory."""
    pods = (
        pod
        for deployment in deployments
        if deployment.spec.selector is not None and deployment.namespace is not None
        for pod in facts.selected(Pod, deployment.spec.selector, namespace=deployment.namespace)
    )
    return sorted((pod for pod in pods if _was_killed(pod)), key=full_name)


def _was_killed(pod: Pod) -> bool:
    states = [state for each in pod.status.container_statuses or () for state in (each.state, each.last_state)]
    ends = (state.terminated for state in states if state is not None)
    return any(end is not None and end.reason == "OOMKilled" for end in ends)


def _restarts(pod: Pod) -> int:
    return sum(each.restart_count for each in pod.status.container_statuses or ())


def _limit(container: TemplateContainer) -> int | None:
    """The memory limit in bytes."""
    limits = (container.resources.limits if container.resources is not None else None) or {}
    return quantity_bytes(limits["memory"]) if "memory" in limits else None


def _tight(
    tight: Sequence[tuple[Deployment, TemplateContainer]], minded: int, params: OperatorMemoryParameters
) -> Finding:
    limits = sorted({(_limit(container) or 0) // _MIB for _, container in tight})
    return Finding.warn(
        f"Strimzi's cluster operator {listed([full_name(each) for each, _ in tight])} has a memory limit of "
        f"{' or '.join(map(str, limits))} MiB and minds {counted(minded, 'pod')}; more than "
        f"{params.default_limit_mebibytes} MiB were expected for more than {params.brokers_with_default_limit} pods.",
        subjects=[each.subject for each, _ in tight],
        fix="Raise the memory request and limit of the operator, 1Gi to begin with.",
        command="\n".join(
            f"kubectl set resources deployment {each.name} --namespace {each.namespace} --containers {container.name} "
            "--limits memory=1Gi --requests memory=1Gi"
            for each, container in tight[:5]
        ),
    )
