"""How findings of all areas speak of their subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TypeVar

from auditor.facts.kube.meta import KubeObject

V = TypeVar("V")

NAMED_AT_MOST = 5
"""A message names this many objects and counts the rest."""

EXAMPLES_AT_MOST = 10
"""Evidence shows this many objects; the subjects name all."""


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b, c, d, e and 7 more``."""
    if len(names) == 1:
        return names[0]
    if len(names) <= NAMED_AT_MOST:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[:NAMED_AT_MOST])} and {len(names) - NAMED_AT_MOST} more"


def counted(count: int, noun: str) -> str:
    """``1 node``, ``3 nodes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def full_name(obj: KubeObject) -> str:
    """``namespace/name``, or ``name`` where the type has no namespaces."""
    return f"{obj.namespace}/{obj.name}" if obj.namespace else obj.name


def full_names(objects: Sequence[KubeObject]) -> str:
    """The objects as :func:`listed` writes their full names."""
    return listed([full_name(obj) for obj in objects])


def examples(seen: Mapping[str, V]) -> dict[str, V]:
    """The first few entries, as evidence of a finding with many subjects."""
    return dict(islice(seen.items(), EXAMPLES_AT_MOST))
