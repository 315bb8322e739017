"""scheduling.volcano.sh: the queues of Volcano."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject
from auditor.facts.parts import Api


class VolcanoQueue(KubeObject, frozen=True, kw_only=True):
    """A queue that jobs wait in; Volcano makes one that is called ``default``."""

    api: ClassVar[Api] = Api(
        group="scheduling.volcano.sh", versions=("v1beta1",), plural="queues", kind="Queue", namespaced=False
    )
