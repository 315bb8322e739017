"""`auditor check`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.cli.options import FILE, FOLDER, example, logging_options, output_option, settings_options
from auditor.cli.output import format_for, note, progress, write_result
from auditor.config.settings import Configuration
from auditor.result_folder import write_result_folder
from auditor.run import audit_bundle, exit_code


@click.command(
    "check",
    short_help="Judge a bundle: findings, verdicts, what to fix first.",
    epilog=example(
        "auditor check ./bundle",
        "auditor check ./bundle --for spark,kafka --strictness strict -o report.html",
        "auditor check bundle.tar.gz --select 'storage.*' --fail-on warn",
        "kubectl get storageclasses -o json > b/resources/storage.k8s.io/v1/storageclasses.json",
    ),
)
@click.argument("bundle", type=FILE)
@settings_options(
    "workloads",
    "profile",
    "strictness",
    "select",
    "skip",
    "parameters",
    "checks_dirs",
    "format",
    "fail_on",
)
@output_option
@click.option(
    "--output-dir", metavar="DIR", type=FOLDER, help="Also write DIR/<run>/ with report.html and result.json."
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found; errors keep their codes.")
@logging_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    bundle: Path,
    configuration: Configuration,
    output: Path | None,
    output_dir: Path | None,
    exit_zero: bool,
) -> int:
    """Judge a BUNDLE: a folder, or the .tar.gz of one, with what was read from a cluster.

    The result goes to stdout. What the bundle does not hold is unknown, never passed over.
    """
    settings = configuration.settings
    with progress(f"Judging {bundle}"):
        result = audit_bundle(
            bundle,
            settings,
            now=datetime.now(UTC),
            command=ctx.find_root().obj,
            checks=configuration.checks,
            warnings=configuration.warnings,
        )
    chosen = configuration.origins["format"].startswith("flag ")
    write_result(
        result,
        format=settings.format if chosen else format_for(output, otherwise=settings.format),
        output=output,
    )
    if output_dir is not None:
        note(f"Report: {write_result_folder(result, output_dir) / 'report.html'}")
    return exit_code(result, fail_on=settings.fail_on, exit_zero=exit_zero)
