"""What became of the sandbox after the probes: whether the cluster removed what it was asked to remove."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Observations


class LeftBehind(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object that could not be removed.

    Attributes:
        kind: of the object.
        name: of the object.
        namespace: None where its kind has none.
        reason: why, as the cluster tells it.
        command: that would remove it.
        missing_permission: what the account lacks, where that is why.
        is_kept: whether it was there before the run, which only used it, and is to be kept.
    """

    kind: str
    name: str
    reason: str
    namespace: str | None = None
    command: str = ""
    missing_permission: str = ""
    is_kept: bool = False


class SandboxObservations(Observations, frozen=True, kw_only=True):
    """``observations/sandbox.json``: written when the sandbox has been removed; its times are those of the removal.

    Attributes:
        run_id: of the run, as its labels say.
        namespace: in which the probes ran.
        removed: how many objects are gone, by kind.
        left: those that are not.
        unseen: what could not be looked at, so that something may be left there: the resource, and why.
        notes: what else was done.
    """

    part_id: ClassVar[str] = "observations/sandbox.json"
    run_id: str
    namespace: str
    removed: dict[str, int]
    left: tuple[LeftBehind, ...] = ()
    unseen: dict[str, str] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()
