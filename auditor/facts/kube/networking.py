"""networking.k8s.io: who may talk to whom."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject
from auditor.facts.parts import Api


class NetworkPolicy(KubeObject, frozen=True, kw_only=True):
    """Rules for the traffic of some pods. Whether anybody enforces them is told by a probe."""

    api: ClassVar[Api] = Api(
        group="networking.k8s.io", versions=("v1",), plural="networkpolicies", kind="NetworkPolicy", namespaced=True
    )
