"""What the checks of the storage probe share: which classes it proved, how their steps ended, how findings say so."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from auditor import Facts, Finding, Subject
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.storage import (
    BIND,
    NO_CLASS,
    NO_SUCH_ABILITY,
    NODE_BOUND,
    NOT_SERVED,
    ClassObservation,
    StorageObservations,
)

from .._wording import examples, listed
from ._classes import Need

_DOES_NOT_APPLY = {NO_SUCH_ABILITY, NODE_BOUND, NO_CLASS, NOT_SERVED}
"""Reasons of a step that was not taken, and need not be: what is missing is judged elsewhere, or by design."""

_NOT_THE_STORAGE = {
    "Admission",
    "Conflict",
    "Container",
    "Evicted",
    "Forbidden",
    "ImagePull",
    "LimitRange",
    "Log",
    "Missing",
    "PodNetwork",
    "PodSecurity",
    "PriorityClass",
    "Quota",
    "Unreachable",
    "Unscheduled",
    "Webhook",
}
"""Reasons that kept the probe from its proof, and say nothing about volumes."""

_FOR_VOLUMES = re.compile(r"nodes are available:(?!.*(insufficient|too many pods)).*(volume|free storage)", re.I | re.S)
"""What the scheduler says where volumes alone keep a pod from every node."""

_QUOTED_CHARACTERS = 400

Seen = dict[str, tuple[ClassObservation, Step]]
"""Classes by name, each with one step."""


@dataclass(slots=True)
class Outcomes:
    """How one step ended, by class.

    Attributes:
        ok: it worked.
        failed: it did not, and the storage is why.
    """

    ok: Seen = field(default_factory=dict)
    failed: Seen = field(default_factory=dict)
    _untold: Seen = field(default_factory=dict)
    _without: Seen = field(default_factory=dict)

    @classmethod
    def of(cls, document: StorageObservations, name: str) -> Outcomes:
        """The outcomes of a step; classes for which it was not planned are left out."""
        found = cls()
        for class_name, observation in sorted(document.classes.items()):
            step = observation.step(name)
            if step is not None:
                found._kind(step)[class_name] = (observation, step)
        return found

    def _kind(self, step: Step) -> Seen:
        cause = step.cause
        if step.state is StepState.OK:
            return self.ok
        if step.state is StepState.NOT_DONE:
            return self._without if cause and cause.reason in _DOES_NOT_APPLY else self._untold
        return self._untold if cause and is_not_the_storage(cause) else self.failed

    def only(self, names: Container[str]) -> Outcomes:
        """The outcomes of some classes."""
        kept = [{name: pair for name, pair in seen.items() if name in names} for seen in self._all()]
        return Outcomes(*kept)

    def _all(self) -> tuple[Seen, ...]:
        return self.ok, self.failed, self._untold, self._without

    def others(self, what: str) -> Iterator[Finding]:
        """The findings of classes of which nothing can be said, or nothing need be.

        Args:
            what: was to be proved, as a message goes on after "whether": ``volumes can grow``.
        """
        for reason, seen in _by_reason(self._untold):
            yield Finding.unknown(
                f"Whether {what}, of {classes(seen)}, could not be told ({reason}): {quoted(_first(seen))}.",
                subjects=subjects(seen),
                fix="Remove what kept the probe from its proof, and probe again.",
                evidence=evidence(seen),
            )
        for _, seen in _by_reason(self._without):
            yield Finding.skip(
                f"Whether {what}, of {classes(seen)}, was not tried: {quoted(_first(seen))}.", subjects=subjects(seen)
            )


def volumes(facts: Facts) -> StorageObservations:
    """The observations of the storage probe.

    Raises:
        UnreadableError: storage was not probed.
    """
    return cast("StorageObservations", facts.document(StorageObservations))


def nothing_proved(document: StorageObservations, step: str = BIND) -> Iterator[Finding]:
    """The finding of every check where no class was probed.

    Args:
        document: of the probe.
        step: that every class which was probed has taken, or tried.
    """
    if any(observation.step(step) for observation in document.classes.values()):
        return
    if not document.left_out and not document.classes:
        yield Finding.skip("The cluster has no StorageClass, so that there is nothing to prove.")
        return
    reasons = {**dict.fromkeys(document.classes, "its volumes are made by hand"), **document.left_out}
    names = sorted(reasons)
    yield Finding.unknown(
        f"No StorageClass was probed; left out {'was' if len(names) == 1 else 'were'} {listed(names)}: "
        f"{'; '.join(sorted(set(reasons.values())))}.",
        subjects=subjects(names),
        fix="Name the classes of data systems in the probe's option storage_classes, and probe again.",
        evidence=examples(dict(sorted(reasons.items()))),
    )


def failures(seen: Seen, what: str, *, fix: str) -> Iterator[Finding]:
    """One finding per need and reason: a class that nobody needs comes to a warning.

    Args:
        seen: what failed.
        what: goes before the classes: ``Volumes cannot grow``.
        fix: one imperative.
    """
    for need in Need:
        group = {name: pair for name, pair in seen.items() if need_of(pair[0]) is need}
        for reason, alike in _by_reason(group):
            yield Finding.of(
                need.status,
                f"{what}, of {classes(alike, need)} ({reason}): {quoted(_first(alike))}.",
                subjects=subjects(alike),
                fix=fix,
                evidence=evidence(alike),
            )


def need_of(observation: ClassObservation) -> Need:
    """Why the class matters."""
    if observation.is_default:
        return Need.DEFAULT
    return Need.USED if observation.is_used else Need.UNUSED


def classes(names: Iterable[str], need: Need | None = None) -> str:
    """``StorageClass a``, ``the default StorageClass a``, ``StorageClasses a and b (in use)``."""
    known = sorted(names)
    text = f"{'StorageClass' if len(known) == 1 else 'StorageClasses'} {listed(known)}"
    if need is None:
        return text
    return f"the default {text}" if need is Need.DEFAULT else f"{text} ({need})"


def subjects(names: Iterable[str]) -> list[Subject]:
    """The classes as subjects."""
    return [Subject(kind="StorageClass", name=name) for name in sorted(names)]


def evidence(seen: Seen) -> dict[str, object]:
    """What was seen of each class: seconds, details, the cluster's own words."""
    return examples({name: _told(step) for name, (_, step) in seen.items()})


def longest(seen: Seen) -> float:
    """The seconds of the step that took longest."""
    return max(step.seconds for _, step in seen.values())


def late(seen: Seen, limit_seconds: float) -> Seen:
    """Those that took longer."""
    return {name: (observation, step) for name, (observation, step) in seen.items() if step.seconds > limit_seconds}


def quoted(text: str) -> str:
    """A message of the cluster's as half a sentence: on one line, not too long, without its full stop."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _QUOTED_CHARACTERS else f"{line[:_QUOTED_CHARACTERS].rstrip()} …"


def is_not_the_storage(cause: Cause) -> bool:
    """Whether something else kept the probe from its proof: images, quotas, admission, room on the nodes."""
    if cause.missing_permission or cause.reason in _NOT_THE_STORAGE:
        return True
    return cause.reason == "Unschedulable" and not _FOR_VOLUMES.search(cause.message)


def _by_reason(seen: Seen) -> Sequence[tuple[str, Seen]]:
    found: defaultdict[str, Seen] = defaultdict(dict)
    for name, (observation, step) in seen.items():
        found[step.cause.reason if step.cause else "Unknown"][name] = (observation, step)
    return sorted(found.items())


def _first(seen: Seen) -> str:
    """What the cluster says of the first."""
    cause = next(iter(seen.values()))[1].cause
    return cause.message if cause and cause.message else "no reason was given"


def _told(step: Step) -> Mapping[str, object]:
    told: dict[str, object] = {"seconds": step.seconds, **step.detail}
    if step.cause:
        told["cause"] = step.cause.message
        if step.cause.events:
            told["events"] = list(step.cause.events)
        if step.cause.log_tail:
            told["log"] = list(step.cause.log_tail)
    return told
