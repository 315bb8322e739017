"""Results keep loading, say clearly what is wrong with them, and match their published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import results
from auditor.errors import ResultError
from auditor.model import RESULT_VERSION, Status, VerdictLevel, WaiverState
from auditor.results import dump_result, load_result, schema

ROOT = Path(__file__).parents[1]
RECORDED = sorted((ROOT / "tests/data/results").glob("*.json"))
V1 = ROOT / "tests/data/results/v1.json"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_was_recorded_loads_and_survives_writing(path: Path) -> None:
    result = load_result(path.read_bytes(), name=path.name)

    assert result.version == RESULT_VERSION
    assert load_result(dump_result(result), name="again") == result


def test_the_recorded_result_of_version_1_still_means_the_same() -> None:
    result = load_result(V1.read_bytes(), name="v1.json")

    assert result.verdicts.overall.level is VerdictLevel.NOT_READY
    assert {finding.status for finding in result.findings} == set(Status)
    assert {use.state for use in result.waivers} == set(WaiverState)
    assert [finding.check for finding in result.findings if finding.waiver] == ["dns.replicas"]
    assert [benchmark.validity.valid for benchmark in result.benchmarks] == [True, False]


def test_equal_results_give_equal_bytes_that_people_can_read() -> None:
    data = dump_result(load_result(V1.read_bytes(), name="v1.json"))

    assert data == dump_result(load_result(data, name="again"))
    assert data.startswith(b'{\n  "version": 1,\n')
    assert data.endswith(b"}\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "truncated"),
        (V1.read_bytes()[:1000], "truncated"),
        (b"not JSON", "malformed"),
        (b"\xff\xfe{}", "malformed"),
        (b'{"version": 1, "tool": "\xff"}', "can't decode"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `version`"),
        (b'{"version": "1"}', "`$.version`"),
        (b'{"version": 0}', "version 0, which has never existed"),
        (b'{"version": 99}', "version 99; this auditor reads versions up to 1"),
        (b'{"version": 1}', "missing required field `tool`"),
        (b'{"version": 1, "tool": {"name": 7, "version": "0.1.0"}}', "`$.tool.name`"),
        (b'{"version": 1, "tool":' + b"[" * 100_000, "ecursion"),
    ],
)
def test_what_is_no_result_is_refused_with_the_place_and_a_next_step(data: bytes, said: str) -> None:
    with pytest.raises(ResultError) as refused:
        load_result(data, name="some/result.json")

    assert refused.value.what.startswith("some/result.json ")
    assert said in refused.value.what
    assert refused.value.next_step


def test_the_path_in_the_file_is_named() -> None:
    document = json.loads(V1.read_bytes())
    document["findings"][2]["status"] = "good"

    with pytest.raises(ResultError, match=r"'good' - at `\$\.findings\[2\]\.status`"):
        load_result(json.dumps(document).encode(), name="result.json")


def test_fields_of_a_later_release_of_the_same_version_are_ignored() -> None:
    document = json.loads(V1.read_bytes())
    document["weather"] = "fine"
    document["findings"][0]["mood"] = {"of": ["the", "day"]}

    assert load_result(json.dumps(document).encode(), name="x") == load_result(V1.read_bytes(), name="x")


def test_older_results_go_through_every_upgrade_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "verdicts": document["verdict_list"], "version": 2}

    def add(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "warnings": ["upgraded"], "version": 3}

    document = json.loads(V1.read_bytes())
    document["verdict_list"] = document.pop("verdicts")
    monkeypatch.setattr(results, "RESULT_VERSION", 3)
    monkeypatch.setattr(results, "UPGRADES", {1: rename, 2: add})

    assert load_result(json.dumps(document).encode(), name="old").warnings == ("upgraded",)


def test_every_older_version_has_an_upgrade() -> None:
    assert set(results.UPGRADES) == set(range(1, RESULT_VERSION))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_results_match_the_schema(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    written = dump_result(load_result(path.read_bytes(), name=path.name))

    assert list(validator.iter_errors(json.loads(path.read_bytes()))) == []
    assert list(validator.iter_errors(json.loads(written))) == []


def test_the_schema_is_itself_valid_and_refuses_what_is_no_result() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    document = json.loads(V1.read_bytes())

    assert not validator.is_valid({**document, "version": RESULT_VERSION + 1})
    assert not validator.is_valid({**document, "findings": [{"status": "good", "message": "?"}]})


def test_the_published_schema_is_up_to_date() -> None:
    script = ROOT / "docs/generate/result_schema.py"
    ran = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
