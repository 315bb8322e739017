"""What keeps the pods of a job together, as far as a probe can make use of it: how groups are declared to each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from auditor.cluster import Manifest, ObjectError, Served, discover
from auditor.facts.kube import Deployment
from auditor.facts.kube.kueue import ClusterQueue
from auditor.facts.kube.scheduling import CoschedulingPodGroup, PodGroup, Workload
from auditor.facts.parts import Api
from auditor.sandbox import Sandbox

VOLCANO_GROUP = Api(
    group="scheduling.volcano.sh", versions=("v1beta1",), plural="podgroups", kind="PodGroup", namespaced=True
)

_OWN_GROUP = "workers"
_ACK_LABEL = "pod-group.scheduling.sigs.k8s.io"
"""ACK's own kube-scheduler, which nobody sees, knows gangs by these labels; others do not mind them."""
_YUNIKORN = "component=yunikorn-scheduler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """A group of pods to be declared.

    Attributes:
        name: of the group.
        size: pods.
        millicores: that each asks for.
        priority_class: of its pods.
    """

    name: str
    size: int
    millicores: int
    priority_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What makes pods a gang.

    Attributes:
        objects: to be created before the pods: where their kind is served, in which version, and the object.
        labels: of each pod.
        annotations: of each pod.
        spec: of each pod.
    """

    objects: tuple[tuple[Api, str, Manifest], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One way to keep pods together; without a name it is none.

    Attributes:
        name: what people call it.
        declare: makes a gang known to it.
        queues: whether Kueue is there, which no pod of a probe passes.
    """

    name: str
    declare: Callable[[Gang], Declared]
    queues: bool = False


def mechanism_of(sandbox: Sandbox) -> Mechanism:
    """The first that there is, of those that can be used without a queue of the site's."""
    apis = (Workload.api, PodGroup.api, VOLCANO_GROUP, CoschedulingPodGroup.api, ClusterQueue.api)
    served = discover(sandbox.objects.server, apis)
    queues = ClusterQueue.api.id in served.versions
    if served.groups:
        for found in _by_api(served):
            return found
    if _is_there(sandbox, _YUNIKORN):
        return Mechanism("YuniKorn", _yunikorn)
    return Mechanism("", _nothing, queues=queues)


def _by_api(served: Served) -> list[Mechanism]:
    found: list[Mechanism] = []
    versions = served.versions
    if version := versions.get(PodGroup.api.id):
        found.append(Mechanism("Kubernetes' own PodGroup", lambda gang: _native_group(gang, version)))
    elif own := versions.get(Workload.api.id):
        found.append(Mechanism("Kubernetes' own Workload", lambda gang: _native_workload(gang, own)))
    if VOLCANO_GROUP.id in versions:
        found.append(Mechanism("Volcano", _volcano))
    if CoschedulingPodGroup.api.id in versions:
        found.append(Mechanism("the Coscheduling plugin", _coscheduling))
    return found


def _is_there(sandbox: Sandbox, labels: str) -> bool:
    try:
        return bool(sandbox.objects.list(Deployment.api, labels=labels))
    except ObjectError:
        return False


def _object(api: Api, version: str, name: str, spec: Manifest) -> tuple[Api, str, Manifest]:
    manifest = {"apiVersion": f"{api.group}/{version}", "kind": api.kind, "metadata": {"name": name}, "spec": spec}
    return api, version, manifest


def _native_workload(gang: Gang, version: str) -> Declared:
    """Kubernetes 1.35: the workload holds the groups."""
    groups = [{"name": _OWN_GROUP, "policy": {"gang": {"minCount": gang.size}}}]
    return Declared(
        objects=(_object(Workload.api, version, gang.name, {"podGroups": groups}),),
        spec={"workloadRef": {"name": gang.name, "podGroup": _OWN_GROUP}},
    )


def _native_group(gang: Gang, version: str) -> Declared:
    """Kubernetes 1.36 and later: a group stands for itself. Its priority counts where groups are preempted whole."""
    policy = {"schedulingPolicy": {"gang": {"minCount": gang.size}}, "priorityClassName": gang.priority_class}
    return Declared(
        objects=(_object(PodGroup.api, version, gang.name, policy),),
        spec={"schedulingGroup": {"podGroupName": gang.name}},
    )


def _volcano(gang: Gang) -> Declared:
    spec = {"minMember": gang.size, "priorityClassName": gang.priority_class}
    return Declared(
        objects=(_object(VOLCANO_GROUP, "v1beta1", gang.name, spec),),
        annotations={"scheduling.k8s.io/group-name": gang.name},
        spec={"schedulerName": "volcano"},
    )


def _coscheduling(gang: Gang) -> Declared:
    return Declared(
        objects=(_object(CoschedulingPodGroup.api, "v1alpha1", gang.name, {"minMember": gang.size}),),
        labels={"scheduling.x-k8s.io/pod-group": gang.name},
        spec={"schedulerName": "scheduler-plugins-scheduler"},
    )


def _yunikorn(gang: Gang) -> Declared:
    group = {
        "name": _OWN_GROUP,
        "minMember": gang.size,
        "minResource": {"cpu": f"{gang.millicores}m", "memory": "8Mi"},
    }
    return Declared(
        labels={"applicationId": gang.name},
        annotations={
            "yunikorn.apache.org/task-group-name": _OWN_GROUP,
            "yunikorn.apache.org/task-groups": json.dumps([group]),
            "yunikorn.apache.org/schedulingPolicyParameters": (
                "placeholderTimeoutInSeconds=60 gangSchedulingStyle=Hard"
            ),
        },
        spec={"schedulerName": "yunikorn"},
    )


def _nothing(gang: Gang) -> Declared:
    return Declared(labels={f"{_ACK_LABEL}/name": gang.name, f"{_ACK_LABEL}/min-available": str(gang.size)})
