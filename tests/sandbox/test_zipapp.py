"""The agent is one file that any Python 3.9 runs, alone, the same bytes every time."""

import ast
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.sandbox.agent import framing
from auditor.sandbox.zipapp import agent_zipapp

CONFIG_MAP_BYTES = 1024**2
"""What the API server lets a ConfigMap hold."""

SOURCES = sorted(Path(__file__).parents[2].joinpath("auditor/sandbox/agent").rglob("*.py"))
NAMES = [str(path.relative_to(path.parents[2] if path.parent.name == "tasks" else path.parents[1])) for path in SOURCES]

LATER_THAN_39 = {
    "pairwise", "batched", "ExceptionGroup", "TaskGroup", "timeout_at", "tomllib", "StrEnum", "UTC", "bit_count",
    "stdlib_module_names", "aiter", "anext", "hardlink_to", "file_digest", "slots", "kw_only", "override",
    "Self", "assert_never", "TypeAlias", "ParamSpec", "NotRequired", "add_note", "fromisoformat",
}  # fmt: skip
"""Names of the standard library that the agent must do without; ``fromisoformat`` reads no ``Z`` there."""

every_source = pytest.mark.parametrize("source", SOURCES, ids=NAMES)


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    path.write_bytes(agent_zipapp())
    return path


def started(
    zipapp: Path, task: str, arguments: object, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """As in a pod: nothing but the file, no site-packages, no user."""
    environment = {"AUDITOR_ARGUMENTS": json.dumps(arguments), "PATH": os.environ["PATH"]}
    command = [python, "-I", "-S", str(zipapp), task]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/", timeout=60, check=False)


def test_the_bytes_are_the_same_every_time() -> None:
    first = agent_zipapp()
    agent_zipapp.cache_clear()

    assert agent_zipapp() == first


def test_it_fits_into_a_config_map() -> None:
    assert len(agent_zipapp()) < CONFIG_MAP_BYTES


def test_it_brings_dnspython_and_its_licence() -> None:
    names = zipfile.ZipFile(io.BytesIO(agent_zipapp())).namelist()

    assert {"dns/resolver.py", "dns/message.py", "agent/tasks/node.py", "__main__.py"} <= set(names)
    assert any(name.endswith("LICENSE") for name in names)
    assert not [name for name in names if name.endswith(".pyc")]


def test_it_runs_a_task_on_its_own(zipapp: Path) -> None:
    ended = started(zipapp, "node", {"scratch": "/"})

    log = framing.parse(ended.stdout)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert log.is_whole
    assert log.results[0]["kernel"] == os.uname().release


def test_it_runs_on_the_oldest_python(zipapp: Path) -> None:
    python = shutil.which("python3.9")
    if python is None or subprocess.run([python, "--version"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no Python 3.9 on this machine")

    ended = started(zipapp, "node", {"scratch": "/"}, python=python)

    assert framing.parse(ended.stdout).is_whole, ended.stderr


def test_a_task_that_fails_says_why(zipapp: Path) -> None:
    ended = started(zipapp, "no-such-task", {})

    assert ended.returncode == 1
    assert "no_such_task" in framing.parse(ended.stdout).error
    assert "Traceback" in ended.stderr


@every_source
def test_it_is_written_in_the_oldest_python(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 9))

    assert not {name for name in _names(tree) if name in LATER_THAN_39}


@every_source
def test_it_imports_the_standard_library_and_dnspython_only(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))

    tops = {name.partition(".")[0] for name in _imported(tree)}

    assert tops - {"dns"} <= sys.stdlib_module_names


@every_source
def test_annotations_are_not_evaluated(source: Path) -> None:
    text = source.read_text(encoding="utf-8")

    assert source.name == "__init__.py" or "from __future__ import annotations\n" in text


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.name


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
