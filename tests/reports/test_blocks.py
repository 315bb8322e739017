"""The order and the choice of what reports show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib import import_module
from typing import Any

import pytest
from msgspec.structs import replace

from auditor import Finding, Result, Severity, Status
from auditor.model import Waiver

blocks = import_module("auditor.reports.blocks")
wording = import_module("auditor.reports.wording")

WAIVER = Waiver(id="*", reason="r", owner="o", expires=date(2026, 1, 1))


def finding(check: str, status: Status, *, severity: Severity = Severity.HIGH, waived: bool = False) -> Finding:
    made = Finding.of(status, f"{check} is {status}")
    area = check.partition(".")[0]
    return replace(made, check=check, area=area, severity=severity, waiver=WAIVER if waived else None)


def page(result: Result, findings: Sequence[Finding], *, findings_per_status: int = 2) -> Any:
    return blocks.page(replace(result, findings=tuple(findings)), findings_per_status=findings_per_status)


def test_groups_come_worst_first_and_waived_ones_before_the_quiet(least: Result) -> None:
    made = page(
        least,
        [
            finding("a.ok", Status.OK, severity=Severity.CRITICAL),
            finding("a.skip", Status.SKIP),
            finding("a.waived", Status.FAIL, severity=Severity.CRITICAL, waived=True),
            finding("a.warn", Status.WARN),
            finding("a.unknown", Status.UNKNOWN),
            finding("a.fail-low", Status.FAIL, severity=Severity.LOW),
            finding("a.fail-high", Status.FAIL),
        ],
    )

    assert [group.id for group in made.groups] == [
        "a.fail-high",
        "a.fail-low",
        "a.unknown",
        "a.warn",
        "a.waived",
        "a.skip",
        "a.ok",
    ]
    assert [group.id for group in made.groups if group.quiet] == ["a.skip", "a.ok"]


def test_a_group_of_which_all_doubtful_findings_are_waived_is_waived_and_not_quiet(least: Result) -> None:
    [group] = page(least, [finding("a.b", Status.OK), finding("a.b", Status.FAIL, waived=True)]).groups

    assert (group.status, group.waived, group.quiet) == (Status.FAIL, True, False)


def test_a_group_counts_by_its_worst_finding_that_is_not_waived(least: Result) -> None:
    [group] = page(least, [finding("a.b", Status.FAIL, waived=True), finding("a.b", Status.WARN)]).groups

    assert (group.status, group.waived) == (Status.WARN, False)


def test_a_group_shows_the_first_findings_of_each_status_and_counts_the_others(least: Result) -> None:
    [group] = page(least, [finding("a.b", Status.FAIL)] * 5 + [finding("a.b", Status.OK)]).groups

    assert [(alike.status, len(alike.findings), alike.omitted) for alike in group.alike] == [
        (Status.FAIL, 2, 3),
        (Status.OK, 1, 0),
    ]


def test_problems_are_what_failed_or_is_unknown_and_counts(least: Result) -> None:
    made = page(
        least,
        [
            finding("a.unknown", Status.UNKNOWN, severity=Severity.CRITICAL),
            finding("a.fail", Status.FAIL, severity=Severity.LOW),
            finding("a.fail", Status.FAIL, severity=Severity.LOW),
            finding("a.worse", Status.FAIL, severity=Severity.HIGH),
            finding("a.waived", Status.FAIL, waived=True),
            finding("a.info", Status.FAIL, severity=Severity.INFO),
            finding("a.warn", Status.WARN),
        ],
    )

    assert [(problem.finding.check, problem.more) for problem in made.problems] == [
        ("a.worse", 0),
        ("a.fail", 1),
        ("a.unknown", 0),
    ]


def test_problems_beyond_the_first_ten_are_counted(least: Result) -> None:
    made = page(least, [finding(f"a.n{number}", Status.FAIL) for number in range(13)])

    assert (len(made.problems), made.problems_omitted) == (10, 3)


def test_areas_count_waived_findings_apart(least: Result) -> None:
    made = page(
        least,
        [finding("b.x", Status.FAIL), finding("a.x", Status.FAIL, waived=True), finding("a.y", Status.OK)],
    )

    assert [(area.name, area.counts[Status.FAIL], area.counts[Status.OK], area.waived) for area in made.areas] == [
        ("a", 0, 1, 1),
        ("b", 1, 0, 0),
    ]


def test_anchors_are_check_ids_where_these_can_be_one(least: Result) -> None:
    made = page(least, [finding("a.b", Status.OK), finding("no id", Status.OK), finding("", Status.OK)])

    assert made.anchors["a.b"] == "a.b"
    assert len(set(made.anchors.values())) == 3
    assert all(" " not in anchor and anchor for anchor in made.anchors.values())


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.012345, "0.0123"), (18.24, "18.2"), (999.4, "999"), (1234.5, "1,234"), (1_000_000.0, "1,000,000")],
)
def test_numbers_have_three_digits_or_whole_thousands(value: float, shown: str) -> None:
    assert wording.number(value) == shown


def test_a_clipped_text_says_so() -> None:
    assert wording.clip("abcdef", 6) == "abcdef"
    assert wording.clip("abcdefg", 6) == "abcdef… (cut; 7 characters in result.json)"
