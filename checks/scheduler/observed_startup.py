"""Do pods start as fast as Kubernetes promises?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, Workload, check, threshold
from auditor.facts.observations import Latencies
from auditor.facts.observations.scheduler import Burst, SchedulerObservations

from .._wording import counted
from ._observed import FAULTS_OF_THE_CLUSTER, evidence, not_told, observed, said

_WHAT = "How fast pods start"


class StartupParameters(Parameters, frozen=True, kw_only=True):
    """How long a pod may take to start."""

    max_startup_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds from creation to the running container, within which 99 of 100 pods must start, else a warning.",
            source="Kubernetes SLO for the start of stateless pods: 99th percentile per cluster-day at most 5 s.",
            ge=0,
        ),
    ] = 5.0
    max_scheduling_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds from creation to the choice of a node, within which 99 of 100 pods must have one, else a failure.",
            source="No upstream number of its own; the whole start has 5 s by the Kubernetes SLO.",
            ge=0,
        ),
    ] = 5.0


@check(
    "scheduler.pod-startup",
    title="Pods whose image is there start within 5 s",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK,),
    reads=(SchedulerObservations,),
    aliases=("SCH-003",),
)
def pod_startup(facts: Facts, params: StartupParameters) -> Iterator[Finding]:
    """A Spark job is as fast as its executors come.

    ## What it checks
    The probe brings its image to at most 20 nodes, then creates pods that do nothing, all at once: as many as its
    options and budget allow, and at most 10 per node. By its own clock it watches when each gets a node and when its
    container runs.

    - 99 of 100 get a node within `max_scheduling_p99_seconds`; otherwise the check fails.
    - 99 of 100 run within `max_startup_p99_seconds`; otherwise it warns. The SLO counts whole days, and a burst is
      harder than a day: the share after the choice of the node, named in the message, is that of the nodes.
    - Every pod starts. At which no scheduler looked, or for which a node made no network or no container in time, is a
      failure; full nodes, quotas or an image that is not to be had are none of the scheduler's, and unknown.

    ## Why it matters
    Dynamic allocation asks for executors in rounds that double, and each round waits for the one before. Where pods
    take half a minute to start, short stages end before their executors come.

    ## How to fix
    Where scheduling is slow, look at kube-scheduler, at webhooks on pods and at the API server's latency. Where nodes
    are slow, look at the network plugin (addresses, API limits of the cloud), at the container runtime and at disks:

        kubectl get events --all-namespaces --field-selector reason=FailedCreatePodSandBox

    ## References
    - [Pod startup latency SLO](https://github.com/kubernetes/community/blob/main/sig-scalability/slos/pod_startup_latency.md)
    - [Scheduler performance tuning](https://kubernetes.io/docs/concepts/scheduling-eviction/scheduler-perf-tuning/)
    - [Spark: dynamic allocation](https://spark.apache.org/docs/latest/job-scheduling.html#dynamic-resource-allocation)
    """
    document = observed(facts)
    burst = document.burst
    if burst is None:
        yield _no_burst(document)
        return
    yield from _unstarted(burst)
    if burst.startup is None or burst.scheduled is None:
        return
    scheduling_is_slow = burst.scheduled.p99_seconds > params.max_scheduling_p99_seconds
    startup_is_slow = burst.startup.p99_seconds > params.max_startup_p99_seconds
    told = (
        f"Of {counted(burst.started, 'pod')} created at once for {counted(burst.nodes, 'node')} 99 % had a node within "
        f"{_seconds(burst.scheduled)} and ran within {_seconds(burst.startup)}"
    )
    numbers = _numbers(burst)
    if scheduling_is_slow:
        yield Finding.fail(
            f"{told}; a node was expected within {params.max_scheduling_p99_seconds:g} s.",
            fix="Look at kube-scheduler's load, at webhooks on pods and at the API server's latency.",
            command="kubectl get --raw /readyz?verbose",
            evidence=numbers,
        )
    elif startup_is_slow:
        yield Finding.warn(
            f"{told}, {params.max_startup_p99_seconds:g} s were expected; from the choice of the node on it took up to "
            f"{_seconds(burst.on_node)}.",
            fix="Look at what nodes do before a container runs: network plugin, container runtime, disk.",
            command="kubectl get events --all-namespaces --field-selector reason=FailedCreatePodSandBox",
            evidence=numbers,
        )
    else:
        yield Finding.ok(f"{told}: {burst.started_per_second:.1f} pods/s.", evidence=numbers)


def _no_burst(document: SchedulerObservations) -> Finding:
    warm_up = document.step("warm-up")
    if warm_up is not None and warm_up.cause is not None and warm_up.cause.reason in FAULTS_OF_THE_CLUSTER:
        return Finding.fail(
            f"No pod started within {warm_up.seconds:.0f} s on any of {counted(len(document.nodes), 'node')}: "
            f"{said(warm_up.cause)}.",
            fix="Let kube-scheduler run, and the nodes make containers; the pod's events tell which of them it is.",
            command="kubectl --namespace kube-system get leases kube-scheduler --output yaml",
            evidence=evidence(warm_up.cause),
        )
    own = document.step("burst")
    return not_told(_WHAT, own if own is not None else warm_up)


def _unstarted(burst: Burst) -> Iterator[Finding]:
    for group in burst.unstarted:
        is_fault = group.cause.reason in FAULTS_OF_THE_CLUSTER
        yield Finding.of(
            Status.FAIL if is_fault else Status.UNKNOWN,
            f"{group.pods} of {counted(burst.pods, 'pod')} that do nothing did not start: {said(group.cause)}.",
            fix="Remove what the cluster names as the cause, and probe again.",
            evidence=evidence(group.cause),
        )


def _seconds(latencies: Latencies | None) -> str:
    return f"{latencies.p99_seconds:.1f} s" if latencies is not None else "an unknown time"


def _numbers(burst: Burst) -> dict[str, object]:
    told = {"scheduled": burst.scheduled, "startup": burst.startup, "on_node": burst.on_node}
    return {
        "pods_per_second": round(burst.started_per_second, 2),
        **{
            f"{name}_{quantile}_seconds": round(getattr(latencies, f"{quantile}_seconds"), 3)
            for name, latencies in told.items()
            if latencies is not None
            for quantile in ("p50", "p99", "max")
        },
    }
