"""Text for a terminal, plain when piped: the verdict first, and again as the last line."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from auditor import Finding, Fix, Medium, Result, Status, report
from auditor.model import VerdictLevel, WaiverState, WaiverUse

from . import blocks, wording

FINDINGS_PER_STATUS = 3
EVIDENCE_CHARACTERS = 200

STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.FAIL: "bold red",
    Status.SKIP: "dim",
    Status.UNKNOWN: "magenta",
    VerdictLevel.READY: "bold green",
    VerdictLevel.READY_WITH_WARNINGS: "bold yellow",
    VerdictLevel.UNDETERMINED: "bold magenta",
    VerdictLevel.NOT_READY: "bold red",
}


@report("text", title="For a terminal", extension="txt")
def text(result: Result, medium: Medium) -> str:
    """The page as text of the medium's width, with colours where it takes them."""
    output = io.StringIO()
    console = Console(
        file=output,
        width=medium.width_columns,
        height=100,
        force_terminal=medium.color,
        color_system="standard" if medium.color else None,
        no_color=not medium.color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in _parts(blocks.page(result, findings_per_status=FINDINGS_PER_STATUS)):
        console.print(part, soft_wrap=isinstance(part, Text) and bool(part.no_wrap))
    return "\n".join(line.rstrip() for line in output.getvalue().split("\n"))


def _parts(page: blocks.Page) -> Iterator[RenderableType]:
    overall = page.result.verdicts.overall
    yield Text.assemble(_word(overall.level), f"  {overall.reason}")
    yield from _section("", _verdicts(page))
    yield from _section("", [_pairs(page.about)])
    yield from _section("Warnings of this run", [_row("▲", warning) for warning in page.result.warnings])
    yield from _section("Fix these first", _problems(page))
    yield from _section("Areas", _areas(page))
    yield from _section("Findings", _findings(page))
    yield from _section("Waivers", map(_waiver, page.waivers))
    yield from _section("Not evaluated", _gaps(page))
    yield from _section("Benchmarks", _benchmarks(page))
    yield from _section("How verdicts are drawn", [Text(" ".join(page.method))])
    yield Text(f"\nVerdict: {overall.level}", style=STYLES[overall.level])


def _section(title: str, content: Iterable[RenderableType]) -> Iterator[RenderableType]:
    """Title and content; nothing where there is no content."""
    for number, part in enumerate(content):
        if number == 0:
            yield Text(f"\n{title}" if title else "", style="bold")
        yield part if isinstance(part, Text) and part.no_wrap else Padding(part, (0, 0, 0, 2), expand=False)


def _verdicts(page: blocks.Page) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for workload, verdict in page.verdicts:
        waived = f" {verdict.waived} waived." if verdict.waived else ""
        table.add_row(_word(verdict.level), Text(workload), Text(verdict.reason + waived))
    if page.verdicts:
        yield table


def _problems(page: blocks.Page) -> Iterator[RenderableType]:
    for rank, problem in enumerate(page.problems, start=1):
        finding = problem.finding
        heading = Text.assemble(_word(finding.status), f" {finding.severity}  ", (finding.check, "bold"))
        yield _row(f"{rank}.", heading)
        yield _indented(finding.message)
        if problem.more:
            yield _indented(f"and {wording.many(problem.more, 'more finding')} like it")
        yield _indented(
            f"{'breaks' if finding.status is Status.FAIL else 'concerns'}: {wording.costs(finding.workloads)}"
        )
        yield from _fix(finding.fix)
    if page.problems_omitted:
        yield Text(f"and {wording.many(page.problems_omitted, 'more check')} with such findings, listed below")


def _areas(page: blocks.Page) -> Iterator[RenderableType]:
    if not page.areas:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("area")
    for status in blocks.WORST_FIRST:
        table.add_column(_word(status), justify="right")
    table.add_column("waived", justify="right")
    for area in page.areas:
        counts = [f"{area.counts[status]:,}" for status in blocks.WORST_FIRST]
        table.add_row(Text(area.name), *counts, f"{area.waived:,}")
    yield table


def _findings(page: blocks.Page) -> Iterator[RenderableType]:
    for group in page.loud:
        waived = Text(" waived", style="dim") if group.waived else Text("")
        heading = Text.assemble(_word(group.status), waived, f" {group.severity}  ", (group.id, "bold"))
        yield Text.assemble(heading, f"  {group.title}")
        for alike in group.alike:
            for finding in alike.findings:
                yield from _finding(finding)
            if alike.omitted:
                yield _indented(f"and {wording.many(alike.omitted, 'more finding')} with status {alike.status}")
        if settings := wording.parameters(group.check):
            yield _indented("parameters: " + ", ".join(f"{parameter.name} = {value}" for parameter, value in settings))
        if group.check:
            yield _indented(f"manual page: auditor explain {group.id}")
    for status in (Status.SKIP, Status.OK):
        if quiet := page.quiet(status):
            yield Text.assemble(
                _word(status), f"  {wording.many(len(quiet), 'check')}: ", ", ".join(g.id for g in quiet)
            )


def _finding(finding: Finding) -> Iterator[RenderableType]:
    mark = " (waived)" if finding.waiver else ""
    yield _indented(f"{wording.SYMBOLS[finding.status]} {finding.status}{mark}: {finding.message}")
    if finding.waiver:
        waiver = finding.waiver
        yield _indented(f"waived by {waiver.owner} until {waiver.expires}: {waiver.reason}", level=2)
    if finding.status is Status.OK:
        return
    if subjects := wording.subjects(finding):
        yield _indented(f"subjects: {subjects}", level=2)
    for label, seen in wording.evidence(finding):
        yield _indented(f"{label}: {_last_line(seen)}", level=2)
    if finding.status is Status.WARN or finding.waiver:
        yield from _fix(finding.fix)


def _last_line(seen: str) -> str:
    """The evidence on one line; of a traceback that is the error itself."""
    *others, last = seen.strip().split("\n")
    left_out = f" (last of {len(others) + 1} lines; all in result.json)" if others else ""
    return wording.clip(last, EVIDENCE_CHARACTERS) + left_out


def _fix(fix: Fix | None) -> Iterator[RenderableType]:
    if fix is None:
        return
    yield _indented(f"fix: {fix.text}")
    for line in (fix.command or "").splitlines():
        yield Text(f"       $ {line}", no_wrap=True, overflow="ignore")


def _waiver(use: WaiverUse) -> RenderableType:
    waiver = use.waiver
    state = {
        WaiverState.EXPIRED: Text(f"EXPIRED on {waiver.expires}", style="bold red"),
        WaiverState.UNUSED: Text("UNUSED", style="bold yellow"),
        WaiverState.USED: Text("used", style="dim"),
    }[use.state]
    scope = f" on {waiver.object}" if waiver.object else ""
    matched = f"{wording.many(use.findings, 'finding')}; until {waiver.expires}; owner {waiver.owner}; {waiver.reason}"
    return Text.assemble(state, f"  {waiver.id}{scope}: {matched}")


def _gaps(page: blocks.Page) -> Iterator[RenderableType]:
    for gap in page.gaps:
        yield _row(_word(gap.status), Text(f"{', '.join(gap.checks)}: {gap.reason}"))
    if page.gaps_omitted:
        yield Text(f"and {wording.many(page.gaps_omitted, 'more reason')}; all are in result.json")


def _benchmarks(page: blocks.Page) -> Iterator[RenderableType]:
    for benchmark in page.result.benchmarks:
        yield Text.assemble((benchmark.id, "bold"), f"  {benchmark.title}")
        if not benchmark.validity.valid:
            gates = "; ".join(benchmark.validity.broken_gates)
            yield _indented(f"✗ INVALID, not graded: {gates}")
        for metric in benchmark.metrics:
            yield _indented(f"{metric.name}: {wording.median(metric)}")


def _pairs(pairs: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for label, value in pairs:
        table.add_row(Text(label, style="dim"), Text(value))
    return table


def _row(label: Text | str, body: Text | str) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_row(Text.assemble(label), Text.assemble(body))
    return table


def _indented(line: str, *, level: int = 1) -> RenderableType:
    return Padding(Text(line), (0, 0, 0, 1 + 2 * level), expand=False)


def _word(word: Status | VerdictLevel) -> Text:
    return Text(f"{wording.SYMBOLS[word]} {word}", style=STYLES[word])
