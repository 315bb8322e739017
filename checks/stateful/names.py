"""Do the pods of StatefulSets have names, and do peers find each other by them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, Status, check
from auditor.facts.kube import LabelSelector, Service, StatefulSet

from .._roles import role_of, template_labels
from .._wording import examples, full_name
from ._sets import ScopeParameters, data_sets, no_data_sets, sets_named

_POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
"""The StatefulSet controller gives each pod this label, for a Service per pod."""


class Fault(StrEnum):
    """Why the pods of a StatefulSet have no names in DNS."""

    UNNAMED = "no governing Service is named"
    MISSING = "the named Service does not exist"
    NOT_HEADLESS = "the named Service is not headless"
    OTHER_PODS = "the selector of the named Service does not match their pods"


_REMEDY = {
    Fault.UNNAMED: "Create a headless Service for the pods, delete the StatefulSet with --cascade=orphan, and create "
    "it again with the Service's name in serviceName.",
    Fault.MISSING: "Create a headless Service of that name with the pods' labels as its selector.",
    Fault.NOT_HEADLESS: "Delete the Service and create a headless one of the same name, since clusterIP cannot be "
    "changed; give clients a second Service.",
    Fault.OTHER_PODS: "Make labels that the pods carry the Service's selector.",
}


@check(
    "stateful.headless-service",
    title="StatefulSets with data name an existing headless Service",
    severity=Severity.CRITICAL,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulSet, Service),
    aliases=("STS-002",),
)
def headless_service(facts: Facts, params: ScopeParameters) -> Iterator[Finding]:
    """A headless Service gives each pod of a StatefulSet a name that stays when its address changes.

    ## What it checks
    `spec.serviceName` of every StatefulSet that keeps data names a Service in the same namespace whose `clusterIP` is
    `None` and whose selector matches the StatefulSet's pods. A Service without a selector is filled by its operator and
    is not judged further.

    The finding fails for systems whose pods are known to address each other by name (Kafka, ZooKeeper, HDFS, etcd,
    Cassandra), and for every StatefulSet of several pods that names a Service which does not exist. For other
    StatefulSets of several pods it is a warning: `serviceName` is optional, and whether they need names cannot be seen.
    A StatefulSet of one pod needs no such names. Neither does one with a Service of its own for each pod.

    StatefulSets without claims, in the platform's namespaces, and of monitoring are not judged.

    ## Why it matters
    Without the Service there is no `pod.service.namespace.svc` in DNS. Brokers advertise names that nobody can resolve,
    ZooKeeper servers and JournalNodes find no quorum, and a NameNode that sees its DataNodes through one cluster IP
    counts one of them only.

    ## How to fix
    Create the Service under the name that the StatefulSet gives:

        apiVersion: v1
        kind: Service
        metadata: {name: SERVICE, namespace: NAMESPACE}
        spec:
          clusterIP: None
          publishNotReadyAddresses: true
          selector: {app.kubernetes.io/name: kafka}
          ports: [{name: tcp, port: 9092}]

    `serviceName` and `clusterIP` cannot be changed in place. To change `serviceName`, delete the StatefulSet with
    `--cascade=orphan`, create it again and restart its pods one by one.

    ## References
    - [StatefulSet: stable network ID](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id)
    - [Headless Services](https://kubernetes.io/docs/concepts/services-networking/service/#headless-services)
    - [serviceName is optional, what is lost without it](https://github.com/kubernetes/kubernetes/pull/130233)
    - [HDFS on a Service with a cluster IP: one DataNode of three](https://github.com/Gradiant/bigdata-charts/issues/3)
    """
    sets = data_sets(facts, params)
    if not sets:
        yield no_data_sets()
        return
    own_service = _pods_with_a_service(facts)
    faulty: defaultdict[tuple[Status, Fault], list[StatefulSet]] = defaultdict(list)
    sound = []
    for stateful_set in sets:
        fault = _fault(facts, stateful_set)
        status = _status(stateful_set, fault, own_service)
        if fault is None or status is Status.OK:
            sound.append(stateful_set)
        else:
            faulty[status, fault].append(stateful_set)
    for (status, fault), group in sorted(faulty.items()):
        yield _without_names(status, fault, group)
    if sound:
        yield Finding.ok(
            f"{sets_named(sound)}: each pod has a name in DNS, or is alone and needs none.",
            subjects=[stateful_set.subject for stateful_set in sound],
        )


def _fault(facts: Facts, stateful_set: StatefulSet) -> Fault | None:
    name = stateful_set.spec.service_name
    if not name:
        return Fault.UNNAMED
    service = facts.get(Service, name, namespace=stateful_set.namespace)
    if service is None:
        return Fault.MISSING
    if not service.is_headless:
        return Fault.NOT_HEADLESS
    selector = LabelSelector(match_labels=service.spec.selector or {})  # empty: somebody else fills the Service
    if not selector.matches(template_labels(stateful_set.spec.template)):
        return Fault.OTHER_PODS
    return None


def _status(stateful_set: StatefulSet, fault: Fault | None, own_service: set[tuple[str | None, str]]) -> Status:
    pods = stateful_set.pod_names
    if fault is None or (pods and all((stateful_set.namespace, pod) in own_service for pod in pods)):
        return Status.OK
    if len(pods) <= 1:
        return Status.WARN if fault is Fault.MISSING else Status.OK
    role = role_of(stateful_set)
    needs_names = role is not None and role.is_replicated
    return Status.FAIL if needs_names or fault is Fault.MISSING else Status.WARN


def _pods_with_a_service(facts: Facts) -> set[tuple[str | None, str]]:
    """Namespace and name of the pods that have a Service of their own inside the cluster."""
    return {
        (service.namespace, service.spec.selector[_POD_NAME_LABEL])
        for service in facts.list(Service)
        if service.spec.selector and _POD_NAME_LABEL in service.spec.selector
    }


def _without_names(status: Status, fault: Fault, sets: Sequence[StatefulSet]) -> Finding:
    told = "peers cannot find each other" if status is Status.FAIL else "should peers look for each other, they cannot"
    return Finding.of(
        status,
        f"{sets_named(sets)}: {fault}, a headless Service that selects them was expected; pods have no names in "
        f"DNS, and {told}.",
        subjects=[stateful_set.subject for stateful_set in sets],
        fix=_REMEDY[fault],
        evidence=examples({full_name(s): {"serviceName": s.spec.service_name or "", "pods": s.replicas} for s in sets}),
    )


@check(
    "stateful.peer-names",
    title="Members of a quorum have names before they are ready",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulSet, Service),
    aliases=("STS-003",),
)
def peer_names(facts: Facts, params: ScopeParameters) -> Iterator[Finding]:
    """Members of a quorum must find each other before any of them can report that it is ready.

    ## What it checks
    The headless Service that governs a StatefulSet of ZooKeeper servers, Kafka controllers, JournalNodes or etcd
    members has `publishNotReadyAddresses: true`. StatefulSets of one pod, and those whose containers have no readiness
    probe and are therefore ready at once, need nothing.

    Whether a readiness probe waits for the quorum cannot be seen from outside, so that this is a warning at most.
    `podManagementPolicy: Parallel` makes all pods start together, but gives none of them a name, and does not count.

    ## Why it matters
    A pod that is not ready has no name in DNS. If it becomes ready only with a quorum, and finds the quorum only by
    name, it waits for ever: after a power cut the ensemble does not come back. In the mild form each restarted member
    is "unknown host" to its peers until its probe has succeeded. Operators set the field for this reason.

    ## How to fix
    It can be changed in place; where a chart or an operator makes the Service, set it there:

        kubectl patch service SERVICE -n NAMESPACE --patch '{"spec": {"publishNotReadyAddresses": true}}'

    If readiness waits for the quorum, create the StatefulSet with `podManagementPolicy: Parallel` as well: with
    OrderedReady the second member is not made before the first is ready.

    ## References
    - [Service: publishNotReadyAddresses](https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/)
    - [StatefulSet: pod management policies](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-management-policies)
    - [ZooKeeper followers cannot resolve the leader](https://github.com/pravega/zookeeper-operator/issues/545)
    - [DNS names only after the readiness check](https://github.com/kubernetes/kubernetes/issues/39363)
    """
    members = [s for s in data_sets(facts, params) if _is_quorum(s)]
    if not members:
        yield Finding.skip(
            "No StatefulSet runs the members of a quorum (ZooKeeper, Kafka controllers, etcd and so on)."
        )
        return
    hidden, named, ungoverned = [], [], []
    for stateful_set in members:
        service = facts.get(Service, stateful_set.spec.service_name or "", namespace=stateful_set.namespace)
        if service is None or not service.is_headless:
            ungoverned.append(stateful_set)
        elif service.spec.publish_not_ready_addresses or not _has_readiness_probe(stateful_set):
            named.append(stateful_set)
        else:
            hidden.append(stateful_set)
    if hidden:
        yield _hidden(hidden)
    if ungoverned:
        yield Finding.skip(
            f"{sets_named(ungoverned)}: no headless Service governs the members; "
            "stateful.headless-service says what that means.",
            subjects=[stateful_set.subject for stateful_set in ungoverned],
        )
    if named:
        yield Finding.ok(
            f"{sets_named(named)}: the members have names in DNS as soon as they run.",
            subjects=[stateful_set.subject for stateful_set in named],
        )


def _is_quorum(stateful_set: StatefulSet) -> bool:
    role = role_of(stateful_set)
    return role is not None and role.is_quorum and stateful_set.replicas > 1


def _has_readiness_probe(stateful_set: StatefulSet) -> bool:
    return any(container.readiness_probe is not None for container in stateful_set.spec.template.spec.containers)


def _hidden(sets: Sequence[StatefulSet]) -> Finding:
    return Finding.warn(
        f"{sets_named(sets)}: members of a quorum have no name in DNS until they are ready, since their headless "
        "Service does not publish addresses that are not ready; publishNotReadyAddresses: true was expected.",
        subjects=[stateful_set.subject for stateful_set in sets],
        fix="Set publishNotReadyAddresses: true on the headless Services.",
        evidence=examples(
            {
                full_name(s): {
                    "service": s.spec.service_name,
                    "role": role_of(s),
                    "podManagementPolicy": s.spec.pod_management_policy or "OrderedReady",
                }
                for s in sets
            }
        ),
    )
