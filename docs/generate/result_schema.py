"""Write docs/result.schema.json from the types of the result; with ``--check``, only say whether it is up to date."""

from __future__ import annotations

import json
from pathlib import Path

import click

from auditor.results import schema

TARGET = Path(__file__).parents[1] / "result.schema.json"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if the file is out of date.")
def main(*, check: bool) -> None:
    """Write docs/result.schema.json."""
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    if not check:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        raise click.ClickException(f"{TARGET.name} is out of date; run: python docs/generate/result_schema.py")


if __name__ == "__main__":
    main()
