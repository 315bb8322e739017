"""Judging: facts and checks in, findings and verdicts out. Pure: no API, no file, no clock."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from auditor.facts.parts import UndeclaredReadError, UnreadableError
from auditor.facts.store import Facts
from auditor.model import (
    MAX_SUBJECTS,
    CheckInfo,
    Finding,
    NotEvaluated,
    Severity,
    Status,
    Strictness,
    Verdict,
    VerdictLevel,
    Verdicts,
    Waiver,
    WaiverState,
    WaiverUse,
    Workload,
)
from auditor.registry import LOAD_FAILED, LoadFailure
from auditor.units.check import ALL_WORKLOADS, Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a site asks of its cluster.

    Attributes:
        workloads: the workloads to judge for.
        strictness: how severe a finding must be for a verdict to require it.
        parameters: values for the checks' parameters, by check id.
        waivers: the findings that the site accepts.
        today: the day against which waivers expire.
    """

    workloads: tuple[Workload, ...] = ALL_WORKLOADS
    strictness: Strictness = Strictness.STANDARD
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    today: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All that judging yields; run.py makes a Result of it."""

    findings: tuple[Finding, ...]
    verdicts: Verdicts
    checks: tuple[CheckInfo, ...]
    waivers: tuple[WaiverUse, ...]
    not_evaluated: tuple[NotEvaluated, ...]


def judge(facts: Facts, checks: Iterable[Check], policy: Policy, *, failures: Sequence[LoadFailure] = ()) -> Judgement:
    """Run the checks over the facts and draw the verdicts.

    Args:
        facts: what is known of the cluster.
        checks: the selected checks; those that concern none of the policy's workloads are left out.
        policy: what the site asks for.
        failures: plugins that could not be imported; each becomes an ``unknown`` finding.
    """
    concerned = [check for check in checks if check.workloads.keys() & set(policy.workloads)]
    findings = [finding for check in concerned for finding in judge_check(check, facts, policy)]
    findings += [_load_failed(failure, policy) for failure in failures]
    covered, uses = apply_waivers(findings, policy.waivers, today=policy.today)
    covered = tuple(_with_examples_only(finding) for finding in covered)
    return Judgement(
        findings=covered,
        verdicts=draw_verdicts(covered, policy),
        checks=tuple(_info(check, policy) for check in concerned),
        waivers=uses,
        not_evaluated=tuple(
            NotEvaluated(check=finding.check, status=finding.status, reason=finding.message)
            for finding in covered
            if finding.status in (Status.UNKNOWN, Status.SKIP)
        ),
    )


def judge_check(check: Check, facts: Facts, policy: Policy) -> list[Finding]:
    """The findings of one check, never none: what could not be told is ``unknown`` and says why."""
    yielded: list[Finding] = []
    try:
        for finding in check.run(facts.restricted_to(check.reads), policy.parameters.get(check.id)):
            yielded.append(finding)  # noqa: PERF402  what was yielded before an exception counts
    except UnreadableError as error:
        yielded.append(_unreadable(error))
    except UndeclaredReadError as error:
        yielded.append(_crashed(f"The check reads what it does not declare: {error}.", error))
    except Exception as error:  # noqa: BLE001  a crash of one check must not lose it or the others
        yielded.append(_crashed(f"The check crashed: {type(error).__name__}: {error}", error))
    if not yielded:
        yielded.append(Finding.unknown("The check came to no finding.", fix="Report this to the check's author."))
    return [_identified(finding, check, policy) for finding in yielded]


def apply_waivers(
    findings: Sequence[Finding], waivers: Sequence[Waiver], *, today: date
) -> tuple[tuple[Finding, ...], tuple[WaiverUse, ...]]:
    """Mark the findings that a waiver covers, and say what became of each waiver.

    The first waiver in force that matches covers a finding. A waiver with an object pattern covers a finding only if
    every one of its subjects matches, so that nothing hides behind "and 4,990 more".
    """
    matched = Counter[int]()
    covered = []
    for finding in findings:
        waivable = finding.status in (Status.WARN, Status.FAIL, Status.UNKNOWN)
        for number, waiver in enumerate(waivers):
            if not (waivable and _matches(waiver, finding)):
                continue
            matched[number] += 1
            if waiver.expires >= today and finding.waiver is None:
                finding = msgspec.structs.replace(finding, waiver=waiver)  # noqa: PLW2901
        covered.append(finding)
    uses = tuple(
        WaiverUse(waiver=waiver, state=_waiver_state(waiver, matched[number], today), findings=matched[number])
        for number, waiver in enumerate(waivers)
    )
    return tuple(covered), uses


def draw_verdicts(findings: Sequence[Finding], policy: Policy) -> Verdicts:
    """The verdict per workload, and overall the worst of them."""
    workloads = {workload: _verdict(findings, workload, policy.strictness) for workload in policy.workloads}
    worst = max((verdict.level for verdict in workloads.values()), key=lambda level: level.rank)
    names = [workload for workload, verdict in workloads.items() if verdict.level is worst]
    deciding = dict.fromkeys(id for name in names for id in workloads[name].deciding)  # noqa: A001
    overall = Verdict(
        level=worst,
        reason=f"{_listed(names)}: {worst}." if worst is not VerdictLevel.READY else "Every audited workload is ready.",
        deciding=tuple(deciding),
        counts=_counts(findings),
        waived=sum(finding.waiver is not None for finding in findings),
    )
    return Verdicts(overall=overall, workloads=workloads)


def _verdict(findings: Sequence[Finding], workload: Workload, strictness: Strictness) -> Verdict:
    concerning = [finding for finding in findings if workload in finding.workloads]
    counted = [finding for finding in concerning if finding.waiver is None]
    graded = [finding for finding in counted if finding.workloads[workload] is not Severity.INFO]
    required = [f for f in graded if f.workloads[workload].rank >= strictness.required_severity.rank]
    waived = [finding for finding in concerning if finding.waiver is not None]
    evaluated = bool(waived) or any(finding.status in (Status.OK, Status.WARN) for finding in required)
    level, reason, deciding = _decide(graded, required, evaluated=evaluated)
    return Verdict(
        level=level,
        reason=reason,
        deciding=tuple(dict.fromkeys(finding.check for finding in deciding)),
        counts=_counts(concerning),
        waived=len(waived),
    )


def _decide(
    graded: Sequence[Finding], required: Sequence[Finding], *, evaluated: bool
) -> tuple[VerdictLevel, str, Sequence[Finding]]:
    if failed := [f for f in required if f.status is Status.FAIL]:
        return VerdictLevel.NOT_READY, f"{_many(len(failed), 'required finding')} failed.", failed
    if unknown := [f for f in required if f.status is Status.UNKNOWN]:
        return (
            VerdictLevel.UNDETERMINED,
            f"{_many(len(unknown), 'required finding')} could not be told.",
            unknown,
        )
    if not evaluated:
        return VerdictLevel.UNDETERMINED, "No required check was evaluated.", ()
    if doubtful := [f for f in graded if f.status in (Status.WARN, Status.FAIL, Status.UNKNOWN)]:
        return VerdictLevel.READY_WITH_WARNINGS, f"{_many(len(doubtful), 'finding')} to look at.", doubtful
    return VerdictLevel.READY, "Every required finding is ok.", ()


def _identified(finding: Finding, check: Check, policy: Policy) -> Finding:
    costs = {workload: check.workloads[workload] for workload in policy.workloads if workload in check.workloads}
    return msgspec.structs.replace(
        finding,
        check=check.id,
        title=check.title,
        area=check.area,
        severity=max(costs.values(), key=lambda severity: severity.rank),
        workloads=costs,
        references=finding.references or check.references,
    )


def _with_examples_only(finding: Finding) -> Finding:
    if len(finding.subjects) <= MAX_SUBJECTS:
        return finding
    return msgspec.structs.replace(finding, subjects=finding.subjects[:MAX_SUBJECTS])


def _unreadable(error: UnreadableError) -> Finding:
    listed = error.part.object is None and error.part.view is not None
    remedy = {
        "forbidden": f"Grant {'list' if listed else 'get'} on {error.part}, then collect again.",
        "missing": f"Collect again with {error.part} included.",
        "failed": f"Collect again; {error.part} did not come whole.",
        "absent": f"Nothing to do if this cluster is not meant to serve {error.part}.",
    }
    return Finding.unknown(
        f"Could not be told: {error.part} is {error.status}.",
        fix=remedy.get(error.status.state),
        evidence={"part": str(error.part), "state": str(error.status.state), "reason": error.status.reason},
    )


def _crashed(message: str, error: Exception) -> Finding:
    return Finding.unknown(
        message,
        fix="Report this to the check's author, with the traceback in the evidence.",
        evidence={"traceback": "".join(traceback.format_exception(error))},
    )


def _load_failed(failure: LoadFailure, policy: Policy) -> Finding:
    return msgspec.structs.replace(
        Finding.unknown(
            f"The plugin {failure.name!r} ({failure.place}) could not be loaded: {failure.error}",
            fix="Repair or uninstall the plugin; its checks were not run.",
            evidence={"traceback": failure.traceback},
        ),
        check=LOAD_FAILED,
        title="Every plugin can be loaded",
        area="plugin",
        severity=Severity.HIGH,
        workloads=dict.fromkeys(policy.workloads, Severity.HIGH),
    )


def _matches(waiver: Waiver, finding: Finding) -> bool:
    if not fnmatchcase(finding.check, waiver.id):
        return False
    if waiver.object is None:
        return True
    return bool(finding.subjects) and all(fnmatchcase(str(s), waiver.object) for s in finding.subjects)


def _waiver_state(waiver: Waiver, findings: int, today: date) -> WaiverState:
    if waiver.expires < today:
        return WaiverState.EXPIRED
    return WaiverState.USED if findings else WaiverState.UNUSED


def _info(check: Check, policy: Policy) -> CheckInfo:
    return CheckInfo(
        id=check.id,
        title=check.title,
        area=check.area,
        severity=check.severity,
        workloads=dict(check.workloads),
        reads=tuple(str(part) for part in check.reads),
        manual=check.manual,
        aliases=check.aliases,
        parameters=check.parameters(policy.parameters.get(check.id)),
    )


def _counts(findings: Sequence[Finding]) -> dict[Status, int]:
    counts = Counter(finding.status for finding in findings if finding.waiver is None)
    return {status: counts[status] for status in Status}


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(names: Sequence[Workload]) -> str:
    return ", ".join(names)
