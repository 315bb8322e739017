"""How fast the API server does small things, and how regularly a lease can be renewed."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Latencies, Observations


class Failures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Requests of one kind that did not work, each asked once.

    Attributes:
        throttled: refused with 429.
        unanswered: that met an error of the server, or no answer at all.
        refused: for good, by admission or a quota.
        last: why the last one did not work.
    """

    throttled: int = 0
    unanswered: int = 0
    refused: int = 0
    last: Cause | None = None

    @property
    def count(self) -> int:
        """All of them."""
        return self.throttled + self.unanswered + self.refused


class LeaseRenewals(msgspec.Struct, frozen=True, kw_only=True):
    """A leader's life: one lease, renewed again and again.

    Attributes:
        every_seconds: between the beginnings of two renewals.
        for_seconds: from the first to the end.
        renewals: latencies of those that worked; None where none did.
        failed: renewals that did not work.
        longest_gap_seconds: between two that worked, one after the other; the beginning and the end count as such.
    """

    every_seconds: float
    for_seconds: float
    renewals: Latencies | None = None
    failed: Failures = Failures()
    longest_gap_seconds: float


class ApiObservations(Observations, frozen=True, kw_only=True):
    """``observations/api.json``. Requests are made one at a time, over a connection of their own.

    Attributes:
        way: latencies of ``GET /version``, which touches no object: the way there and back, for the most part.
        verbs: latencies by verb (create, get, list, patch, delete), of ConfigMaps of a few bytes.
        failed: requests that did not work, by verb.
        lease: None where its renewal could not begin.
        no_lease: why not.
    """

    part_id: ClassVar[str] = "observations/api.json"
    way: Latencies | None = None
    verbs: dict[str, Latencies]
    failed: dict[str, Failures] = msgspec.field(default_factory=dict)
    lease: LeaseRenewals | None = None
    no_lease: Cause | None = None
