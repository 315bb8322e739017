"""What the checks of the nodes probe share: whom it visited, whom not, and how findings speak of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast

from auditor import Facts, Finding, Subject
from auditor.facts.observations.nodes import NodeObservation, NodesObservations

from .._wording import counted, examples, listed

T = TypeVar("T")


def visits(facts: Facts) -> NodesObservations:
    """The observations of the nodes probe.

    Raises:
        UnreadableError: nodes were not probed.
    """
    return cast("NodesObservations", facts.document(NodesObservations))


def unseen(document: NodesObservations) -> Iterator[Finding]:
    """What every check must say of nodes to which a visit failed, one finding per reason; and where there was none."""
    by_reason: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, cause in sorted(document.failed.items()):
        by_reason[cause.reason][name] = cause.message
    for reason, said in sorted(by_reason.items()):
        yield Finding.unknown(
            f"What a container finds on {on(said)} could not be seen ({reason}): {_first(said)}.",
            subjects=subjects(said),
            fix="Remove what kept the probe's pod from running there, and probe again.",
            evidence=examples(said),
        )
    if not document.nodes and not document.failed:
        yield Finding.unknown(
            f"No node was visited{_not_visited(document)}.",
            fix="Give the probe's pods tolerations for the nodes of data systems, and probe again.",
        )


def measured(
    document: NodesObservations, measure: Callable[[NodeObservation], T | None]
) -> tuple[dict[str, T], list[str]]:
    """What was found by node, and the nodes on which it was not to be seen."""
    found = {name: measure(node) for name, node in sorted(document.nodes.items())}
    seen = {name: value for name, value in found.items() if value is not None}
    return seen, [name for name in found if name not in seen]


def hidden(names: Iterable[str], what: str) -> Iterator[Finding]:
    """The finding for nodes on which a container cannot see something."""
    if nodes := list(names):
        yield Finding.unknown(
            f"A container cannot see {what} on {on(nodes)}.",
            subjects=subjects(nodes),
            fix="Look at it on the nodes themselves; a sandboxed runtime such as gVisor hides it from containers.",
        )


def on(names: Iterable[str]) -> str:
    """``node a``, ``3 nodes (a, b and c)``."""
    known = list(names)
    return f"node {known[0]}" if len(known) == 1 else f"{counted(len(known), 'node')} ({listed(known)})"


def subjects(names: Iterable[str]) -> list[Subject]:
    """The nodes as subjects."""
    return [Subject(kind="Node", name=name) for name in names]


def where_else(document: NodesObservations) -> str:
    """What an ok must add: that there are nodes of which it says nothing."""
    return _not_visited(document, before=" ")


def _not_visited(document: NodesObservations, *, before: str = "") -> str:
    if not document.left_out:
        return ""
    told = "; ".join(f"{counted(each.count, 'node')}: {each.reason}" for each in document.left_out)
    return f"{before and ','} not visited were {told}" if before else f" ({told})"


def _first(said: Mapping[str, str]) -> str:
    return next(iter(said.values())).rstrip(".")
