"""What was seen of the set's pods, look by look, and what that says about their order.

Each look is one list of the API server, and so one moment: what it shows together was so together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from auditor.cluster import Manifest


class Seen(NamedTuple):
    """A pod at one moment."""

    uid: str
    is_ready: bool


Look = Mapping[str, Seen]
"""The pods that there were at one moment, by name."""


def look(pods: Iterable[Manifest]) -> Look:
    """What a list of pods shows."""
    return {pod["metadata"]["name"]: Seen(pod["metadata"]["uid"], is_ready(pod)) for pod in pods}


def is_ready(pod: Manifest) -> bool:
    """Whether a pod serves, and is not on its way out."""
    conditions = pod.get("status", {}).get("conditions") or ()
    serves = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return serves and "deletionTimestamp" not in pod["metadata"]


def created(looks: Iterable[Look], names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """In which order the pods appeared, and those that did before all those before them were Ready: which were not."""
    order: list[str] = []
    early: dict[str, tuple[str, ...]] = {}
    for each in looks:
        for index, name in enumerate(names):
            if name not in each or name in order:
                continue
            order.append(name)
            missing = tuple(before for before in names[:index] if before not in each or not each[before].is_ready)
            if missing:
                early[name] = missing
    return tuple(order), early


def replaced(looks: Iterable[Look], before: Mapping[str, str]) -> tuple[str, ...]:
    """In which order pods of other uids appeared; of those that did between two looks, the last first."""
    order: list[str] = []
    for each in looks:
        news = [name for name, seen in each.items() if name in before and seen.uid != before[name]]
        order += sorted((name for name in news if name not in order), reverse=True)
    return tuple(order)


def most_down(looks: Iterable[Look], names: Sequence[str]) -> int:
    """How many pods were not Ready at one moment."""
    return max((sum(name not in each or not each[name].is_ready for name in names) for each in looks), default=0)
