"""JUnit XML, for the test tab of a CI system: one suite per area, one case per finding.

A failed finding is a failure, an unknown one an error; skipped and waived ones are skipped with the reason; warnings
pass and are kept in the case's output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree

from auditor import Finding, Medium, Result, Status, report

from . import wording


@report("junit", title="For the test tab of a CI system", extension="xml")
def junit(result: Result, medium: Medium) -> str:  # noqa: ARG001  the same on every medium
    """The findings as JUnit XML."""
    result = wording.printable(result)
    by_area: dict[str, list[Finding]] = defaultdict(list)
    for finding in result.findings:
        by_area[finding.area].append(finding)
    root = ElementTree.Element("testsuites", name=f"{result.cluster.name}: {result.verdicts.overall.level}")
    for area in sorted(by_area):
        root.append(_suite(area, by_area[area], timestamp=f"{result.run.started_at:%Y-%m-%dT%H:%M:%S}"))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(area: str, findings: Sequence[Finding], *, timestamp: str) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=area, timestamp=timestamp, time="0", tests=str(len(findings)))
    for finding in findings:
        suite.append(_case(finding))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _case(finding: Finding) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=finding.check, name=_name(finding), time="0")
    if finding.waiver is not None:
        accepted = f"Waived by {finding.waiver.owner} until {finding.waiver.expires}: {finding.waiver.reason}"
        ElementTree.SubElement(case, "skipped", message=f"{accepted} ({finding.status}: {finding.message})")
    elif finding.status is Status.SKIP:
        ElementTree.SubElement(case, "skipped", message=finding.message)
    elif finding.status is Status.FAIL:
        _outcome(case, "failure", finding)
    elif finding.status is Status.UNKNOWN:
        _outcome(case, "error", finding)
    elif finding.status is Status.WARN:
        ElementTree.SubElement(case, "system-out").text = f"warn: {finding.message}\n{_details(finding)}"
    return case


def _outcome(case: ElementTree.Element, tag: str, finding: Finding) -> None:
    outcome = ElementTree.SubElement(case, tag, message=finding.message, type=f"{finding.status}.{finding.severity}")
    outcome.text = _details(finding)


def _name(finding: Finding) -> str:
    """The message, after the subject where the message does not name it."""
    first = next(iter(finding.subjects), None)
    if first is None or first.name in finding.message:
        return finding.message
    return f"{first}: {finding.message}"


def _details(finding: Finding) -> str:
    lines = [finding.title, f"severity: {finding.severity}", f"breaks: {wording.costs(finding.workloads)}"]
    if subjects := wording.subjects(finding):
        lines.append(f"subjects: {subjects}")
    lines += [f"{label}: {text}" for label, text in wording.evidence(finding)]
    if finding.fix:
        lines.append(f"fix: {finding.fix.text}")
        if finding.fix.command:
            lines.append(f"command: {finding.fix.command}")
    return "\n".join(lines)
