"""A small bundle, checks of one status each, and a way to run commands in an empty folder."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor.cli.main import cli

Run = Callable[..., Result]

STORAGE_CLASSES = '{"apiVersion": "v1", "kind": "List", "items": []}'

CHECKS = '''
from collections.abc import Iterator
from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import StorageClass
from typing import Annotated


class Limits(Parameters, frozen=True, kw_only=True):
    most: Annotated[int, threshold("Most of them.", source="the test", ge=1)] = 3
    names: Annotated[tuple[str, ...], threshold("Their names.", source="the test")] = ()


@check("own.passes", title="Passes", severity=Severity.HIGH, reads=(StorageClass,), aliases=("OWN-1",))
def passes(facts: Facts, params: Limits) -> Iterator[Finding]:
    """Passes.

    ## What it checks
    Nothing.

    ## References
    - [A page](https://example.com/page)
    """
    yield Finding.ok(f"at most {params.most}, named {', '.join(params.names)}")


@check("own.warns", title="Warns", severity=Severity.HIGH, reads=(StorageClass,))
def warns(facts: Facts) -> Iterator[Finding]:
    yield Finding.warn("a warning")


@check("own.fails", title="Fails", severity=Severity.HIGH, reads=(StorageClass,))
def fails(facts: Facts) -> Iterator[Finding]:
    yield Finding.fail("a failure")


@check("own.cannot-tell", title="Tells", severity=Severity.HIGH, reads=(StorageClass,))
def cannot_tell(facts: Facts) -> Iterator[Finding]:
    yield Finding.unknown("not known")
'''


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for variable in ("AUDITOR_CONFIG", "AUDITOR_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    logger = logging.getLogger("auditor")
    yield
    logger.handlers = []
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle made by hand: one part, no manifest."""
    folder = tmp_path / "bundle"
    part = folder / "resources" / "storage.k8s.io" / "v1" / "storageclasses.json"
    part.parent.mkdir(parents=True)
    part.write_text(STORAGE_CLASSES)
    return folder


@pytest.fixture
def checks_dir(tmp_path: Path) -> Path:
    """A folder with one check per status, ``own.*``."""
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "own.py").write_text(CHECKS)
    return folder


@pytest.fixture
def run() -> Run:
    """Runs ``auditor`` with the given words."""
    runner = CliRunner()

    def invoke(*words: object) -> Result:
        return runner.invoke(cli, [str(word) for word in words], prog_name="auditor")

    return invoke


@pytest.fixture
def on_a_terminal() -> Callable[..., str]:
    """Runs ``auditor`` with the given words and environment, on a terminal of its own; answers what that showed."""

    def invoke(*words: object, **environ: str) -> str:
        terminal, end = pty.openpty()
        command = [sys.executable, "-m", "auditor", *map(str, words)]
        with subprocess.Popen(command, stdout=end, stderr=end, env={**os.environ, "TERM": "xterm", **environ}):
            os.close(end)
            output = b""
            with suppress(OSError):  # Linux says EIO when the other end is closed
                while chunk := os.read(terminal, 65536):
                    output += chunk
            os.close(terminal)
        return output.decode()

    return invoke
