"""`auditor demo` and `auditor report`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from auditor.registry import load_reports

Run = Callable[..., Result]


def test_demo_writes_a_report_and_says_that_it_is_not_the_users_cluster(run: Run) -> None:
    Path("auditor.yaml").write_text("this: is not read")
    result = run("demo")
    assert result.exit_code == 0, result.stderr
    first, *_, verdict, report = result.stdout.splitlines()
    assert "not yours" in first
    assert verdict.startswith("Verdict: ")
    assert Path(report.removeprefix("Report: ")).is_file()
    assert Path("auditor-results/latest").is_symlink()
    assert run("demo").exit_code == 0
    assert len([path for path in Path("auditor-results").iterdir() if not path.is_symlink()]) == 2


def test_demo_that_cannot_write_is_an_error(run: Run) -> None:
    Path("file").write_text("")
    assert run("demo", "--output-dir", "file/results").exit_code == 1


@pytest.mark.parametrize("report", [report.id for report in load_reports()])
def test_report_renders_a_result_as_check_does(run: Run, bundle: Path, report: str) -> None:
    assert run("check", bundle, "--output-dir", "results", "-q").exit_code == 3
    rendered = run("report", "results/latest", "--format", report)
    assert rendered.exit_code == 0, rendered.stderr
    assert rendered.stdout == run("report", "results/latest/result.json", "--format", report).stdout
    assert rendered.stdout


def test_report_writes_a_file(run: Run, bundle: Path) -> None:
    run("check", bundle, "-o", "result.json", "-q")
    assert run("report", "result.json", "-o", "again.json").exit_code == 0
    assert json.loads(Path("again.json").read_text()) == json.loads(Path("result.json").read_text())


def test_report_of_what_is_no_result(run: Run) -> None:
    Path("result.json").write_text("{}")
    assert run("report", "result.json").exit_code == 1
    assert run("report", "nowhere").exit_code == 2
    assert run("report", "result.json", "--format", "htlm").exit_code in (1, 2)
