"""apiextensions.k8s.io: the kinds of custom resources."""

from __future__ import annotations

from typing import ClassVar

from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api


class CustomResourceNames(View, frozen=True, kw_only=True):
    """How a custom resource is called."""

    plural: str = ""
    kind: str = ""


class CustomResourceVersion(View, frozen=True, kw_only=True):
    """A version of a custom resource; the schema is not kept, it is most of the object."""

    name: str
    served: bool = False
    storage: bool = False


class CustomResourceDefinitionSpec(View, frozen=True, kw_only=True):
    """What a custom resource is."""

    group: str = ""
    names: CustomResourceNames = CustomResourceNames()
    versions: tuple[CustomResourceVersion, ...] | None = None


class CustomResourceDefinitionStatus(View, frozen=True, kw_only=True):
    """What the API server reports of it."""

    stored_versions: tuple[str, ...] | None = None
    """Every version in which an object may still lie in etcd; only a migration takes one away."""


class CustomResourceDefinition(KubeObject, frozen=True, kw_only=True):
    """A kind of custom resources, named ``plural.group``."""

    api: ClassVar[Api] = Api(
        group="apiextensions.k8s.io",
        versions=("v1",),
        plural="customresourcedefinitions",
        kind="CustomResourceDefinition",
        namespaced=False,
    )
    spec: CustomResourceDefinitionSpec = CustomResourceDefinitionSpec()
    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()

    @property
    def served_versions(self) -> tuple[str, ...]:
        """The versions in which clients may read and write."""
        return tuple(version.name for version in self.spec.versions or () if version.served)
