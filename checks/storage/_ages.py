"""What has lasted too long, by the time of the collection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from auditor import Finding
from auditor.facts.kube.meta import KubeObject

from .._wording import counted, full_names

K = TypeVar("K", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class Aged(Generic[K]):
    """Objects by how long they have been in their state.

    Attributes:
        old: longer than the limit.
        young: not longer.
        ageless: it cannot be told, since a timestamp or the time of the collection is missing.
    """

    old: list[K] = field(default_factory=list)
    young: list[K] = field(default_factory=list)
    ageless: list[K] = field(default_factory=list)


def by_age(objects: Iterable[tuple[K, timedelta | None]], limit: timedelta) -> Aged[K]:
    """The objects in their order, told apart by their age."""
    aged: Aged[K] = Aged()
    for obj, age in objects:
        if age is None:
            aged.ageless.append(obj)
        else:
            (aged.old if age > limit else aged.young).append(obj)
    return aged


def ageless(what: str, objects: list[K]) -> Finding:
    """The finding for objects whose age cannot be told; ``what`` says in the past tense what they have been doing."""
    return Finding.unknown(
        f"For how long {counted(len(objects), objects[0].api.kind)} ({full_names(objects)}) {what} cannot be told: "
        "the time of creation or of the collection is not known.",
        subjects=[obj.subject for obj in objects],
        fix="Collect with auditor, which records when it did.",
    )
