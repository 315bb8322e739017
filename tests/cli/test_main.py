"""The command group: help, start-up, errors."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

import auditor
import auditor.model
from auditor.cli.main import COMMANDS, EXIT_CODES, INTERRUPTED, cli
from auditor.errors import OutputError
from auditor.model import ExitCode

Run = Callable[..., Result]


def _commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            yield from _commands(subcommand, *path, name)


@pytest.mark.parametrize("path", list(_commands(cli)), ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help_with_an_example(run: Run, path: tuple[str, ...], flag: str) -> None:
    result = run(*path, flag)
    assert result.exit_code == 0
    assert f"Example:\n    auditor {' '.join(path[:1])}".rstrip() in result.output.replace("source <(", "")
    assert "\b" not in result.output


def test_the_static_summaries_are_the_commands_own() -> None:
    context = click.Context(cli)
    loaded = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    assert {name: command and command.get_short_help_str(100) for name, command in loaded.items()} == COMMANDS


def test_the_static_exit_codes_are_those_of_the_model() -> None:
    (enumeration,) = ast.parse(inspect.getsource(ExitCode)).body
    assert isinstance(enumeration, ast.ClassDef)
    said = [
        node.value.value
        for node in enumeration.body[1:]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    assert {int(code): text for code, text in zip(ExitCode, said, strict=True)} == EXIT_CODES


def test_help_lists_the_exit_codes(run: Run) -> None:
    output = run("--help").output
    assert all(f"{code}  {meaning}" in output for code, meaning in EXIT_CODES.items())


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from auditor.cli.main import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"msgspec", "rich", "jinja2", "yaml", "auditor.model", "difflib"} & set(done.stderr.split())


def test_version(run: Run) -> None:
    assert run("--version").output == f"auditor {auditor.__version__}\n"


@pytest.mark.parametrize(
    ("words", "close"), [(["chek"], "'check'"), (["config", "shwo"], ""), (["check", "--fro"], "")]
)
def test_what_is_not_there_is_a_usage_error(run: Run, words: list[str], close: str) -> None:
    result = run(*words)
    assert result.exit_code == ExitCode.USAGE
    assert close in result.stderr


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def arrange(error: BaseException) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("auditor.cli.check.audit_bundle", fail)

    return arrange


Raising = Callable[[BaseException], None]


def test_an_unexpected_exception_is_one_line_and_a_way_on(run: Run, raising: Raising) -> None:
    raising(ValueError("odd"))
    result = run("check", "b")
    assert (result.exit_code, result.stderr) == (
        ExitCode.ERROR,
        "error: ValueError: odd\n  next:  run the same command with --debug\n",
    )


def test_an_error_for_people_has_cause_and_next_step(run: Run, raising: Raising) -> None:
    raising(OutputError("It broke.", cause="full", next_step="empty it"))
    result = run("check", "b")
    assert (result.exit_code, result.stderr) == (1, "error: It broke.\n  cause: full\n  next:  empty it\n")


def test_debug_shows_the_traceback_wherever_it_stands(run: Run, raising: Raising) -> None:
    raising(ValueError("odd"))
    for words in (["--debug", "check", "b"], ["check", "b", "--debug"]):
        result = run(*words)
        assert result.exit_code == ExitCode.ERROR
        assert "Traceback (most recent call last)" in result.stderr


def test_ctrl_c_is_quiet(run: Run, raising: Raising) -> None:
    raising(KeyboardInterrupt())
    result = run("check", "b")
    assert (result.exit_code, result.stderr.strip()) == (INTERRUPTED, "")


def test_docs_are_what_the_commands_say() -> None:
    generator = Path(__file__).parents[2] / "docs" / "generate" / "cli.py"
    done = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
