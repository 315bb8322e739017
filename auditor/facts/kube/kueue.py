"""kueue.x-k8s.io: the queues of Kueue."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import Condition, KubeObject, View
from auditor.facts.parts import Api


def _api(kind: str, plural: str, *, namespaced: bool) -> Api:
    return Api(group="kueue.x-k8s.io", versions=("v1beta2", "v1beta1"), plural=plural, kind=kind, namespaced=namespaced)


class QueueStatus(View, frozen=True, kw_only=True):
    """What Kueue reports of a queue."""

    conditions: tuple[Condition, ...] | None = None


class ClusterQueueSpec(View, frozen=True, kw_only=True):
    """What is asked of a ClusterQueue."""

    stop_policy: str | None = None
    """None means None, the API's default; ``Hold`` and ``HoldAndDrain`` stop it."""


class ClusterQueue(KubeObject, frozen=True, kw_only=True):
    """A pool of quota from which jobs are admitted."""

    api: ClassVar[Api] = _api("ClusterQueue", "clusterqueues", namespaced=False)
    spec: ClusterQueueSpec = ClusterQueueSpec()
    status: QueueStatus = QueueStatus()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody told it to admit nothing."""
        return self.spec.stop_policy in ("Hold", "HoldAndDrain")

    @property
    def active(self) -> Condition | None:
        """Whether it can admit jobs, and why not; None until Kueue has seen it."""
        return next((c for c in self.status.conditions or () if c.type == "Active"), None)


class LocalQueueSpec(View, frozen=True, kw_only=True):
    """What is asked of a LocalQueue."""

    cluster_queue: str | None = None


class LocalQueue(KubeObject, frozen=True, kw_only=True):
    """A namespace's entry to a ClusterQueue; jobs name it."""

    api: ClassVar[Api] = _api("LocalQueue", "localqueues", namespaced=True)
    spec: LocalQueueSpec = LocalQueueSpec()
