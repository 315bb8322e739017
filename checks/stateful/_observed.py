"""What the checks of the stateful probe share: its document, and how findings speak of steps that were not done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from auditor import Facts, Finding
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.stateful import START, Restart, StatefulObservations

OWN_REASONS = frozenset(
    {"Admission", "Conflict", "Forbidden", "ImagePull", "LimitRange", "PodSecurity", "PriorityClass", "Quota"}
)
"""What keeps the probe's own pods away, and says nothing of how the cluster treats those of data systems."""

_OWN_WORDS = ("exceeded quota", "violates PodSecurity", "denied the request", "maximum", "minimum")
"""The same, as the StatefulSet controller quotes it in an event."""


def observed(facts: Facts) -> StatefulObservations:
    """The observations of the stateful probe.

    Raises:
        UnreadableError: there are none.
    """
    return cast("StatefulObservations", facts.document(StatefulObservations))


def is_own(cause: Cause) -> bool:
    """Whether a step failed for a reason of the probe's own."""
    refused = cause.reason == "Refused" and any(words in cause.message for words in _OWN_WORDS)
    return cause.reason in OWN_REASONS or refused


def said(step: Step | None) -> str:
    """Why a step did not work, as the cluster tells it, without a full stop."""
    if step is None:
        return "the probe did not come to it"
    return step.cause.message.rstrip(". ") if step.cause else "no reason was given"


def told(step: Step | None) -> dict[str, object]:
    """The same as evidence."""
    if step is None or step.cause is None:
        return {}
    seen = {"reason": step.cause.reason, "events": list(step.cause.events), "log": list(step.cause.log_tail)}
    return {key: value for key, value in seen.items() if value}


def is_done(step: Step | None) -> bool:
    """Whether a step came to its end as it should."""
    return step is not None and step.state is StepState.OK


def not_started(document: StatefulObservations, what: str) -> Iterator[Finding]:
    """The finding of checks that need a set that has started, where it has not."""
    if not is_done(start := document.step(START)):
        yield Finding.unknown(
            f"{what} cannot be told, because the probe's StatefulSet did not start: {said(start)}.",
            fix="Remove what kept the StatefulSet from starting, and probe again.",
            evidence=told(start),
        )


def not_tried(step: Step | None, what: str) -> Finding:
    """The finding for a step that the probe could not do."""
    lacks = step.cause.missing_permission if step is not None and step.cause else ""
    fix = f"Give the account that probes the right to {lacks}, and probe again." if lacks else "Probe again."
    return Finding.unknown(f"{what} cannot be told: {said(step)}.", fix=fix, evidence=told(step))


def of_step(document: StatefulObservations, name: str) -> list[Restart]:
    """The replicas that went and came back in a step."""
    return [restart for restart in document.restarts if restart.step == name]


def short(name: str) -> str:
    """``replica 1`` for the pod ``sts-0f3c-1``: names of one run say nothing to readers of another."""
    return f"replica {name.rpartition('-')[2]}"


def in_order(names: Sequence[str]) -> str:
    """``0, 1, 2``."""
    return ", ".join(name.rpartition("-")[2] for name in names)
