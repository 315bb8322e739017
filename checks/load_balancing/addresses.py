"""Do Services of type LoadBalancer get an address?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, cast

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import Service
from auditor.facts.observations import Step, StepState
from auditor.facts.observations.network import NetworkObservations
from auditor.facts.times import age_at_collection

from .._wording import counted, full_name, full_names

_WORKLOADS = (Workload.KAFKA, Workload.FLINK, Workload.ZEPPELIN)
_FIX = "Install or repair what gives addresses: the cloud controller manager, MetalLB, or the cloud's quota."


class ExternalParameters(Parameters, frozen=True, kw_only=True):
    """How long an address may take."""

    pending_minutes: Annotated[
        int,
        threshold(
            "Minutes after its creation for which a Service may be without an address.",
            source="No upstream number; clouds take one to three minutes.",
            ge=0,
        ),
    ] = 10


class GrantedParameters(Parameters, frozen=True, kw_only=True):
    """How long an address may take."""

    max_seconds: Annotated[
        float,
        threshold(
            "Seconds in which the probe's Service must have an address; the probe waits 300.",
            source="No upstream number; clouds take one to three minutes.",
            ge=1,
            le=300,
        ),
    ] = 300.0


@check(
    "load-balancing.external-addresses",
    title="Every Service of type LoadBalancer has an address",
    severity=Severity.HIGH,
    workloads=_WORKLOADS,
    reads=(Service,),
    aliases=("LBS-002",),
)
def external_addresses(facts: Facts, params: ExternalParameters) -> Iterator[Finding]:
    """A load balancer without an address is a listener that nobody outside can reach.

    ## What it checks
    No Service of type LoadBalancer has an empty `status.loadBalancer.ingress` longer than `pending_minutes` after its
    creation. Services that are being deleted do not count. Where there is none of that type, the check does not apply;
    `load-balancing.address-granted` proves it by a Service of its own, where that is allowed.

    ## Why it matters
    Strimzi makes one such Service for each broker of an external listener, and waits for all addresses before it
    configures the brokers: one that never comes stops the whole Kafka cluster from being reconciled.

    ## How to fix
    The Service's events name the reason: no controller, no quota, no subnet, no pool of addresses.

        kubectl describe service --namespace NAMESPACE NAME

    ## References
    - [Service: type LoadBalancer](https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer)
    - [Strimzi: load balancer listeners](https://strimzi.io/docs/operators/latest/deploying#proc-accessing-kafka-using-loadbalancers-str)
    - [MetalLB](https://metallb.io/troubleshooting/)
    """
    wanted = [
        service
        for service in sorted(facts.list(Service), key=full_name)
        if service.spec.type == "LoadBalancer" and service.metadata.deletion_timestamp is None
    ]
    if not wanted:
        yield Finding.skip("There is no Service of type LoadBalancer.")
        return
    without = [service for service in wanted if not service.status.load_balancer.ingress]
    ages = {full_name(service): age_at_collection(facts, service.metadata.creation_timestamp) for service in without}
    limit = timedelta(minutes=params.pending_minutes)
    old = [service for service in without if (age := ages[full_name(service)]) is not None and age > limit]
    ageless = [service for service in without if ages[full_name(service)] is None]
    if old:
        yield Finding.fail(
            f"Without an address for more than {params.pending_minutes} minutes: {counted(len(old), 'Service')} "
            f"of type LoadBalancer ({full_names(old)}).",
            subjects=[service.subject for service in old],
            fix=_FIX,
            command=f"kubectl describe service --namespace {old[0].namespace} {old[0].name}",
        )
    if ageless:
        yield Finding.unknown(
            f"For how long {counted(len(ageless), 'Service')} of type LoadBalancer ({full_names(ageless)}) had no "
            "address cannot be told: the time of creation or of the collection is not known.",
            subjects=[service.subject for service in ageless],
            fix="Collect with auditor, which records when it did.",
        )
    if not old and not ageless:
        young = f", {len(without)} of them are too young to have one" if without else ""
        yield Finding.ok(
            f"No Service of type LoadBalancer waits for an address longer than {params.pending_minutes} minutes: there "
            f"{'is' if len(wanted) == 1 else 'are'} {len(wanted)}{young}.",
            subjects=[service.subject for service in wanted],
        )


@check(
    "load-balancing.address-granted",
    title="A new Service of type LoadBalancer gets an address",
    severity=Severity.HIGH,
    workloads=_WORKLOADS,
    reads=(NetworkObservations,),
    aliases=("LBS-002-PROBE",),
)
def address_granted(facts: Facts, params: GrantedParameters) -> Iterator[Finding]:
    """What was granted last year says little of today's quota.

    ## What it checks
    Where the option `load_balancer` of the probes allows it, since it may cost money, the probe makes a Service of type
    LoadBalancer that lets nobody in (`loadBalancerSourceRanges` names a range for documentation), and waits up to
    300 s for an address; `max_seconds` may ask for less. Whether the address can be reached from outside is not tried.

    ## Why it matters
    An external Kafka listener needs one load balancer for each broker and one to begin with. A cluster that cannot give
    a single one, for lack of a controller, a subnet or quota, shows it when the first client should connect.

    ## How to fix
    See the events that the finding quotes. On premises install MetalLB or another controller that gives addresses;
    in clouds see the quota and the tags of subnets.

        kubectl get events --all-namespaces --field-selector involvedObject.kind=Service

    ## References
    - [Service: type LoadBalancer](https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer)
    - [Strimzi: load balancer listeners](https://strimzi.io/docs/operators/latest/deploying#proc-accessing-kafka-using-loadbalancers-str)
    - [MetalLB](https://metallb.io/)
    """
    step = cast("NetworkObservations", facts.document(NetworkObservations)).load_balancer
    why = step.cause.message.rstrip(".") if step.cause else "no reason was recorded"
    if step.state is StepState.NOT_DONE:
        yield Finding.skip(f"No load balancer was asked for: {why}.")
    elif step.state is StepState.FAILED:
        yield _refused(step, why)
    elif step.seconds > params.max_seconds:
        yield Finding.fail(
            f"A new Service of type LoadBalancer had an address after {step.seconds:.0f} s, at most "
            f"{params.max_seconds:.0f} s were expected.",
            fix="See in the controller's log what took so long.",
        )
    else:
        yield Finding.ok(f"A new Service of type LoadBalancer had an address after {step.seconds:.0f} s.")


def _refused(step: Step, why: str) -> Finding:
    cause = step.cause
    evidence = {"events": list(cause.events)} if cause and cause.events else {}
    if cause and (cause.missing_permission or cause.reason in ("Quota", "Unreachable")):
        return Finding.unknown(
            f"A Service of type LoadBalancer could not be made: {why}.",
            fix="Remove what kept the probe from making it, and probe again.",
            evidence=evidence,
        )
    return Finding.fail(f"A new Service of type LoadBalancer got no address: {why}.", fix=_FIX, evidence=evidence)
