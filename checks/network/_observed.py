"""What the checks of the network probe share: whom it met, whom not, and how findings speak of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

from auditor import Facts, Finding, Subject
from auditor.facts.observations.network import NetworkObservations, Route

from .._wording import counted, examples, listed


def observed(facts: Facts) -> NetworkObservations:
    """The observations of the network probe.

    Raises:
        UnreadableError: the network was not probed.
    """
    return cast("NetworkObservations", facts.document(NetworkObservations))


def unseen(document: NetworkObservations) -> Iterator[Finding]:
    """What every check must say where pods did not come about, one finding per reason; and where none was planned."""
    by_reason: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for what, cause in sorted(document.failed.items()):
        by_reason[cause.reason][what] = cause.message
    for reason, said in sorted(by_reason.items()):
        first = next(iter(said.values())).rstrip(".")
        yield Finding.unknown(
            f"Pods of the network probe did not come about ({reason}), for {listed(list(said))}: {first}.",
            fix="Remove what kept the probe's pods from running, and probe again.",
            evidence=examples(said),
        )
    if not document.peers and not document.failed:
        yield Finding.unknown(
            f"No node takes the network probe's pods{_not_visited(document)}.",
            fix="Give the probe's pods tolerations for the nodes of data systems, and probe again.",
        )


def alone(document: NetworkObservations) -> Iterator[Finding]:
    """The finding where one node is all there is; nothing where others failed, which :func:`unseen` tells."""
    if len(document.peers) == 1 and not document.failed:
        yield Finding.skip(
            f"Only node {next(iter(document.peers))} takes pods, so that there is no way between nodes to try"
            f"{_not_visited(document)}."
        )


def routes(found: Iterable[Route]) -> str:
    """``a to b, a to c and 4 more``."""
    return listed(sorted({str(route) for route in found}))


def ends(found: Iterable[Route]) -> list[Subject]:
    """The nodes at the ends of routes, as subjects."""
    names = {name for route in found for name in (route.from_node, route.to_node)}
    return [Subject(kind="Node", name=name) for name in sorted(names)]


def nodes(names: Iterable[str]) -> list[Subject]:
    """Nodes as subjects."""
    return [Subject(kind="Node", name=name) for name in names]


def suspects(found: Iterable[Route]) -> str:
    """What all these routes have in common, where it is one node: `` (all from or to a)``."""
    sets = [{route.from_node, route.to_node} for route in found]
    common = set.intersection(*sets) if len(sets) > 1 else set()
    return f", all from or to {next(iter(common))}" if len(common) == 1 else ""


def _not_visited(document: NetworkObservations) -> str:
    if not document.left_out:
        return ""
    told = "; ".join(f"{counted(each.count, 'node')}: {each.reason}" for each in document.left_out)
    return f" (left out: {told})"
