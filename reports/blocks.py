"""Blocks: what every report shows, in which order, before any format enters.

A page is made once from a result; text, Markdown, HTML and JUnit only lay it out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from auditor.model import (
    CheckInfo,
    ClusterSummary,
    Finding,
    Result,
    Severity,
    Status,
    Vendor,
    Verdict,
    WaiverState,
    WaiverUse,
    Workload,
)

from . import wording

WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.SKIP, Status.OK)
DOUBTFUL = (Status.FAIL, Status.UNKNOWN, Status.WARN)

MAX_PROBLEMS = 10
"""So many entries at most stand under "Fix these first"."""

MAX_GAPS = 50
"""So many reasons at most stand under "Not evaluated"."""

_CHECK_ID = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One entry of "Fix these first": the first of a check's findings with one status.

    Attributes:
        finding: the finding to show.
        anchor: of its check on the page.
        more: how many further findings its check has with that status.
    """

    finding: Finding
    anchor: str
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Findings per status in one area; waived ones are counted apart."""

    name: str
    counts: Mapping[Status, int]
    waived: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """The findings of one check with one status, the first few of them.

    Attributes:
        status: theirs.
        findings: the ones to show.
        omitted: how many more there are.
    """

    status: Status
    findings: Sequence[Finding]
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All findings of one check.

    Attributes:
        id: of the check.
        anchor: unique on the page; the check's id where that can be one.
        title: the healthy state.
        severity: the worst over the audited workloads.
        workloads: what a failure costs each.
        status: the worst that counts; the worst that is waived where nothing else is doubtful.
        waived: whether every doubtful finding is waived.
        alike: the findings, worst first, waived ones after those that count.
        check: the check itself, where the result holds it.
    """

    id: str
    anchor: str
    title: str
    severity: Severity
    workloads: Mapping[Workload, Severity]
    status: Status
    waived: bool
    alike: Sequence[Alike]
    check: CheckInfo | None

    @property
    def quiet(self) -> bool:
        """Whether a report may fold it: nothing in it is doubtful, not even waived."""
        return self.status not in DOUBTFUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What was not evaluated for one reason, and the checks that it concerns."""

    status: Status
    reason: str
    checks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A result as reports lay it out.

    Attributes:
        result: with every text made printable.
        verdicts: per workload, worst first.
        about: what was audited, how and when, as label and value.
        problems: "Fix these first".
        problems_omitted: how many more there are.
        areas: by name.
        groups: the findings by check, worst first.
        gaps: what was not evaluated, unknown before skipped.
        gaps_omitted: how many more there are.
        waivers: expired, then unused, then used.
        method: how verdicts are drawn, in sentences.
        anchors: anchor on the page by check id.
    """

    result: Result
    verdicts: Sequence[tuple[Workload, Verdict]]
    about: Sequence[tuple[str, str]]
    problems: Sequence[Problem]
    problems_omitted: int
    areas: Sequence[Area]
    groups: Sequence[Group]
    gaps: Sequence[Gap]
    gaps_omitted: int
    waivers: Sequence[WaiverUse]
    method: Sequence[str]
    anchors: Mapping[str, str] = field(repr=False)

    @property
    def loud(self) -> Sequence[Group]:
        """The groups that a reader has to look at."""
        return [group for group in self.groups if not group.quiet]

    def quiet(self, status: Status) -> Sequence[Group]:
        """The groups of that status that may be folded."""
        return [group for group in self.groups if group.quiet and group.status == status]


def page(result: Result, *, findings_per_status: int) -> Page:
    """Lay a result out.

    Args:
        result: what to report.
        findings_per_status: how many findings a group shows of each status; the others are counted.
    """
    result = wording.printable(result)
    ordered = sorted(result.findings, key=_worst_first)
    by_check: dict[str, list[Finding]] = defaultdict(list)
    for finding in ordered:
        by_check[finding.check].append(finding)
    anchors = {check: _anchor(check, number) for number, check in enumerate(by_check)}
    infos = {info.id: info for info in result.checks}
    groups = [
        _group(findings, anchor=anchors[check], info=infos.get(check), limit=findings_per_status)
        for check, findings in by_check.items()
    ]
    problems, gaps = _problems(ordered, anchors), _gaps(result)
    return Page(
        result=result,
        verdicts=sorted(result.verdicts.workloads.items(), key=lambda item: -item[1].level.rank),
        about=_about(result),
        problems=problems[:MAX_PROBLEMS],
        problems_omitted=len(problems[MAX_PROBLEMS:]),
        areas=_areas(ordered),
        groups=sorted(groups, key=_loudest_first),
        gaps=gaps[:MAX_GAPS],
        gaps_omitted=len(gaps[MAX_GAPS:]),
        waivers=sorted(result.waivers, key=lambda use: _WAIVER_ORDER.index(use.state)),
        method=wording.method(result.run.strictness),
        anchors=anchors,
    )


_WAIVER_ORDER = (WaiverState.EXPIRED, WaiverState.UNUSED, WaiverState.USED)


def _worst_first(finding: Finding) -> tuple[bool, int, int, str]:
    """Waived findings of a check come after those that count; ties keep the result's order."""
    return (
        finding.waiver is not None,
        WORST_FIRST.index(finding.status),
        -finding.severity.rank,
        finding.check,
    )


def _loudest_first(group: Group) -> tuple[bool, bool, int, int]:
    return (group.quiet, group.waived, WORST_FIRST.index(group.status), -group.severity.rank)


def _anchor(check: str, ordinal: int) -> str:
    return check if _CHECK_ID.fullmatch(check) else f"unnamed.{ordinal}"


def _group(findings: Sequence[Finding], *, anchor: str, info: CheckInfo | None, limit: int) -> Group:
    doubtful = [finding for finding in findings if finding.status in DOUBTFUL]
    counting = [finding for finding in doubtful if finding.waiver is None]
    worst = next(iter(counting or doubtful or findings))
    return Group(
        id=worst.check,
        anchor=anchor,
        title=worst.title,
        severity=worst.severity,
        workloads=worst.workloads,
        status=worst.status,
        waived=worst.waiver is not None,
        alike=_alike(findings, limit),
        check=info,
    )


def _alike(findings: Iterable[Finding], limit: int) -> list[Alike]:
    by_status: dict[tuple[Status, bool], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_status[finding.status, finding.waiver is not None].append(finding)
    return [
        Alike(status=status, findings=found[:limit], omitted=len(found[limit:]))
        for (status, _), found in by_status.items()
    ]


def _problems(ordered: Iterable[Finding], anchors: Mapping[str, str]) -> list[Problem]:
    by_check: dict[tuple[str, Status], list[Finding]] = defaultdict(list)
    for finding in ordered:
        counts = finding.waiver is None and finding.severity is not Severity.INFO
        if counts and finding.status in (Status.FAIL, Status.UNKNOWN):
            by_check[finding.check, finding.status].append(finding)
    return [
        Problem(finding=found[0], anchor=anchors[check], more=len(found) - 1) for (check, _), found in by_check.items()
    ]


def _areas(findings: Iterable[Finding]) -> list[Area]:
    counts: dict[str, Counter[Status]] = defaultdict(Counter)
    waived = Counter[str]()
    for finding in findings:
        counts[finding.area][finding.status] += finding.waiver is None
        waived[finding.area] += finding.waiver is not None
    return [Area(name=name, counts=counts[name], waived=waived[name]) for name in sorted(counts)]


def _gaps(result: Result) -> list[Gap]:
    checks: dict[tuple[Status, str], dict[str, None]] = defaultdict(dict)
    for gap in result.not_evaluated:
        checks[gap.status, gap.reason][gap.check] = None
    gaps = [Gap(status=status, reason=reason, checks=tuple(ids)) for (status, reason), ids in checks.items()]
    return sorted(gaps, key=lambda gap: WORST_FIRST.index(gap.status))


def _about(result: Result) -> list[tuple[str, str]]:
    cluster, run = result.cluster, result.run
    pairs = [
        ("cluster", cluster.name),
        ("description", cluster.description),
        ("server version", cluster.server_version),
        ("vendor", _vendor(cluster.vendor) if cluster.vendor else ""),
        ("size", _size(cluster)),
        ("collected", wording.moment(cluster.collected_at) if cluster.collected_at else ""),
        ("judged", wording.moment(run.started_at)),
        ("profile", f"{run.profile}, strictness {run.strictness}"),
        ("workloads", ", ".join(run.workloads)),
        ("bundle", run.source),
        ("command", " ".join(run.command)),
        ("run", run.id),
        ("tool", f"{result.tool.name} {result.tool.version}"),
    ]
    return [(label, value or "not known") for label, value in pairs if value or label in _ALWAYS_SAID]


_ALWAYS_SAID = ("cluster", "server version", "vendor", "collected")
"""What a reader must see to be missing."""


def _vendor(vendor: Vendor) -> str:
    return f"{vendor.name} ({'; '.join(vendor.evidence)})" if vendor.evidence else vendor.name


def _size(cluster: ClusterSummary) -> str:
    known = [(kind.partition("/")[2], count) for kind, count in cluster.counts.items() if kind in _SIZES]
    if not cluster.counts:
        return ""
    objects = wording.many(sum(cluster.counts.values()), "object")
    total = f"{objects} of {wording.many(len(cluster.counts), 'resource type')} read"
    return ", ".join([*(f"{count:,} {plural}" for plural, count in known), total])


_SIZES = ("core/namespaces", "core/nodes", "core/persistentvolumeclaims", "core/pods")
