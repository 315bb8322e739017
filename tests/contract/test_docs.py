"""Generated documents are as they would be generated."""

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GENERATORS = sorted(DOCS.glob("generate/*.py"))


def test_there_are_generators() -> None:
    assert GENERATORS


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda path: path.stem)
def test_a_generated_document_has_no_drift(generator: Path) -> None:
    done = subprocess.run([sys.executable, str(generator), "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_every_check_has_an_anchor_and_every_link_a_target() -> None:
    text = (DOCS / "checks.md").read_text(encoding="utf-8")

    ids = [line.split("`")[1] for line in text.splitlines() if line.startswith("| [`")]

    assert ids
    for check_id in ids:
        assert text.count(f'<a id="{check_id}"></a>') == 1
        assert f"(#{check_id})" in text
