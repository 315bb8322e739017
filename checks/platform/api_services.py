"""Do all API servers answer?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, check, threshold
from auditor.facts.kube.apiregistration import APIService
from auditor.facts.times import age_at_collection

from .._wording import counted, examples, listed

_LOOK = "kubectl get apiservices"


class ApiServicesParameters(Parameters, frozen=True, kw_only=True):
    """How long an API may be away."""

    restart_minutes: Annotated[
        int,
        threshold(
            "Minutes within which an API that went away may be restarting: a warning so far.",
            source="No upstream number; a pod that moves to another node is back within minutes.",
            ge=0,
        ),
    ] = 10


@check(
    "platform.api-services",
    title="Every registered API is available",
    severity=Severity.HIGH,
    reads=(APIService,),
    aliases=("PLT-004",),
)
def api_services(facts: Facts, params: ApiServicesParameters) -> Iterator[Finding]:
    """Behind every registered API there is a server that answers.

    ## What it checks
    The condition `Available` of every APIService is `True`. One that has been away for less than `restart_minutes` is a
    warning. Most are answered by the cluster's own API server; metrics-server, Prometheus adapters, KEDA and others
    register servers of their own.

    ## Why it matters
    A namespace cannot be deleted while one of its APIs does not answer: it stays Terminating, with all that a failed
    install of Kafka or Spark left in it. Clients that discover all APIs wait for it or fail, Helm and some operators
    among them. Without metrics, autoscalers stand still.

    ## How to fix
    Repair the server behind it, or delete the APIService that was left behind by something uninstalled:

        kubectl get apiservices
        kubectl describe apiservice NAME
        kubectl delete apiservice NAME

    ## References
    - [Kubernetes API aggregation layer](https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/)
    - [APIService](https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/)
    - [Namespace stuck as Terminating for an APIService](https://github.com/kubernetes/kubernetes/issues/60807)
    """
    services = sorted(facts.list(APIService), key=lambda service: service.name)
    if not services:
        yield Finding.unknown("No APIService was seen, and every API server registers its own.", fix="Collect again.")
        return
    untold = [service for service in services if service.availability is None]
    down = [service for service in services if (found := service.availability) and found.status != "True"]
    restarting = [service for service in down if _went_just_now(facts, service, params)]
    lasting = [service for service in down if service not in restarting]
    if lasting:
        yield _not_available(Status.FAIL, lasting, services)
    if restarting:
        just_now = f" (for less than {counted(params.restart_minutes, 'minute')})"
        yield _not_available(Status.WARN, restarting, services, since=just_now)
    if untold:
        yield Finding.unknown(
            f"Whether {counted(len(untold), 'registered API')} ({listed([each.name for each in untold])}) "
            f"{'is' if len(untold) == 1 else 'are'} available cannot be told: the API server has not looked yet.",
            subjects=[service.subject for service in untold],
            fix="Collect again.",
            command=_LOOK,
        )
    if not down and not untold:
        own = sorted({service.backend for service in services if service.backend})
        beside = f", among them those of {listed(own)}" if own else ""
        yield Finding.ok(f"All registered APIs ({len(services)}) are available{beside}.")


def _went_just_now(facts: Facts, service: APIService, params: ApiServicesParameters) -> bool:
    condition = service.availability
    try:
        age = age_at_collection(facts, condition.last_transition_time if condition else None)
    except ValueError:
        return False
    return age is not None and age < timedelta(minutes=params.restart_minutes)


def _not_available(
    status: Status, down: Sequence[APIService], services: Sequence[APIService], *, since: str = ""
) -> Finding:
    names = listed([_described(service) for service in down])
    return Finding.of(
        status,
        f"{len(down)} of {counted(len(services), 'registered API')} ({names}) "
        f"{'is' if len(down) == 1 else 'are'} not available{since}, all were expected to be.",
        subjects=[service.subject for service in down],
        fix="Repair the server behind each API, or delete the APIService of what is no longer installed.",
        command="\n".join(f"kubectl describe apiservice {service.name}" for service in down[:3]),
        evidence=examples({service.name: _reason(service) for service in down}),
    )


def _described(service: APIService) -> str:
    return f"{service.name} by {service.backend}" if service.backend else service.name


def _reason(service: APIService) -> str:
    condition = service.availability
    return f"{condition.reason or condition.status}: {condition.message or ''}" if condition else ""
