"""What holds for every report, also for a third party's."""

from __future__ import annotations

import re

import msgspec
import pytest

from auditor import Medium, Result
from auditor.model import VerdictLevel
from auditor.registry import load_reports
from auditor.units.report import Report

RESULTS = ("recorded", "least", "hostile", "large")
REPORTS = list(load_reports())
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

every_report = pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.id)
every_result = pytest.mark.parametrize("result", RESULTS)


def test_the_built_in_reports_are_there() -> None:
    assert not load_reports().failures
    assert {"html", "json", "junit", "markdown", "text"} <= {report.id for report in REPORTS}


@every_report
@every_result
def test_it_renders(report: Report, result: str, request: pytest.FixtureRequest) -> None:
    rendered = report.render(request.getfixturevalue(result))

    assert rendered.encode("utf-8").strip()
    assert rendered.endswith("\n")


@every_report
def test_it_gives_the_same_twice(report: Report, recorded: Result) -> None:
    assert report.render(recorded) == report.render(recorded)


@every_report
def test_it_names_the_cluster_the_verdict_and_every_check_to_look_at(report: Report, recorded: Result) -> None:
    rendered = report.render(recorded, Medium(width_columns=400))

    assert recorded.cluster.name in rendered
    assert "not ready" in rendered.lower()
    missing = {finding.check for finding in recorded.findings if finding.check not in rendered}
    assert missing == set()


@every_report
@pytest.mark.parametrize("level", VerdictLevel)
def test_it_knows_every_verdict(report: Report, level: VerdictLevel, least: Result) -> None:
    overall = msgspec.structs.replace(least.verdicts.overall, level=level)
    verdicts = msgspec.structs.replace(least.verdicts, overall=overall)

    assert level in report.render(msgspec.structs.replace(least, verdicts=verdicts)).lower()


@every_report
def test_it_passes_no_control_character_on(report: Report, hostile: Result) -> None:
    assert not CONTROL_CHARACTERS.search(report.render(hostile)) or report.id == "json"


def test_json_escapes_control_characters(hostile: Result) -> None:
    rendered = next(report for report in REPORTS if report.id == "json").render(hostile)

    assert not re.search(r"[\x00-\x09\x0b-\x1f]", rendered)
