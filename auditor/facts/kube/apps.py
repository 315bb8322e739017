"""apps: StatefulSets."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.core import PersistentVolumeClaimSpec
from auditor.facts.kube.meta import KubeObject, LabelSelector, ObjectMeta, View
from auditor.facts.parts import Api


class ClaimTemplate(View, frozen=True, kw_only=True):
    """One of ``volumeClaimTemplates``."""

    metadata: ObjectMeta
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()


class StatefulSetSpec(View, frozen=True, kw_only=True):
    """What is asked of a StatefulSet."""

    replicas: int | None = None
    service_name: str | None = None
    selector: LabelSelector | None = None
    pod_management_policy: str | None = None
    volume_claim_templates: tuple[ClaimTemplate, ...] | None = None


class StatefulSet(KubeObject, frozen=True, kw_only=True):
    """A StatefulSet."""

    api: ClassVar[Api] = Api(group="apps", versions=("v1",), plural="statefulsets", kind="StatefulSet", namespaced=True)
    spec: StatefulSetSpec = StatefulSetSpec()
