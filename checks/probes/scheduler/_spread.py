"""Pods that all want to be in one place, and must be spread."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from auditor.cluster import Manifest
from auditor.facts.kube import Node
from auditor.facts.kube.nodes import HOSTNAME_LABEL, ZONE_LABEL
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.scheduler import Spread
from auditor.sandbox import Sandbox

from ._pods import GROUP, Watch, create_all, only_on, remove_all, sleeper, why_not

SPREAD = "spread"

_PODS_PER_PLACE = 2
_PLACES_AT_MOST = 5
_SECONDS = 30.0


def spread_pods(sandbox: Sandbox, nodes: Sequence[Node]) -> tuple[str, list[Manifest]]:
    """The label to spread over, and the pods; none where there are fewer than two places."""
    key = ZONE_LABEL if len(_places(nodes, ZONE_LABEL)) > 1 else HOSTNAME_LABEL
    places = _places(nodes, key)
    if len(places) < 2:
        return key, []
    open_nodes = [node.name for node in nodes if node.labels.get(key) in {*places, None}]
    wish = {"matchExpressions": [{"key": key, "operator": "In", "values": [places[0]]}]}
    affinity = only_on(open_nodes)
    affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = [{"weight": 100, "preference": wish}]
    constraint = {
        "topologyKey": key,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {GROUP: SPREAD}},
    }
    return key, [
        sleeper(sandbox, f"spread-{number}", SPREAD, (), affinity=affinity, topologySpreadConstraints=[constraint])
        for number in range(_PODS_PER_PLACE * len(places))
    ]


def spread(sandbox: Sandbox, nodes: Sequence[Node]) -> tuple[Spread | None, Step]:
    """Create the pods and see where they were put."""
    key, manifests = spread_pods(sandbox, nodes)
    if not manifests:
        cause = Cause(reason="OnePlace", message=f"the probe's pods can run in one place only by the label {key}")
        return None, Step(name=SPREAD, state=StepState.NOT_DONE, cause=cause)
    started = time.monotonic()
    with Watch(sandbox, SPREAD, _SECONDS + 10) as watch:
        created = create_all(sandbox, manifests)
        watch.wait(created.at, lambda life: life.scheduled, seconds=_SECONDS)
        lives = {name: watch.life(name) for name in created.at}
    seconds = time.monotonic() - started
    late = [name for name, life in lives.items() if life.scheduled is None]
    cause_found = next(iter(created.refused.values()), None) or (why_not(sandbox, late[0], seconds) if late else None)
    remove_all(sandbox, created.at, group=SPREAD)
    place_of = {node.name: node.labels.get(key) for node in nodes}
    placed = Counter(place_of.get(life.node) for life in lives.values() if life.node)
    found = Spread(
        topology_key=key,
        pods=len(manifests),
        placed={place: placed[place] for place in _places(nodes, key)},
        unlabelled=tuple(sorted(name for name, place in place_of.items() if place is None)),
        elsewhere=placed[None],
    )
    state = StepState.OK if cause_found is None else StepState.FAILED
    return found, Step(name=SPREAD, state=state, seconds=seconds, cause=cause_found)


def _places(nodes: Sequence[Node], key: str) -> list[str]:
    return sorted({node.labels[key] for node in nodes if node.labels.get(key)})[:_PLACES_AT_MOST]
