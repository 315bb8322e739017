"""Does Kueue admit jobs, and as a whole?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Status, Workload, check
from auditor.facts.kube import Deployment
from auditor.facts.kube.kueue import ClusterQueue, LocalQueue
from auditor.facts.parts import if_served
from auditor.facts.schedulers import parse_kueue_configuration

from .._wording import counted, examples, full_name, full_names, listed
from ._deployments import ConfigMapKey, config_map_parts, deployments, is_running, mounted_config
from ._mechanisms import KUEUE

_CONFIG: ConfigMapKey = ("kueue-system", "kueue-manager-config")
_CONFIG_KEY = "controller_manager_config.yaml"


@check(
    "scheduler.kueue-queues",
    title="Kueue's queues are active and give jobs all their pods or none",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(if_served(ClusterQueue), if_served(LocalQueue), Deployment, *config_map_parts([_CONFIG])),
    aliases=("SCH-005",),
)
def kueue_queues(facts: Facts) -> Iterator[Finding]:
    """Kueue counts quota, not machines: what it admits may still wait for nodes, unless it is told to look.

    ## What it checks
    Where the server serves ClusterQueues:

    - There is a ClusterQueue, and each is `Active`. One that is inactive fails, with Kueue's reason; one that was
      stopped on purpose (`stopPolicy`) is a warning.
    - Each LocalQueue names a ClusterQueue that exists.
    - `waitForPodsReady` is on in the configuration that Kueue's controller mounts: a switch up to `v1beta1` of its
      configuration, on by being there from `v1beta2` on. Off is a warning. The configuration is read where it has the
      name of Kueue's manifests, `kueue-system/kueue-manager-config`.

    ## Why it matters
    A job whose queue is not active stays suspended, and nothing on the job says why. Without `waitForPodsReady`, two
    jobs that fit the quota but not the nodes (a drained node, fragments, a pod of somebody else) each get a part of
    their pods and wait for each other for ever.

    ## How to fix
    Make the flavors and admission checks that the reason names. Switch `waitForPodsReady` on, with `blockAdmission`
    where a second job must not start before the first one stands:

        kubectl -n kueue-system edit configmap kueue-manager-config
        kubectl -n kueue-system rollout restart deployment kueue-controller-manager

    ## References
    - [All or nothing with ready pods](https://kueue.sigs.k8s.io/docs/tasks/manage/setup_wait_for_pods_ready/)
    - [ClusterQueue](https://kueue.sigs.k8s.io/docs/concepts/cluster_queue/)
    - [Troubleshooting queues](https://kueue.sigs.k8s.io/docs/tasks/troubleshooting/troubleshooting_queues/)
    """
    if not facts.served(if_served(ClusterQueue)):
        yield Finding.skip("The server does not serve Kueue's ClusterQueues: Kueue is not installed.")
        return
    queues = sorted(facts.list(ClusterQueue), key=lambda queue: queue.name)
    yield from _judge_cluster_queues(queues)
    names = {queue.name for queue in queues}
    orphans = [queue for queue in facts.list(LocalQueue) if queue.spec.cluster_queue not in names]
    if orphans:
        yield _orphaned(sorted(orphans, key=full_name))
    for deployment in deployments(facts, KUEUE.marks):
        if is_running(deployment):
            yield _judge_waiting(facts, deployment)


def _judge_cluster_queues(queues: Sequence[ClusterQueue]) -> Iterator[Finding]:
    if not queues:
        yield Finding.warn(
            "Kueue has no ClusterQueue, at least one was expected: a job that names a queue stays suspended.",
            fix="Create a ResourceFlavor, a ClusterQueue with quota and a LocalQueue in each namespace of jobs.",
        )
        return
    active = [queue for queue in queues if _state(queue) == "True"]
    if active:
        yield Finding.ok(
            f"{counted(len(active), 'ClusterQueue')} ({full_names(active)}) can admit jobs.",
            subjects=[queue.subject for queue in active],
        )
    idle = [queue for queue in queues if _state(queue) == "False"]
    yield from _inactive(Status.FAIL, [queue for queue in idle if not queue.is_stopped])
    yield from _inactive(Status.WARN, [queue for queue in idle if queue.is_stopped])
    if unseen := [queue for queue in queues if _state(queue) not in ("True", "False")]:
        yield Finding.unknown(
            f"Whether {counted(len(unseen), 'ClusterQueue')} ({full_names(unseen)}) can admit jobs cannot be told: "
            "Kueue has not said so.",
            subjects=[queue.subject for queue in unseen],
            fix="See whether Kueue's controller runs.",
        )


def _state(queue: ClusterQueue) -> str:
    return queue.active.status if queue.active is not None else ""


def _inactive(status: Status, queues: Sequence[ClusterQueue]) -> Iterator[Finding]:
    if not queues:
        return
    reasons = sorted({queue.active.reason or "no reason" for queue in queues if queue.active is not None})
    yield Finding.of(
        status,
        f"Jobs stay suspended in {counted(len(queues), 'ClusterQueue')} ({full_names(queues)}): Active is False "
        f"({listed(reasons)}), True was expected.",
        subjects=[queue.subject for queue in queues],
        fix="Do what the reason says: make the missing flavors or admission checks, or clear stopPolicy.",
        command=f"kubectl describe clusterqueue {queues[0].name}",
        evidence=dict(examples({q.name: q.active.message for q in queues if q.active is not None})),
    )


def _orphaned(queues: Sequence[LocalQueue]) -> Finding:
    missing = sorted({queue.spec.cluster_queue or "none" for queue in queues})
    return Finding.fail(
        f"Jobs stay suspended in {counted(len(queues), 'LocalQueue')} ({full_names(queues)}): no ClusterQueue "
        f"{listed(missing)} exists.",
        subjects=[queue.subject for queue in queues],
        fix="Create the ClusterQueue, or let the LocalQueue name one that exists.",
    )


def _judge_waiting(facts: Facts, deployment: Deployment) -> Finding:
    """Whether a job that does not get all its pods gives its quota back."""
    config = mounted_config(facts, deployment, [_CONFIG])
    if config is None:
        return Finding.unknown(
            f"Whether Kueue ({full_name(deployment)}) waits for the pods of a job cannot be told: it does not mount "
            f"the ConfigMap {'/'.join(_CONFIG)}, and no other is read.",
            subjects=[deployment.subject],
            fix="See whether waitForPodsReady is on in the configuration of Kueue's controller.",
        )
    try:
        settings = parse_kueue_configuration((config.data or {}).get(_CONFIG_KEY, ""))
    except ValueError as error:
        return Finding.unknown(
            f"Whether Kueue waits for the pods of a job cannot be told: {full_name(config)} cannot be understood.",
            subjects=[config.subject],
            evidence={"error": str(error)},
        )
    if settings.waits_for_pods_ready:
        return Finding.ok("Kueue takes a job back whose pods do not all become ready (waitForPodsReady).")
    return Finding.warn(
        f"Kueue does not wait for the pods of a job: waitForPodsReady is off in {full_name(config)}, on was expected. "
        "Two jobs that fit the quota but not the nodes can wait for each other for ever.",
        subjects=[config.subject],
        fix="Switch waitForPodsReady on and restart Kueue's controller.",
        command=f"kubectl -n {config.namespace} edit configmap {config.name}\n"
        f"kubectl -n {deployment.namespace} rollout restart deployment {deployment.name}",
    )
