"""scheduling.volcano.sh: the queues of Volcano."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api


class VolcanoQueueStatus(View, frozen=True, kw_only=True):
    """What Volcano reports of a queue."""

    state: str | None = None
    """``Open``, ``Closed``, ``Closing`` or ``Unknown``."""


class VolcanoQueue(KubeObject, frozen=True, kw_only=True):
    """A queue that jobs wait in."""

    api: ClassVar[Api] = Api(
        group="scheduling.volcano.sh", versions=("v1beta1",), plural="queues", kind="Queue", namespaced=False
    )
    status: VolcanoQueueStatus = VolcanoQueueStatus()
