"""Leases as clocks: when one was renewed, and when all of them were read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from statistics import median_high

from auditor.facts.kube.coordination import Lease
from auditor.facts.times import parse_time


def renewed_at(lease: Lease) -> datetime | None:
    """When its holder last renewed it, by the holder's clock; None where that is not said.

    Raises:
        ValueError: the time is none.
    """
    return parse_time(lease.spec.renew_time) if lease.spec.renew_time else None


def read_at(leases: Iterable[Lease]) -> datetime | None:
    """About when the leases were read, some ten seconds early: the middle of those that are renewed every ten seconds.

    The end of a collection may be minutes later, and is by another clock.

    Raises:
        ValueError: a time is none.
    """
    renewals = [renewed_at(lease) for lease in leases if lease.is_of_node or lease.is_of_api_server]
    known = [time for time in renewals if time is not None]
    return median_high(known) if known else None
