"""How fast the API server does small things, and how regularly a lease can be renewed."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Latencies, Observations


class LeaseRenewals(msgspec.Struct, frozen=True, kw_only=True):
    """A leader's life: one lease, renewed again and again.

    Attributes:
        every_seconds: between the beginnings of two renewals.
        renewals: latencies of those that worked.
        failed: renewals that did not work.
        longest_gap_seconds: between two that worked, one after the other.
    """

    every_seconds: float
    renewals: Latencies
    failed: int
    longest_gap_seconds: float


class ApiObservations(Observations, frozen=True, kw_only=True):
    """``observations/api.json``.

    Attributes:
        verbs: latencies by verb (create, get, list, patch, delete), of ConfigMaps, one request at a time.
        failed: requests that failed, by verb.
        lease: None where its renewal could not begin.
    """

    part_id: ClassVar[str] = "observations/api.json"
    verbs: dict[str, Latencies]
    failed: dict[str, int]
    lease: LeaseRenewals | None = None
