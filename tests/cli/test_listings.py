"""`auditor list`, `explain`, `completion`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from auditor.model import Workload
from auditor.registry import load_checks, load_reports

Run = Callable[..., Result]


def test_list_checks_as_json_says_what_programs_need(run: Run) -> None:
    listed = json.loads(run("list", "checks", "--format", "json").stdout)
    assert [entry["id"] for entry in listed] == [check.id for check in load_checks()]
    assert set(listed[0]) == {"id", "title", "area", "severity", "workloads", "reads"}


def test_list_shows_plain_columns_in_a_pipe(run: Run, checks_dir: Path) -> None:
    lines = run("list", "checks", "--checks-dir", checks_dir).stdout.splitlines()
    assert lines[0].split() == ["ID", "SEVERITY", "TITLE", "WORKLOADS"]
    assert next(line for line in lines if line.startswith("own.warns ")).split() == [
        "own.warns",
        "high",
        "Warns",
        "all",
    ]


def test_list_reports_profiles_and_workloads(run: Run) -> None:
    Path("auditor.yaml").write_text("profiles: {ours: {description: Our own., workloads: [spark, kafka]}}")
    reports = json.loads(run("list", "reports", "--format", "json").stdout)
    profiles = json.loads(run("list", "profiles", "--format", "json").stdout)
    workloads = json.loads(run("list", "workloads", "--format", "json").stdout)
    assert {entry["id"] for entry in reports} == {report.id for report in load_reports()}
    assert [entry["id"] for entry in profiles] == ["standard", "strict", "lenient", "ours"]
    assert [entry["id"] for entry in workloads] == list(Workload)
    assert "spark, kafka" in run("list", "profiles").stdout


def test_explain_shows_the_manual_and_the_value_in_force(run: Run, checks_dir: Path) -> None:
    Path("auditor.yaml").write_text("parameters:\n  OWN-1: {most: 9}\n")
    page = run("explain", "OWN-1", "--checks-dir", checks_dir).stdout
    assert page.startswith("# own.passes\n\n**Passes**\n\nPasses.\n\n## What it checks\nNothing.")
    assert "in force: `9` (auditor.yaml:2), default: `3`" in page
    assert page.index("## Parameters") < page.index("## References") < page.index("own.py:")


def test_explain_as_json(run: Run, checks_dir: Path) -> None:
    words = ["explain", "own.*", "--checks-dir", checks_dir, "--format", "json", "--param", "own.passes.most=4"]
    first, *_ = json.loads(run(*words).stdout)
    assert first["aliases"] == ["OWN-1"]
    assert first["parameters"][0] == {
        "name": "most",
        "type": "int",
        "value": 4,
        "default": 3,
        "description": "Most of them.",
        "source": "the test",
        "origin": "flag --param",
    }


def test_explain_without_an_id_shows_all_and_with_an_unknown_one_helps(run: Run) -> None:
    assert run("explain").stdout.count("\n## References\n") == len(load_checks())
    result = run("explain", "storage.defualt-class")
    assert result.exit_code == 2
    assert "'storage.default-class'" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_AUDITOR_COMPLETE" in result.stdout


def test_check_ids_complete_with_their_titles(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AUDITOR_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "auditor explain storage.def")
    monkeypatch.setenv("COMP_CWORD", "2")
    default_class = load_checks().get("storage.default-class")
    assert run().stdout.splitlines() == ["plain", default_class.id, default_class.title]
    monkeypatch.setenv("COMP_WORDS", "auditor ex")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert "explain" in run().stdout


def test_tables_and_manual_pages_are_laid_out_on_a_terminal(on_a_terminal: Callable[..., str]) -> None:
    table = on_a_terminal("list", "checks")
    assert "─" in table
    assert "storage.default-class" in table
    page = on_a_terminal("explain", "storage.default-class", NO_COLOR="1")
    assert "storage.default-class" in page
    assert "## " not in page
    assert "\x1b[3" not in page
