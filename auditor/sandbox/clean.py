"""Removing what runs left behind: found by labels, followed to the last volume, and counted."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.cluster import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """An object of a run that could not be removed.

    Attributes:
        kind: of the object.
        name: of the object.
        namespace: None where its kind has none.
        reason: why.
        command: that would remove it.
    """

    kind: str
    name: str
    namespace: str | None
    reason: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What became of the objects of a run.

    Attributes:
        removed: how many are gone, by kind.
        left: those that are not.
    """

    removed: dict[str, int]
    left: tuple[Leftover, ...] = ()


def remove_run(objects: Objects, run_id: str, *, namespace: str = "", seconds: float = 180) -> Removal:
    """Remove everything of one run, and wait until it is gone.

    Args:
        objects: the cluster's.
        run_id: of the run.
        namespace: the existing one that it used; empty: it made its own, which goes too.
        seconds: after that, what is still there counts as left.
    """
    raise NotImplementedError
