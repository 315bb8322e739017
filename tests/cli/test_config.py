"""`auditor config show` and `validate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_show_says_where_each_value_comes_from(run: Run, monkeypatch: pytest.MonkeyPatch, checks_dir: Path) -> None:
    Path("auditor.yaml").write_text(
        f"profile: strict\nchecks_dirs: ['{checks_dir}']\nparameters:\n  own.passes:\n    most: 5\n"
        "waivers:\n- {id: own.fails, reason: r, owner: o, expires: 2026-12-31}\n"
    )
    monkeypatch.setenv("AUDITOR_FAIL_ON", "warn")
    shown = json.loads(run("config", "show", "--for", "spark,kafka", "--format", "json").stdout)
    assert shown["workloads"] == {"value": ["spark", "kafka"], "origin": "flag --for"}
    assert shown["fail_on"] == {"value": "warn", "origin": "environment AUDITOR_FAIL_ON"}
    assert shown["profile"] == {"value": "strict", "origin": "auditor.yaml:1"}
    assert shown["strictness"] == {"value": "strict", "origin": "profile strict"}
    assert shown["format"] == {"value": "text", "origin": "default"}
    assert shown["own.passes.most"] == {"value": 5, "origin": "auditor.yaml:5"}
    assert shown["waivers[0]"]["value"]["expires"] == "2026-12-31"
    assert shown["waivers[0]"]["origin"] == "auditor.yaml:7"
    rows = [line.split("  ") for line in run("config", "show").stdout.splitlines()]
    assert ["profile", "strict", "auditor.yaml:1"] in [[cell.strip() for cell in row if cell.strip()] for row in rows]


def test_show_warns_of_a_misspelt_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_STRICTNES", "strict")
    monkeypatch.setenv("AUDITOR_SERVICE_HOST", "10.0.0.1")
    result = run("config", "show")
    assert result.exit_code == 0
    assert "AUDITOR_STRICTNES is not used. Did you mean AUDITOR_STRICTNESS?" in result.stderr
    assert "SERVICE_HOST" not in result.stderr


def test_validate_says_ok_or_what_is_wrong(run: Run) -> None:
    Path("auditor.yaml").write_text("version: 1\n")
    assert run("config", "validate").output == "auditor.yaml: ok\n"
    Path("other.yaml").write_text("version: 1\nprofle: strict\nworkloads: [sprak]\n")
    result = run("config", "validate", "other.yaml")
    assert result.exit_code == 2
    assert "other.yaml:2: Unknown key 'profle'. Did you mean 'profile'?" in result.stderr
    assert "other.yaml:3: 'sprak' is not one of:" in result.stderr


def test_a_named_file_must_exist(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("config", "show", "--config", "nowhere.yaml").exit_code == 2
    monkeypatch.setenv("AUDITOR_CONFIG", "nowhere-else.yaml")
    result = run("config", "show")
    assert result.exit_code == 2
    assert "nowhere-else.yaml" in result.stderr
