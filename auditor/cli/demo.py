"""`auditor demo`."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

import click

from auditor.cli.options import FOLDER, example, logging_options
from auditor.cli.output import progress, write_result, write_text
from auditor.config.settings import defaults
from auditor.result_folder import REPORT_FILE, write_result_folder
from auditor.run import audit_bundle

EXAMPLE_BUNDLE = "recorded-cluster"


@click.command(
    "demo",
    short_help="Judge the example cluster that comes with auditor.",
    epilog=example(
        "auditor demo",
    ),
)
@click.option(
    "--output-dir", metavar="DIR", type=FOLDER, default=Path("auditor-results"), show_default=True, help="For results."
)
@logging_options
@click.pass_context
def command(ctx: click.Context, *, output_dir: Path) -> None:
    """Judge the example cluster that comes with auditor, and write its report.

    No cluster is needed and no configuration is read. The exit code is 0, whatever the verdict.
    """
    configuration = defaults()
    with as_file(files("auditor.examples") / EXAMPLE_BUNDLE) as bundle, progress("Judging the example cluster"):
        result = audit_bundle(
            bundle,
            configuration.settings,
            now=datetime.now(UTC),
            command=ctx.find_root().obj,
            checks=configuration.checks,
        )
    folder = write_result_folder(result, output_dir)
    write_text(f"This is the example cluster that comes with auditor, not yours. {result.cluster.description}\n")
    write_result(result, format="text", output=None)
    write_text(f"Report: {folder / REPORT_FILE}")
