"""How everything that a run creates is marked, so that any later run can find and remove it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "auditor"
RUN = "cluster-readiness-auditor/run"
EXPIRES = "cluster-readiness-auditor/expires"
"""Seconds since 1970, UTC: after that the run counts as dead."""
PROBE = "cluster-readiness-auditor/probe"
"""The probe or benchmark that an object belongs to."""

ALL = f"{MANAGED_BY}={MANAGER},{RUN}"
"""Selects what any run created, and not the roles that `auditor rbac` prints."""


def new_run_id() -> str:
    """Ten characters that may stand in any name and label."""
    return secrets.token_hex(5)


def of_run(run_id: str) -> str:
    """Selects what one run created."""
    return f"{MANAGED_BY}={MANAGER},{RUN}={run_id}"


def marks(run_id: str, *, expires_at: datetime, probe: str = "") -> dict[str, str]:
    """The labels of an object of a run."""
    own = {MANAGED_BY: MANAGER, RUN: run_id, EXPIRES: str(int(expires_at.timestamp()))}
    return own | ({PROBE: probe} if probe else {})


def expiry(labels: dict[str, str]) -> datetime | None:
    """When the run of an object counts as dead; None where the label was lost or damaged."""
    text = labels.get(EXPIRES, "")
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None


def expires_after(minutes: float, *, now: datetime) -> datetime:
    """The expiry of a run that begins now."""
    return now + timedelta(minutes=minutes)
