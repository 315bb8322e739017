"""rbac.authorization.k8s.io: roles, and who holds them. What they come to is told by :mod:`auditor.facts.access`."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.kube.meta import KubeObject, View
from auditor.facts.parts import Api

RBAC_GROUP = "rbac.authorization.k8s.io"


def _api(kind: str, plural: str, *, namespaced: bool) -> Api:
    return Api(group=RBAC_GROUP, versions=("v1",), plural=plural, kind=kind, namespaced=namespaced)


class PolicyRule(View, frozen=True, kw_only=True):
    """Verbs on resources or on paths; a rule only ever allows."""

    verbs: tuple[str, ...] | None = None
    api_groups: tuple[str, ...] | None = None
    """The legacy group is the empty string."""
    resources: tuple[str, ...] | None = None
    """``pods``, ``pods/log``, ``*/scale``, ``*``."""
    resource_names: tuple[str, ...] | None = None
    """None and empty mean all names."""
    non_resource_urls: tuple[str, ...] | None = msgspec.field(name="nonResourceURLs", default=None)


class RoleRef(View, frozen=True, kw_only=True):
    """The role that a binding gives."""

    kind: str
    """``Role`` or ``ClusterRole``."""
    name: str


class RbacSubject(View, frozen=True, kw_only=True):
    """Who gets the role."""

    kind: str
    """``ServiceAccount``, ``User`` or ``Group``."""
    name: str
    namespace: str | None = None


class Role(KubeObject, frozen=True, kw_only=True):
    """Rules for one namespace."""

    api: ClassVar[Api] = _api("Role", "roles", namespaced=True)
    rules: tuple[PolicyRule, ...] | None = None


class ClusterRole(KubeObject, frozen=True, kw_only=True):
    """Rules for all namespaces; where it aggregates others, the controller has filled ``rules`` in."""

    api: ClassVar[Api] = _api("ClusterRole", "clusterroles", namespaced=False)
    rules: tuple[PolicyRule, ...] | None = None


class RoleBinding(KubeObject, frozen=True, kw_only=True):
    """Who holds a Role or a ClusterRole in one namespace."""

    api: ClassVar[Api] = _api("RoleBinding", "rolebindings", namespaced=True)
    role_ref: RoleRef
    subjects: tuple[RbacSubject, ...] | None = None


class ClusterRoleBinding(KubeObject, frozen=True, kw_only=True):
    """Who holds a ClusterRole everywhere."""

    api: ClassVar[Api] = _api("ClusterRoleBinding", "clusterrolebindings", namespaced=False)
    role_ref: RoleRef
    subjects: tuple[RbacSubject, ...] | None = None
