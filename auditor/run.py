"""The order of a run: select the checks, read what they need, judge, and put a Result together."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import auditor
from auditor.bundle import read_bundle
from auditor.config.schema import FailOn
from auditor.config.settings import Settings
from auditor.errors import UnknownIdError
from auditor.facts.parts import Part
from auditor.facts.store import Facts
from auditor.facts.vendor import VENDOR_PARTS, detect_vendor, served_groups
from auditor.judge import Judgement, Policy, judge
from auditor.model import (
    RESULT_VERSION,
    ClusterSummary,
    ExitCode,
    Result,
    RunInfo,
    Severity,
    Status,
    Tool,
    VerdictLevel,
)
from auditor.registry import Registry, load_checks
from auditor.units.check import Check

TOOL_NAME = "cluster-readiness-auditor"
REDACTED = "[redacted]"

_SENSITIVE = r"(?i:token|passw(?:or)?d|passphrase|secret|credential|api-?_?key|private-?_?key|bearer)"
_SECRET_OPTION = re.compile(rf"-[^=]*{_SENSITIVE}[^=]*")
_SECRET_ASSIGNMENT = re.compile(rf"(?P<name>(?:[^=]+=)*?[^=]*{_SENSITIVE}[^=]*=).+", re.DOTALL)
_USER_INFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s]+@")

log = logging.getLogger(__name__)


def audit_bundle(
    bundle: Path,
    settings: Settings,
    *,
    now: datetime,
    command: Sequence[str] = (),
    checks: Registry[Check] | None = None,
    warnings: Sequence[str] = (),
) -> Result:
    """Judge a bundle.

    Args:
        bundle: its folder or archive.
        settings: what is in force.
        now: when the run starts; waivers expire against its day.
        command: the command line; secrets in it are redacted.
        checks: all checks that were found; they are loaded where this is not given.
        warnings: what a reader of the result must know of the configuration.

    Raises:
        UsageError: there is nothing at the path.
        BundleError: the bundle cannot be read.
        UnknownIdError: a glob of the selection matches no check.
    """
    start_s = time.monotonic()
    checks = checks if checks is not None else load_checks(map(Path, settings.checks_dirs))
    chosen = select_checks(checks, settings)
    log.info("reading %s for %d checks", bundle, len(chosen))
    facts = read_bundle(bundle, _parts(chosen))
    log.info("judging for %s", ", ".join(settings.workloads))
    judgement = judge(facts, chosen, policy_of(settings, now), failures=checks.failures)
    finished_at = now + timedelta(seconds=time.monotonic() - start_s)
    run = RunInfo(
        id=run_id(now),
        started_at=now,
        finished_at=finished_at,
        profile=settings.profile,
        strictness=settings.strictness,
        workloads=settings.workloads,
        command=redact_command(command),
        source=_as_utf8(str(bundle)),
    )
    left_out = _selection_warnings(checks, settings)
    return _result(run, facts, judgement, warnings=(*facts.origin.warnings, *warnings, *left_out))


def select_checks(checks: Registry[Check], settings: Settings) -> list[Check]:
    """The checks that the settings ask for and that concern at least one of the workloads, in the registry's order.

    Raises:
        UnknownIdError: a glob matches no check, and no plugin failed to load that might have brought it.
    """
    wanted = _matching(checks, settings.select) if settings.select else {check.id for check in checks}
    unwanted = _matching(checks, settings.skip)
    audited = set(settings.workloads)
    return [check for check in checks if check.id in wanted - unwanted and check.workloads.keys() & audited]


def needed_parts(settings: Settings, checks: Registry[Check]) -> list[Part]:
    """The parts that the selected checks read, and those that say which cluster it is."""
    return _parts(select_checks(checks, settings))


def policy_of(settings: Settings, now: datetime) -> Policy:
    """What judging needs of the settings."""
    return Policy(
        workloads=settings.workloads,
        strictness=settings.strictness,
        parameters=settings.parameters,
        waivers=settings.waivers,
        today=now.date(),
    )


def exit_code(result: Result, *, fail_on: FailOn, exit_zero: bool = False) -> ExitCode:
    """What a result says to the shell.

    A finding that is waived, or of severity info, never counts.

    Args:
        result: the result.
        fail_on: from which status on a finding counts.
        exit_zero: say OK whatever was found; errors are not results and keep their codes.
    """
    statuses = {
        finding.status
        for finding in result.findings
        if finding.waiver is None and finding.severity is not Severity.INFO
    }
    if exit_zero:
        return ExitCode.OK
    if Status.FAIL in statuses:
        return ExitCode.FAIL
    if result.verdicts.overall.level is VerdictLevel.UNDETERMINED:
        return ExitCode.UNDETERMINED
    if fail_on is FailOn.WARN and Status.WARN in statuses:
        return ExitCode.WARN
    return ExitCode.OK


def run_id(now: datetime) -> str:
    """An id that sorts by time and is unique, such as ``20261123T081500Z-4f0a1c``."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def redact_command(command: Sequence[str]) -> tuple[str, ...]:
    """A command line whose values of options such as ``--token`` and ``db.password=…`` are hidden."""
    redacted = []
    hide_next = False
    for word in map(_as_utf8, command):
        if hide_next and not word.startswith("--"):
            redacted.append(REDACTED)
            hide_next = False
            continue
        hidden = _SECRET_ASSIGNMENT.sub(rf"\g<name>{REDACTED}", word)
        redacted.append(_USER_INFO.sub(rf"\g<scheme>{REDACTED}@", hidden))
        hide_next = _SECRET_OPTION.fullmatch(word) is not None
    return tuple(redacted)


def _as_utf8(word: str) -> str:
    """A word from the command line; bytes that are no UTF-8, which paths may hold, become U+FFFD."""
    return word.encode(errors="surrogateescape").decode(errors="replace")


def _parts(chosen: Sequence[Check]) -> list[Part]:
    """What the checks read, and what the vendor is told from where no check reads it."""
    parts = {part: None for check in chosen for part in check.reads}
    asked = {part.key for part in parts}
    return [*parts, *(part for part in VENDOR_PARTS if part.key not in asked)]


def _result(run: RunInfo, facts: Facts, judgement: Judgement, *, warnings: Sequence[str]) -> Result:
    origin = facts.origin
    return Result(
        version=RESULT_VERSION,
        tool=Tool(name=TOOL_NAME, version=auditor.__version__),
        run=run,
        cluster=ClusterSummary(
            name=_as_utf8(origin.name),
            description=origin.description,
            server_version=origin.server_version,
            vendor=detect_vendor(facts, api_groups=served_groups(facts)),
            collected_at=origin.collected_at,
            counts=facts.counts(),
        ),
        verdicts=judgement.verdicts,
        findings=judgement.findings,
        checks=judgement.checks,
        waivers=judgement.waivers,
        not_evaluated=judgement.not_evaluated,
        warnings=tuple(map(_as_utf8, warnings)),
    )


def _matching(checks: Registry[Check], patterns: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        try:
            found |= {check.id for check in checks.matching([pattern])}
        except UnknownIdError:
            if not checks.failures:
                raise
    return found


def _selection_warnings(checks: Registry[Check], settings: Settings) -> list[str]:
    concerned = {check.id for check in checks if check.workloads.keys() & set(settings.workloads)}
    left_out = len(concerned) - len(select_checks(checks, settings))
    if not left_out:
        return []
    given = [f"{name} {', '.join(globs)}" for name in ("select", "skip") if (globs := getattr(settings, name))]
    return [f"{left_out} of {len(concerned)} checks for these workloads were left out ({'; '.join(given)})."]
