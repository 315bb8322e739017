"""What the checks of the scheduler probe share: its document, and what to say where an experiment was not done."""

from __future__ import annotations

from typing import cast

from auditor import Facts, Finding
from auditor.facts.observations import Cause, Step
from auditor.facts.observations.scheduler import SchedulerObservations

FAULTS_OF_THE_CLUSTER = ("PodNetwork", "Timeout", "Unscheduled")
"""Causes for which a pod that could have started did not. Full nodes, quotas and images are no fault of theirs."""


def observed(facts: Facts) -> SchedulerObservations:
    """The observations of the scheduler probe.

    Raises:
        UnreadableError: it was not run.
    """
    return cast("SchedulerObservations", facts.document(SchedulerObservations))


def not_told(what: str, step: Step | None) -> Finding:
    """The finding for an experiment that gave no answer: ``Whether … cannot be told: why``."""
    cause = step.cause if step is not None else None
    if cause is None:
        return Finding.unknown(
            f"{what} cannot be told: the probe did not try it.", fix="Run the scheduler probe again."
        )
    if cause.missing_permission:
        return Finding.unknown(
            f"{what} cannot be told: the account may not {cause.missing_permission}.",
            fix="Grant the account what the probe needs.",
            command="auditor rbac --probes",
        )
    return Finding.unknown(
        f"{what} cannot be told: {said(cause)}.",
        fix="Remove what kept the probe from trying it, and probe again.",
        evidence=evidence(cause),
    )


def said(cause: Cause) -> str:
    """The cause in the cluster's words, fit for the middle of a sentence."""
    text = " ".join(cause.message.split()).rstrip(".").replace("{", "(").replace("}", ")")
    return f"{text} ({cause.reason})"


def evidence(cause: Cause) -> dict[str, object]:
    """The cause for programs and for those who look closer."""
    return {"reason": cause.reason, "events": list(cause.events[-5:])}
