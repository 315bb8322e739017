"""`auditor config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from auditor.cli.options import FILE, example, listing_format_option, settings_options
from auditor.cli.output import note, write_json, write_table, write_text
from auditor.config.settings import Configuration, validate
from auditor.config.sources import FILE_NAME


@click.group(
    "config",
    short_help="Show or validate the configuration.",
    epilog=example(
        "auditor config show",
        "auditor config validate auditor.yaml",
    ),
)
def command() -> None:
    """Show or validate the configuration."""


@command.command(
    "show",
    short_help="Show each setting and where it came from.",
    epilog=example(
        "auditor config show --profile strict",
        "auditor config show --format json",
    ),
)
@settings_options("workloads", "profile", "strictness", "select", "skip", "parameters", "checks_dirs", "fail_on")
@listing_format_option
def show(*, configuration: Configuration, format: str) -> None:  # noqa: A002  the flag's name
    """Show each setting, its value, and where it came from: flag, environment, file, profile or default."""
    in_force = configuration.in_force()
    if format == "json":
        write_json(in_force)
    else:
        write_table(
            ["SETTING", "VALUE", "FROM"],
            [[name, _shown(entry["value"]), entry["origin"]] for name, entry in in_force.items()],
        )
    for warning in configuration.warnings:
        note(f"warning: {warning}")


@command.command(
    "validate",
    short_help="Say whether a configuration file can be used.",
    epilog=example(
        "auditor config validate",
    ),
)
@click.argument("file", type=FILE, default=Path(FILE_NAME))
def validate_(*, file: Path) -> None:
    """Say whether a configuration FILE can be used, and if not, everything that is wrong.

    Without FILE, auditor.yaml in the current folder.
    """
    configuration = validate(file)
    for warning in configuration.warnings:
        note(f"warning: {warning}")
    write_text(f"{file}: ok")


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
