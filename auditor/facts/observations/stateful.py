"""Whether a StatefulSet keeps names, claims and order: a set of three, watched while its pods come and go."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Observations, Step

START = "start"
"""The first start of all replicas, in their order."""
KILL = "kill"
"""One pod is deleted, and comes back."""
DRAIN = "drain"
"""The pods of one node are evicted, one after another, as a drain does."""
REFUSAL = "second-eviction"
"""``ok`` where the eviction of another pod was refused while the first was not back."""
UPDATE = "update"
"""The template changes, and all pods are replaced."""
SCALE = "scale"
"""The last replica goes, its claim stays, and it comes back."""

STEPS = (START, KILL, DRAIN, REFUSAL, UPDATE, SCALE)
"""In the order in which they are done."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A replica at one time, as the API server and the replica itself tell it.

    Attributes:
        name: of the pod.
        uid: of the pod.
        node: on which it runs.
        addresses: of the pod.
        claim_uid: of its claim; empty without claims.
        hostname: that the container has.
        marker: that it found on its volume, or wrote where there was none; empty where it could not be told.
        written_by: the pod that wrote the marker.
        starts: how often it has started on this volume; 1 the first time.
        names_seconds: how long it waited, not Ready, until its own name and those of the replicas before it resolved;
            None where it gave that up.
        unresolved: names that did not resolve meanwhile, and what DNS said.
    """

    name: str
    uid: str
    node: str = ""
    addresses: tuple[str, ...] = ()
    claim_uid: str = ""
    hostname: str = ""
    marker: str = ""
    written_by: str = ""
    starts: int = 0
    names_seconds: float | None = None
    unresolved: dict[str, str] = {}


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """A replica that went and came back.

    Attributes:
        step: that made it go: ``kill``, ``drain``, ``update`` or ``scale``.
        before: the replica that went.
        after: the one that came; None where none became Ready.
        ready_seconds: from its going to being Ready again; in an update, and where none came, None.
        resolved_seconds: from its going until another replica resolved its name to the new address; None where that
            was not looked for or did not happen.
        observer: the replica that looked; empty where none did.
    """

    step: str
    before: Member
    after: Member | None = None
    ready_seconds: float | None = None
    resolved_seconds: float | None = None
    observer: str = ""


class StatefulObservations(Observations, frozen=True, kw_only=True):
    """``observations/stateful.json``.

    Attributes:
        storage_class: of the claims; empty where there was none to use.
        node_bound: whether the class keeps its volumes on the nodes' own disks, so that pods cannot move with them.
        replicas: of the set.
        steps: each of :data:`STEPS`, with the reason where it did not work.
        created: the pods in the order in which they were first seen.
        created_early: the pods that were there before all those before them were Ready, and which were not.
        members: the replicas after the first start.
        restarts: the replicas that went and came back, in their order.
        updated: the pods in the order in which they were first seen with the new template.
        most_down: how many replicas were not Ready at one time during the update.
        kept_claims: the names of the claims that were there while the set was scaled down.
    """

    part_id: ClassVar[str] = "observations/stateful.json"
    storage_class: str
    node_bound: bool = False
    replicas: int
    steps: tuple[Step, ...]
    created: tuple[str, ...] = ()
    created_early: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    members: tuple[Member, ...] = ()
    restarts: tuple[Restart, ...] = ()
    updated: tuple[str, ...] = ()
    most_down: int = 0
    kept_claims: tuple[str, ...] = ()

    def step(self, name: str) -> Step | None:
        """The step of that name; None where the document has none."""
        return next((step for step in self.steps if step.name == name), None)
