"""`auditor report`."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.options import FILE, complete_format, example, output_option
from auditor.cli.output import format_for, write_result
from auditor.result_folder import read_result


@click.command(
    "report",
    short_help="Render an existing result in another format.",
    epilog=example(
        "auditor report auditor-results/latest --format markdown",
        "auditor report result.json -o report.html",
    ),
)
@click.argument("result", type=FILE)
@click.option(
    "--format",
    metavar="FORMAT",
    shell_complete=complete_format,
    envvar="AUDITOR_complete_format",
    help="See: auditor list reports. [default: text]",
)
@output_option
def command(*, result: Path, format: str | None, output: Path | None) -> None:  # noqa: A002  the flag's name
    """Render a RESULT, which is a result.json or the folder of a run. Nothing is judged again."""
    write_result(read_result(result), format=format or format_for(output, otherwise="text"), output=output)
