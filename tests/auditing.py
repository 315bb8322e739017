"""Auditing a cluster in a test: collect, judge, and what the findings come to, without the words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.cluster import Limits
from auditor.config.settings import DEFAULTS, Settings
from auditor.model import Finding, Result, Status
from auditor.reading_plan import plan
from auditor.registry import load_checks
from auditor.run import audit_bundle, needed_parts
from auditor.units.check import Check
from tests.collecting import collected
from tests.testbed.layout import KUBECONFIG

LIMITS = Limits(request_timeout_seconds=10, deadline_seconds=30, requests_per_second=500, parallel_requests=4)

Parameters = dict[str, dict[str, Any]]
"""Values by check id and name."""

Outcome = tuple[str, Status]
"""A check's id, and the status of one of its findings."""


def static_checks() -> tuple[str, ...]:
    """The ids of the checks that need nothing but what is read."""
    return tuple(check.id for check in load_checks() if not _reads(check, "observations/", "measurements/"))


def observing_checks() -> tuple[str, ...]:
    """The ids of the checks that judge what probes observe."""
    return tuple(check.id for check in load_checks() if _reads(check, "observations/"))


def settings(*check_ids: str, parameters: Parameters | None = None) -> Settings:
    """The defaults, for these checks only."""
    given = {name: getattr(DEFAULTS, name) for name in DEFAULTS.__struct_fields__}
    return Settings(**{**given, "select": check_ids, "parameters": parameters or {}})


def audit(bundle: Path, *check_ids: str, kubeconfig: Path = KUBECONFIG) -> Result:
    """Read the cluster into ``bundle``, and judge it."""
    wanted = settings(*check_ids)
    collected(plan(needed_parts(wanted, load_checks())), bundle, kubeconfig=kubeconfig, limits=LIMITS)
    return judged(bundle, *check_ids)


def judged(bundle: Path, *check_ids: str, parameters: Parameters | None = None) -> Result:
    """Judge a bundle."""
    return audit_bundle(bundle, settings(*check_ids, parameters=parameters), now=datetime.now(UTC))


def discontent(findings: Iterable[Finding]) -> set[Outcome]:
    """What is wrong or cannot be told."""
    bad = (Status.FAIL, Status.WARN, Status.UNKNOWN)
    return {(finding.check, finding.status) for finding in findings if finding.status in bad}


def _reads(check: Check, *folders: str) -> bool:
    return any(part.id.startswith(folders) for part in check.reads)
