"""Result folders: whole or not at all, and ``latest`` that points at the newest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from auditor.config.settings import defaults
from auditor.errors import OutputError, ResultError, UsageError
from auditor.model import Result
from auditor.result_folder import read_result, write_result_folder
from auditor.results import dump_result
from auditor.run import audit_bundle


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """The result of a bundle in which nothing is known."""
    (tmp_path / "bundle" / "resources").mkdir(parents=True)
    return audit_bundle(tmp_path / "bundle", defaults().settings, now=datetime(2026, 11, 23, 8, 15, tzinfo=UTC))


def test_latest_points_at_the_newest(tmp_path: Path, result: Result) -> None:
    root = tmp_path / "results"
    first = write_result_folder(result, root)
    later = msgspec.structs.replace(result, run=msgspec.structs.replace(result.run, id="20261123T091500Z-000000"))
    second = write_result_folder(later, root)
    assert (root / "latest").readlink() == Path(second.name)
    assert dump_result(read_result(root / "latest")) == dump_result(later)
    assert dump_result(read_result(first / "result.json")) == dump_result(result)
    assert "<html" in (first / "report.html").read_text()
    assert sorted(path.name for path in root.iterdir()) == sorted([first.name, second.name, "latest"])


def test_a_run_is_never_overwritten(tmp_path: Path, result: Result) -> None:
    write_result_folder(result, tmp_path / "results")
    with pytest.raises(OutputError):
        write_result_folder(result, tmp_path / "results")


def test_a_folder_called_latest_is_left_alone(tmp_path: Path, result: Result) -> None:
    root = tmp_path / "results"
    (root / "latest").mkdir(parents=True)
    with pytest.raises(OutputError, match="latest"):
        write_result_folder(result, root)
    assert (root / "latest").is_dir()
    assert not list(root.glob(".*"))


def test_a_place_that_cannot_be_written_keeps_nothing(tmp_path: Path, result: Result) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_result_folder(result, tmp_path / "file" / "results")


def test_what_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no result"):
        read_result(tmp_path)
    (tmp_path / "result.json").mkdir()
    with pytest.raises(ResultError, match="cannot be read"):
        read_result(tmp_path)
