"""What the fixtures of the stateful checks cannot say: an unknown time of collection, and how shares are rounded."""

from importlib import import_module
from typing import Any

import msgspec
import pytest

from auditor.facts.kube import Deployment, Node, Pod
from auditor.facts.parts import OK
from auditor.facts.store import Facts, PartFacts, PartKey
from auditor.model import Status
from auditor.registry import load_checks

starts_beside = import_module("auditor.checks.stateful.recreate").starts_beside
stuck_terminating = load_checks().get("stateful.stuck-terminating")


def facts_of(*objects: Node | Pod) -> Facts:
    views: tuple[type[Node] | type[Pod], ...] = (Node, Pod)
    parts: dict[PartKey, PartFacts] = {
        (view.api.id, None): PartFacts(OK, tuple(obj for obj in objects if isinstance(obj, view))) for view in views
    }
    return Facts(parts)


LEAVING = msgspec.convert(
    {
        "metadata": {
            "name": "kafka-0",
            "namespace": "kafka",
            "deletionTimestamp": "2026-01-01T11:00:00Z",
            "ownerReferences": [{"kind": "StatefulSet", "name": "kafka"}],
        },
        "spec": {"nodeName": "n1"},
    },
    Pod,
)


def test_how_long_a_pod_hangs_is_unknown_where_the_time_of_collection_is() -> None:
    [finding] = stuck_terminating.run(facts_of(LEAVING))

    assert finding.status is Status.UNKNOWN
    assert "kafka/kafka-0" in finding.message


def test_that_no_pod_hangs_needs_no_time_of_collection() -> None:
    [finding] = stuck_terminating.run(facts_of())

    assert finding.status is Status.OK


@pytest.mark.parametrize(
    ("replicas", "rolling_update", "beside"),
    [
        (1, None, True),
        (1, {}, True),
        (1, {"maxSurge": "25%", "maxUnavailable": "25%"}, True),
        (3, {"maxSurge": "25%", "maxUnavailable": "25%"}, True),
        (4, {"maxSurge": "25%", "maxUnavailable": "25%"}, False),
        (1, {"maxSurge": 1, "maxUnavailable": 0}, True),
        (1, {"maxSurge": "1%", "maxUnavailable": "99%"}, True),
        (1, {"maxSurge": 1, "maxUnavailable": "100%"}, False),
        (1, {"maxSurge": "0%", "maxUnavailable": "25%"}, False),
        (1, {"maxSurge": 0, "maxUnavailable": 1}, False),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down(
    replicas: int, rolling_update: dict[str, Any] | None, *, beside: bool
) -> None:
    strategy: dict[str, Any] = {"type": "RollingUpdate"}
    if rolling_update is not None:
        strategy["rollingUpdate"] = rolling_update
    manifest = {"metadata": {"name": "a"}, "spec": {"replicas": replicas, "strategy": strategy}}

    assert starts_beside(msgspec.convert(manifest, Deployment)) is beside
