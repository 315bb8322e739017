"""Are replicas started, updated and scaled in order, and do claims stay?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, Workload, check
from auditor.facts.observations import StepState
from auditor.facts.observations.stateful import SCALE, START, UPDATE, StatefulObservations

from .._wording import counted, listed
from ._observed import in_order, is_done, not_started, not_tried, observed, of_step, said, short, told


@check(
    "stateful.ordered-updates",
    title="StatefulSets start in order and are updated one replica at a time",
    severity=Severity.HIGH,
    workloads={
        Workload.KAFKA: Severity.HIGH,
        Workload.HDFS: Severity.HIGH,
        Workload.DATA_FABRIC: Severity.HIGH,
        Workload.FLINK: Severity.MEDIUM,
    },
    reads=(StatefulObservations,),
)
def ordered_updates(facts: Facts) -> Iterator[Finding]:
    """Replicas start from the first to the last, and an update replaces them from the last to the first, one at a time.

    ## What it checks
    The probe's StatefulSet starts with the policy `OrderedReady`: no replica may appear before all those before it are
    Ready. Then its template changes: the replicas must be replaced from the last to the first, and never may two of
    them not be Ready at one moment. All that is told from lists of the API server, each of which shows one moment.

    ## Why it matters
    A quorum of three survives the loss of one. An update that takes two at a time stops the controllers of Kafka, the
    JournalNodes and ZooKeeper, and so everything that depends on them.

    ## How to fix
    The order is kept by the StatefulSet controller in the controller manager. Where it is not, something else deletes
    pods: look for a node autoscaler, a descheduler or an operator that acts meanwhile, and for the controller manager's
    log on errors.

    ## References
    - [StatefulSets: deployment and scaling guarantees](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees)
    - [StatefulSets: rolling updates](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#rolling-updates)
    """
    document = observed(facts)
    if document.created_early:
        seen = [
            f"{short(name)} while {_names(missing)} was not Ready" for name, missing in document.created_early.items()
        ]
        yield Finding.fail(
            f"Replicas appeared before those before them were Ready: {listed(seen)}.",
            fix="Look at the controller manager's log, and for whatever else makes pods of StatefulSets.",
        )
    if not is_done(document.step(START)):
        yield from not_started(document, "Whether replicas start in order")
        return
    step = document.step(UPDATE)
    if step is None or step.state is StepState.NOT_DONE:
        yield not_tried(step, "Whether an update keeps the order")
        return
    if document.most_down > 1:
        yield Finding.fail(
            f"During an update {document.most_down} of {document.replicas} replicas were not Ready at one moment; one "
            "at a time was expected.",
            fix="Find out what deleted pods beside the update: a drain, a descheduler or an operator.",
        )
    expected = tuple(reversed(document.created))
    if document.updated != expected[: len(document.updated)]:
        yield Finding.fail(
            f"An update replaced the replicas in the order {in_order(document.updated)}; {in_order(expected)} was "
            "expected.",
            fix="Find out what deleted pods beside the update: a drain, a descheduler or an operator.",
        )
    if not is_done(step):
        yield Finding.fail(
            f"An update of a StatefulSet did not come to its end, {len(document.updated)} of {document.replicas} "
            f"replicas were replaced: {said(step)}.",
            fix="Remove the cause that the cluster names; updates of data systems meet it too.",
            evidence=told(step),
        )
    elif not document.created_early and document.most_down <= 1 and document.updated == expected:
        yield Finding.ok(
            f"{document.replicas} replicas started in the order {in_order(document.created)} and were updated in the "
            f"order {in_order(document.updated)}, one at a time, in {step.seconds:.0f} s."
        )


@check(
    "stateful.scaling-claims",
    title="Claims stay when a StatefulSet is scaled down, and serve again when it is scaled up",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulObservations,),
)
def scaling_claims(facts: Facts) -> Iterator[Finding]:
    """A replica that is scaled away leaves its claim, and finds its data when it returns.

    ## What it checks
    The probe scales its StatefulSet from three replicas to two, looks whether all three claims are there, and scales it
    up again: the last replica must have the claim and the data that it had. The set asks for nothing in
    `persistentVolumeClaimRetentionPolicy`, so that Kubernetes' default counts: claims are kept.

    ## Why it matters
    Scaling down is a way to stop a replica for a while. Where a policy of the site or a tidy operator deletes the
    claim, the data of that replica is gone with it.

    ## How to fix
    Look for an admission policy that sets `whenScaled: Delete` on StatefulSets, or a controller that deletes claims
    without pods, and leave namespaces of data systems out of it:

        kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies

    ## References
    - [StatefulSets: retention of claims](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention)
    - [Scale a StatefulSet](https://kubernetes.io/docs/tasks/run-application/scale-stateful-set/)
    """
    document = observed(facts)
    step = document.step(SCALE)
    if not is_done(document.step(START)):
        yield from not_started(document, "Whether claims stay when a StatefulSet is scaled down")
    elif not document.storage_class:
        yield Finding.unknown(
            "Whether claims stay when a StatefulSet is scaled down cannot be told: no StorageClass makes volumes by "
            "itself.",
            fix="Create a StorageClass with a provisioner, make it the default, and probe again.",
        )
    elif step is None or step.state is StepState.NOT_DONE:
        yield not_tried(step, "Whether claims stay when a StatefulSet is scaled down")
    else:
        yield from _scaled(document)


def _scaled(document: StatefulObservations) -> Iterator[Finding]:
    step = document.step(SCALE)
    missing = document.replicas - len(document.kept_claims)
    back = next((each for each in of_step(document, SCALE) if each.after is not None), None)
    if missing and (document.kept_claims or back is not None):
        yield Finding.fail(
            f"{counted(missing, 'claim')} of {document.replicas} had gone when the StatefulSet was scaled down; all of "
            "them were expected to stay.",
            fix="Find out what deletes the claims of StatefulSets that are scaled down, and exempt data systems.",
        )
    if not is_done(step):
        yield Finding.fail(
            f"A StatefulSet that was scaled down and up did not get its last replica back: {said(step)}.",
            fix="Remove the cause that the cluster names; StatefulSets of data systems meet it too.",
            evidence=told(step),
        )
    elif back is None or back.after is None or not (back.before.marker and back.after.marker):
        yield Finding.unknown(
            "Whether the replica that was scaled away found its data cannot be told: its log did not say so in time.",
            fix="Probe again; look at the kubelets' logs where pods' logs come late.",
        )
    elif (back.before.claim_uid, back.before.marker) != (back.after.claim_uid, back.after.marker):
        yield Finding.fail(
            "The replica that was scaled away came back without the claim or the data that it had.",
            fix="Find out what deletes the claims of StatefulSets that are scaled down, and exempt data systems.",
        )
    elif not missing:
        yield Finding.ok(
            f"All {document.replicas} claims stayed when the StatefulSet was scaled to {document.replicas - 1} "
            f"replicas, and the last replica found its data when it came back, after {back.ready_seconds or 0.0:.0f} s."
        )


def _names(pods: tuple[str, ...]) -> str:
    return listed([short(name) for name in pods])
