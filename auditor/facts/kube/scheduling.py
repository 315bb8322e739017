"""scheduling.k8s.io and its third-party relatives: priorities, gangs of pods, and the queues of KAI.

The group's own gangs came with Kubernetes 1.35 as Workload, and were split in 1.36 into Workload and PodGroup; no
version is served unless the API server is told to. Which one there is, only discovery knows.
"""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import Condition, KubeObject, View
from auditor.facts.parts import Api

HIGHEST_USER_PRIORITY = 1_000_000_000
"""No class that a user makes may have a greater value."""

SYSTEM_PRIORITY_PREFIX = "system-"
"""Names of classes that begin so are reserved for Kubernetes itself."""


class PriorityClass(KubeObject, frozen=True, kw_only=True):
    """A class of priorities."""

    api: ClassVar[Api] = Api(
        group="scheduling.k8s.io", versions=("v1",), plural="priorityclasses", kind="PriorityClass", namespaced=False
    )
    value: int = 0
    global_default: bool = False
    """Whether pods that name no class get this one."""
    preemption_policy: str | None = None
    """None means PreemptLowerPriority, the API's default."""

    @property
    def is_system(self) -> bool:
        """Whether the class is one of Kubernetes' own."""
        return self.name.startswith(SYSTEM_PRIORITY_PREFIX)

    @property
    def preempts(self) -> bool:
        """Whether its pods evict others of less priority to get their place."""
        return self.preemption_policy != "Never"


class Workload(KubeObject, frozen=True, kw_only=True):
    """Kubernetes' own gangs: the policy for groups of pods, and in 1.35 the groups themselves."""

    api: ClassVar[Api] = Api(
        group="scheduling.k8s.io",
        versions=("v1", "v1beta1", "v1alpha3", "v1alpha2", "v1alpha1"),
        plural="workloads",
        kind="Workload",
        namespaced=True,
    )


class PodGroupStatus(View, frozen=True, kw_only=True):
    """What the scheduler reports of a group."""

    conditions: tuple[Condition, ...] | None = None


class PodGroup(KubeObject, frozen=True, kw_only=True):
    """Kubernetes' own group of pods that are placed together, from 1.36 on."""

    api: ClassVar[Api] = Api(
        group="scheduling.k8s.io",
        versions=("v1", "v1beta1", "v1alpha3", "v1alpha2"),
        plural="podgroups",
        kind="PodGroup",
        namespaced=True,
    )
    status: PodGroupStatus = PodGroupStatus()

    @property
    def was_scheduled(self) -> bool:
        """Whether a scheduler has decided on the group, for or against it: nobody else sets these conditions."""
        return any(c.type in _SCHEDULERS_CONDITIONS for c in self.status.conditions or ())


_SCHEDULERS_CONDITIONS = ("PodGroupScheduled", "PodGroupInitiallyScheduled")
"""Of Kubernetes 1.36, and from 1.37 on."""


class CoschedulingPodGroup(KubeObject, frozen=True, kw_only=True):
    """A group of pods of the Coscheduling plugin of kubernetes-sigs/scheduler-plugins."""

    api: ClassVar[Api] = Api(
        group="scheduling.x-k8s.io", versions=("v1alpha1",), plural="podgroups", kind="PodGroup", namespaced=True
    )


class KaiQueue(KubeObject, frozen=True, kw_only=True):
    """A queue of the KAI Scheduler, and of Run:ai."""

    api: ClassVar[Api] = Api(
        group="scheduling.run.ai", versions=("v2",), plural="queues", kind="Queue", namespaced=False
    )
