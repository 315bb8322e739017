"""What the observations of all probes have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Self

import msgspec

from auditor.facts.parts import Document


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a step did not reach its end, as the cluster tells it.

    Attributes:
        reason: one word: ``Unschedulable``, ``ImagePull``, ``UnboundClaim``, ``Quota``, ``Admission``, ``Timeout`` …
        message: a sentence that names the object and quotes the cluster.
        missing_permission: the verb and resource that the account lacks, where that is the cause.
        events: of the objects concerned, newest last.
        log_tail: the last lines of the pod concerned.
    """

    reason: str
    message: str
    missing_permission: str = ""
    events: tuple[str, ...] = ()
    log_tail: tuple[str, ...] = ()


class StepState(StrEnum):
    """How a step of a probe ended."""

    OK = "ok"
    FAILED = "failed"
    """It was tried and did not work, which says something about the cluster."""
    NOT_DONE = "not done"
    """It was not tried, or could not be; says why."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a probe.

    Attributes:
        name: kebab-case, stable: checks look for it.
        state: how it ended.
        seconds: how long it took, or was waited for.
        cause: why it did not work, or was not done.
        detail: what else was seen, such as ``{"before_bytes": 1073741824}``.
    """

    name: str
    state: StepState
    seconds: float = 0.0
    cause: Cause | None = None
    detail: dict[str, float | int | str | bool] = {}


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """How long many like things took, in seconds. Quantiles are of the samples themselves, by the nearest rank."""

    count: int
    p50_seconds: float
    p90_seconds: float
    p99_seconds: float
    max_seconds: float

    @classmethod
    def of(cls, samples_seconds: Sequence[float]) -> Self:
        """The summary of samples.

        Raises:
            ValueError: there are none.
        """
        if not samples_seconds:
            raise ValueError("no samples")
        ranked = sorted(samples_seconds)

        def quantile(share: float) -> float:
            return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

        return cls(
            count=len(ranked),
            p50_seconds=quantile(0.50),
            p90_seconds=quantile(0.90),
            p99_seconds=quantile(0.99),
            max_seconds=ranked[-1],
        )


class Observations(Document, frozen=True, kw_only=True):
    """Base of a probe's document.

    Attributes:
        started_at: when the probe began.
        took_seconds: how long it ran.
    """

    started_at: datetime
    took_seconds: float
