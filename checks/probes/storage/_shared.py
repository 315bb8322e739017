"""One volume, two pods on two nodes: do they see each other's files, and each other's locks?"""

from __future__ import annotations

from typing import Any

from auditor.facts.observations import Cause
from auditor.facts.observations.storage import LOST, NO_SUCH_ABILITY, ONE_NODE
from auditor.sandbox import Trouble, TroubleError
from auditor.sandbox.agent_pods import run_all

from . import _objects as objects
from ._life import CLAIM, Life, quietly
from ._steps import Detail, FailedError, NotDoneError

WAIT_SECONDS = 45.0
"""For each pod, until the other has done its part; a network file system may show a new file after 30 s."""


def share(life: Life, detail: Detail) -> None:
    """Claim a volume for many, and let two pods on two nodes use it at once."""
    if not life.chosen.is_shared:
        raise NotDoneError(NO_SUCH_ABILITY, "its provisioner is not known to make volumes for several nodes")
    nodes = _two_nodes(life)
    detail["nodes"] = ", ".join(nodes)
    name = life.name("shared")
    claim = objects.claim(life.sandbox, life.cls, name, size_bytes=life.chosen.bytes, shared=True)
    life.sandbox.create(claim)
    pods = [
        objects.sharer(life.sandbox, life.name(role), name, role=role, node=node, seconds=_seconds(life))
        for role, node in zip(("first", "second"), nodes, strict=True)
    ]
    try:
        said = run_all(life.sandbox, pods, seconds=2 * _seconds(life), at_once=len(pods))
    finally:
        quietly(lambda: life.sandbox.delete(CLAIM, name))
    _judge(said, detail)


def _seconds(life: Life) -> float:
    """A pod may wait for the other's node to pull the image."""
    return max(WAIT_SECONDS, life.sandbox.settings.patience_seconds)


def _two_nodes(life: Life) -> list[str]:
    """Two nodes, in two zones where there are several."""
    if len(life.nodes) < 2:
        raise NotDoneError(ONE_NODE, "the pods of this site can run on one node only")
    first = life.nodes[0]
    other = next((node for node in life.nodes if node.zone != first.zone), life.nodes[1])
    return [first.name, other.name]


def _judge(said: dict[str, list[dict[str, Any]] | Trouble], detail: Detail) -> None:
    troubles = [outcome for outcome in said.values() if isinstance(outcome, Trouble)]
    if troubles:
        raise TroubleError(troubles[0])
    parts = {each["role"]: each for outcome in said.values() if not isinstance(outcome, Trouble) for each in outcome}
    second = parts["second"]
    detail |= {key: second[key] for key in ("read", "kept_out", "locked_later") if key in second}
    if not (second["met"] and parts["first"]["met"]):
        raise FailedError(Cause(reason=LOST, message="one pod did not see what the other wrote"))
    if not second["read"]:
        raise FailedError(Cause(reason=LOST, message="the second pod read other bytes than the first wrote"))
