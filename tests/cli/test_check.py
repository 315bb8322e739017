"""`auditor check`: exit codes, formats, files, and errors that end with the right code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
OnATerminal = Callable[..., str]

OK, ERROR, USAGE, FAIL, WARN, UNDETERMINED = range(6)


@pytest.mark.parametrize(
    ("selected", "flags", "expected"),
    [
        ("own.passes", [], OK),
        ("own.warns", [], OK),
        ("own.warns", ["--fail-on", "warn"], WARN),
        ("own.fails", [], FAIL),
        ("own.fails,own.cannot-tell", [], FAIL),
        ("own.cannot-tell", [], UNDETERMINED),
        ("own.cannot-tell,own.warns", ["--fail-on", "warn"], UNDETERMINED),
        ("own.fails", ["--exit-zero"], OK),
        ("own.cannot-tell", ["--exit-zero"], OK),
        ("own.warns", ["--fail-on", "warn", "--exit-zero"], OK),
    ],
)
def test_the_findings_decide_the_exit_code(
    run: Run, bundle: Path, checks_dir: Path, selected: str, flags: list[str], expected: int
) -> None:
    result = run("check", bundle, "--checks-dir", checks_dir, "--select", selected, *flags)
    assert result.exit_code == expected, result.output


def test_exit_zero_hides_no_error(run: Run, tmp_path: Path, bundle: Path) -> None:
    assert run("check", tmp_path / "nowhere", "--exit-zero").exit_code == USAGE
    assert run("check", bundle, "--select", "nothing", "--exit-zero").exit_code == USAGE
    (bundle / "manifest.json").write_text("{")
    assert run("check", bundle, "--exit-zero").exit_code == ERROR


def test_no_bundle_is_a_usage_error_that_names_the_path(run: Run) -> None:
    result = run("check", "nowhere")
    assert result.exit_code == USAGE
    assert result.stderr.startswith("error: ")
    assert "nowhere" in result.stderr
    assert result.stdout == ""


def test_a_damaged_archive_is_an_error(run: Run, tmp_path: Path) -> None:
    archive = tmp_path / "bundle.tar.gz"
    archive.write_bytes(b"\x1f\x8b\x08\x00 not really")
    result = run("check", archive)
    assert result.exit_code == ERROR
    assert "bundle.tar.gz" in result.stderr


def test_json_goes_to_stdout_and_nothing_else(run: Run, bundle: Path, checks_dir: Path) -> None:
    result = run("check", bundle, "--checks-dir", checks_dir, "--select", "own.*", "--format", "json", "-v")
    document = json.loads(result.stdout)
    assert {finding["check"] for finding in document["findings"]} == {
        "own.passes",
        "own.warns",
        "own.fails",
        "own.cannot-tell",
    }
    assert "judging" in result.stderr


def test_quiet_says_nothing_on_stderr(run: Run, bundle: Path) -> None:
    assert run("check", bundle, "-q", "-o", "r.html").stderr == ""


@pytest.mark.parametrize(
    ("file", "flags", "start"),
    [
        ("r.json", [], "{"),
        ("r.html", [], "<!"),
        ("r.xml", [], "<?xml"),
        ("r.html", ["--format", "json"], "{"),
        ("r.unheard-of", ["--format", "json"], "{"),
    ],
)
def test_the_extension_decides_unless_the_flag_does(
    run: Run, bundle: Path, file: str, flags: list[str], start: str
) -> None:
    result = run("check", bundle, "-o", file, *flags)
    assert result.exit_code == FAIL
    assert result.stdout == ""
    assert file in result.stderr
    assert Path(file).read_text().lower().startswith(start)


def test_an_output_that_cannot_be_written_is_an_error_and_leaves_nothing(run: Run, bundle: Path) -> None:
    Path("file").write_text("kept")
    result = run("check", bundle, "-o", "file/report.html")
    assert result.exit_code == ERROR
    assert "file/report.html" in result.stderr
    assert [path.name for path in Path().iterdir()] == ["file"]
    assert run("check", bundle, "--output-dir", "file").exit_code == USAGE


def test_output_dir_gets_a_result_folder(run: Run, bundle: Path) -> None:
    result = run("check", bundle, "--output-dir", "results")
    assert result.exit_code == FAIL
    folder = Path("results/latest").resolve()
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "result.json"]
    assert f"results/{folder.name}/report.html" in result.stderr


def test_a_parameter_of_the_command_line_reaches_the_check(run: Run, bundle: Path, checks_dir: Path) -> None:
    words = ["check", bundle, "--checks-dir", checks_dir, "--select", "OWN-1", "--format", "json"]
    result = run(*words, "--param", "own.passes.most=7", "--param", "OWN-1.names=[a, b]")
    assert "at most 7, named a, b" in result.stdout


def test_a_selection_is_said_in_the_result(run: Run, bundle: Path, checks_dir: Path) -> None:
    result = run("check", bundle, "--checks-dir", checks_dir, "--skip", "own.fails", "--format", "json")
    assert json.loads(result.stdout)["warnings"] == [
        warning for warning in json.loads(result.stdout)["warnings"] if "left out (skip own.fails)" in warning
    ]


def test_a_plugin_that_cannot_be_imported_becomes_a_finding(run: Run, bundle: Path, checks_dir: Path) -> None:
    (checks_dir / "broken.py").write_text("import nothing_of_that_name")
    words = ["check", bundle, "--checks-dir", checks_dir, "--select", "own.passes", "--format", "json"]
    result = run(*words, "--skip", "broken.*")
    assert result.exit_code == UNDETERMINED
    document = json.loads(result.stdout)
    lost = next(finding for finding in document["findings"] if finding["check"] == "plugin.load-failed")
    assert "nothing_of_that_name" in lost["message"]
    assert any("broken.*" in warning for warning in document["warnings"])


def test_the_command_line_is_recorded_without_secrets(run: Run, bundle: Path) -> None:
    document = json.loads(run("check", bundle, "--format", "json", "--config", _file("version: 1")).stdout)
    assert document["run"]["command"][:3] == ["auditor", "check", str(bundle)]


def _file(text: str) -> Path:
    path = Path("some.yaml")
    path.write_text(text)
    return path


def _auditor(*words: object) -> list[str]:
    return [sys.executable, "-m", "auditor", *map(str, words)]


def test_colours_on_a_terminal_only_and_not_with_no_color(run: Run, on_a_terminal: OnATerminal, bundle: Path) -> None:
    assert "\x1b[" not in run("check", bundle).stdout
    assert "\x1b[3" in on_a_terminal("check", bundle)
    assert "\x1b[3" not in on_a_terminal("check", bundle, "-q", NO_COLOR="1")


@pytest.mark.parametrize("words", ["--for=", "--for=,", "--for=sprak"])
def test_no_workload_is_not_taken_for_all_of_them(run: Run, bundle: Path, words: str) -> None:
    assert run("check", bundle, words).exit_code == USAGE


def test_a_reader_that_goes_away_is_no_error(bundle: Path) -> None:
    with subprocess.Popen(
        _auditor("check", bundle, "--format", "html"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_an_error(bundle: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(_auditor("check", bundle), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == ERROR
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 2
