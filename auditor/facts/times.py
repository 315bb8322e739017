"""Points in time as the API writes them."""

from __future__ import annotations

from datetime import datetime, timedelta

from auditor.facts.store import Facts


def parse_time(text: str) -> datetime:
    """A timestamp of the API (RFC 3339).

    Raises:
        ValueError: it is none, or it names no offset.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} names no offset from UTC")
    return found


def age_at_collection(facts: Facts, since: str | None) -> timedelta | None:
    """How long before the end of the collection that was; None where either is not known.

    Raises:
        ValueError: ``since`` is no timestamp.
    """
    if since is None or facts.origin.collected_at is None:
        return None
    return facts.origin.collected_at - parse_time(since)
