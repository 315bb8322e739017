"""What all API objects share: metadata, owners, label selectors, conditions."""

from __future__ import annotations

import msgspec

from auditor.facts.parts import CORE_GROUP, Api, Resource
from auditor.model import Subject


def core_api(kind: str, plural: str, *, namespaced: bool = True) -> Api:
    """Where a type of the legacy group is served."""
    return Api(group=CORE_GROUP, versions=("v1",), plural=plural, kind=kind, namespaced=namespaced)


class View(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Base of the views of an object's inner parts."""


class ObjectReference(View, frozen=True, kw_only=True):
    """Another object, by name."""

    kind: str | None = None
    name: str | None = None
    namespace: str | None = None


class OwnerReference(View, frozen=True, kw_only=True):
    """The object that an object belongs to."""

    kind: str
    name: str
    uid: str = ""
    controller: bool = False


class ObjectMeta(View, frozen=True, kw_only=True):
    """The metadata of an object."""

    name: str
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    creation_timestamp: str | None = None
    """RFC 3339 with seconds, UTC."""
    deletion_timestamp: str | None = None


class Condition(View, frozen=True, kw_only=True):
    """One entry of an object's ``status.conditions``."""

    type: str
    status: str
    """``True``, ``False`` or ``Unknown``."""
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class Requirement(View, frozen=True, kw_only=True):
    """One entry of ``matchExpressions``."""

    key: str
    operator: str
    values: tuple[str, ...] | None = None

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether ``labels`` meet it; an operator that selectors do not have never matches."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in (self.values or ())
            case "NotIn":
                return value is None or value not in (self.values or ())
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return False


class LabelSelector(View, frozen=True, kw_only=True):
    """``matchLabels`` and ``matchExpressions``, both of which must hold."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels is selected. An empty selector selects everything."""
        wanted = self.match_labels or {}
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions or ()
        )


class NodeSelectorRequirement(Requirement, frozen=True, kw_only=True):
    """One entry of a node selector's ``matchExpressions``, which knows two operators more."""

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether a node with these labels meets it."""
        if self.operator not in ("Gt", "Lt"):
            return super().matches(labels)
        try:
            found, bound = int(labels[self.key]), int((self.values or ())[0])
        except (KeyError, IndexError, ValueError):
            return False
        return found > bound if self.operator == "Gt" else found < bound


class NodeSelectorTerm(View, frozen=True, kw_only=True):
    """Requirements that must all hold; an empty term selects nothing, as in Kubernetes."""

    match_expressions: tuple[NodeSelectorRequirement, ...] | None = None
    match_fields: tuple[NodeSelectorRequirement, ...] | None = None

    def matches(self, labels: dict[str, str], *, name: str) -> bool:
        """Whether the node of that name and these labels is selected."""
        if not self.match_expressions and not self.match_fields:
            return False
        fields = {"metadata.name": name}
        return all(requirement.matches(labels) for requirement in self.match_expressions or ()) and all(
            requirement.matches(fields) for requirement in self.match_fields or ()
        )


class NodeSelector(View, frozen=True, kw_only=True):
    """Terms of which one must hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()

    def matches(self, labels: dict[str, str], *, name: str) -> bool:
        """Whether the node of that name and these labels is selected."""
        return any(term.matches(labels, name=name) for term in self.node_selector_terms)


class KubeObject(Resource, frozen=True, kw_only=True, gc=False, rename="camel"):
    """An API object: a resource with metadata."""

    metadata: ObjectMeta

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.metadata.name

    @property
    def namespace(self) -> str | None:
        """``metadata.namespace``."""
        return self.metadata.namespace

    @property
    def labels(self) -> dict[str, str]:
        """``metadata.labels``, empty where there are none."""
        return self.metadata.labels or {}

    @property
    def annotations(self) -> dict[str, str]:
        """``metadata.annotations``, empty where there are none."""
        return self.metadata.annotations or {}

    @property
    def subject(self) -> Subject:
        """The object as the subject of a finding."""
        return Subject(kind=self.api.kind, name=self.name, namespace=self.namespace)
