"""Is what data systems create admitted, and at once?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, cast

from auditor import Facts, Finding, Parameters, Severity, Status, Workload, check, threshold
from auditor.facts.observations.admission import AdmissionObservations, DryRun

from .._wording import listed

_BAD_REQUESTS = (400, 422)
"""With which a resource is refused that its definition does not allow."""


class AdmissionParameters(Parameters, frozen=True, kw_only=True):
    """How long admission may take."""

    max_p90_seconds: Annotated[
        float,
        threshold(
            "Seconds within which 9 of 10 creations must be admitted, else a warning.",
            source="Kubernetes SLO: 99 of 100 API calls that change one object within 1 s.",
            ge=0,
        ),
    ] = 1.0
    fail_p90_seconds: Annotated[
        float,
        threshold(
            "The same for a failure.",
            source="Kubernetes: a webhook that answers no sooner than after 10 s is given up by default.",
            ge=0,
        ),
    ] = 10.0


@check(
    "platform.admission-time",
    title="Pods and jobs are admitted within a second",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK, Workload.FLINK, Workload.KAFKA),
    reads=(AdmissionObservations,),
)
def admission_time(facts: Facts, params: AdmissionParameters) -> Iterator[Finding]:
    """Every webhook, quota and policy that is asked about a new pod makes it wait, and may refuse it.

    ## What it checks
    The probe creates an ordinary pod ten times with `dryRun=All`, and a small resource of each operator that is there:
    all of admission is asked, and nothing is stored. 9 of 10 must be admitted within `max_p90_seconds`; more than
    `fail_p90_seconds` fails.

    A webhook that could not be called, or an API server that gave no answer, fails. A refusal by a quota, a policy or
    Pod Security is that of the namespace in which the probe may work: it is unknown what other namespaces would say.
    So is a resource that its own definition does not allow.

    ## Why it matters
    With a webhook of two seconds a Spark job of 500 executors waits a quarter of an hour for its pods. The webhook of
    Kubeflow's Spark operator was measured with a minute more per job at 6,000 jobs. A webhook that cannot be called,
    for a firewall or a mesh sidecar, lets no pod be created at all.

    ## How to fix
    Find the slow one in the API server's metrics, then give it more CPU and replicas, or let it select fewer objects:

        kubectl get --raw /metrics | grep '^apiserver_admission_webhook_admission_duration_seconds_sum'
        kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations

    On private GKE clusters open the webhook's port from the control plane to the nodes; only 443 and 10250 are.

    ## References
    - [Admission webhook good practices](https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/)
    - [API call latency SLO](https://github.com/kubernetes/community/blob/main/sig-scalability/slos/api_call_latency.md)
    - [Spark operator benchmarks](https://www.kubeflow.org/docs/components/spark-operator/performance/benchmarks/)
    - [Spark operator's webhook on a private GKE cluster](https://github.com/kubeflow/spark-operator/issues/537)
    """
    document = cast("AdmissionObservations", facts.document(AdmissionObservations))
    tried = [document.pod, *document.operators]
    for each in tried:
        if each.refused is not None:
            yield _refused(each, document.namespace)
    yield from _timed([each for each in tried if each.refused is None and each.accepted is not None], params)


def _timed(tried: Sequence[DryRun], params: AdmissionParameters) -> Iterator[Finding]:
    bad = [each for each in tried if _p90(each) > params.fail_p90_seconds]
    slow = [each for each in tried if _p90(each) > params.max_p90_seconds and each not in bad]
    for status, group in ((Status.FAIL, bad), (Status.WARN, slow)):
        if group:
            yield Finding.of(
                status,
                f"Admission is slow: 9 of 10 times {_said(group)}; at most {params.max_p90_seconds:g} s were expected.",
                fix="Find the slow webhook in the API server's metrics; give it more CPU, or let it select less.",
                command="kubectl get --raw /metrics | "
                "grep '^apiserver_admission_webhook_admission_duration_seconds_sum'",
                evidence=_evidence(group),
            )
    if good := [each for each in tried if each not in bad and each not in slow]:
        yield Finding.ok(f"Admission is quick: 9 of 10 times {_said(good)}.", evidence=_evidence(good))


def _refused(each: DryRun, namespace: str) -> Finding:
    cause = each.refused
    if cause is None:
        raise AssertionError("of those that were refused")
    if cause.missing_permission:
        return Finding.unknown(
            f"Whether a {_name(each)} is admitted cannot be told: the account may not {cause.missing_permission}.",
            fix="Grant the account what the probe needs.",
            command="auditor rbac --probes",
        )
    said = " ".join(cause.message.split()).rstrip(".").replace("{", "(").replace("}", ")")
    if cause.reason in ("Webhook", "Unreachable"):
        return Finding.fail(
            f"A {_name(each)} is not admitted: {said}.",
            fix="Bring back the server behind the webhook, let the API server reach it, or delete its configuration.",
            command="kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations",
            evidence={"reason": cause.reason, "status": each.status},
        )
    why = "its definition does not allow the probe's" if each.status in _BAD_REQUESTS else f"namespace {namespace}"
    return Finding.unknown(
        f"Whether a {_name(each)} is admitted cannot be told, for {why} refuses it: {said}."
        if why.startswith("namespace")
        else f"Whether a {_name(each)} is admitted cannot be told, {why}: {said}.",
        fix="Give the probe a namespace whose quota and policies let a small pod pass.",
        evidence={"reason": cause.reason, "status": each.status},
    )


def _p90(each: DryRun) -> float:
    return each.accepted.p90_seconds if each.accepted is not None else 0.0


def _name(each: DryRun) -> str:
    return f"{each.kind} ({each.group})" if each.group else each.kind.lower()


def _said(group: Sequence[DryRun]) -> str:
    return listed([f"a {_name(each)} within {_p90(each):.2f} s" for each in group])


def _evidence(group: Sequence[DryRun]) -> dict[str, object]:
    return {
        _name(each): {
            "requests": each.asked,
            "p50_seconds": round(each.accepted.p50_seconds, 3),
            "p90_seconds": round(each.accepted.p90_seconds, 3),
            "max_seconds": round(each.accepted.max_seconds, 3),
        }
        for each in group[:10]
        if each.accepted is not None
    }
