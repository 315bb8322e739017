"""`auditor explain`."""

from __future__ import annotations

import click

from auditor.cli.manual import manual_data, manual_page
from auditor.cli.options import complete_check, example, listing_format_option, settings_options
from auditor.cli.output import write_json, write_markdown
from auditor.config.settings import Configuration


@click.command(
    "explain",
    short_help="Show the manual page of checks.",
    epilog=example(
        "auditor explain storage.default-class",
        "auditor explain 'storage.*' --format json",
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID|ALIAS|GLOB]...", shell_complete=complete_check)
@listing_format_option
@settings_options("profile", "parameters", "checks_dirs")
def command(*, ids: tuple[str, ...], format: str, configuration: Configuration) -> None:  # noqa: A002  the flag's name
    """Show the manual page of checks: what, why, how to fix, and its parameters as they are in force.

    Without an id, all checks.
    """
    checks = configuration.checks.matching(ids or ["*"])
    if format == "json":
        write_json([manual_data(check, configuration) for check in checks])
    else:
        write_markdown("\n\n---\n\n".join(manual_page(check, configuration) for check in checks))
