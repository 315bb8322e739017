"""`auditor list`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from auditor.cli.manual import summary
from auditor.cli.options import example, listing_format_option, settings_options
from auditor.cli.output import write_json, write_table
from auditor.config.settings import Configuration
from auditor.model import Workload
from auditor.registry import load_probes, load_reports
from auditor.units.probe import Right

Rows = list[dict[str, Any]]


def _checks(configuration: Configuration) -> Rows:
    return [summary(check) for check in configuration.checks]


def _probes(_: Configuration) -> Rows:
    return [
        {
            "id": probe.id,
            "title": probe.title,
            "document": probe.document.part_id,
            "rights": [_right(right) for right in probe.rights],
        }
        for probe in load_probes()
    ]


def _right(right: Right) -> str:
    resource = f"{right.resource}.{right.group}" if right.group else right.resource
    notes = [note for note, holds in (("in all namespaces", right.cluster_wide), ("optional", right.optional)) if holds]
    return " ".join((right.verb, resource, f"({', '.join(notes)})" if notes else "")).rstrip()


def _reports(_: Configuration) -> Rows:
    return [{"id": report.id, "title": report.title, "extension": report.extension} for report in load_reports()]


def _profiles(configuration: Configuration) -> Rows:
    return [
        {
            "id": name,
            "description": profile.description,
            "strictness": profile.strictness,
            "workloads": profile.workloads,
        }
        for name, profile in configuration.profiles.items()
    ]


def _workloads(configuration: Configuration) -> Rows:
    return [
        {"id": workload, "checks": sum(workload in check.workloads for check in configuration.checks)}
        for workload in Workload
    ]


LISTINGS: dict[str, tuple[Callable[[Configuration], Rows], tuple[str, ...]]] = {
    "checks": (_checks, ("id", "severity", "title", "workloads")),
    "probes": (_probes, ("id", "title")),
    "reports": (_reports, ("id", "extension", "title")),
    "profiles": (_profiles, ("id", "strictness", "workloads", "description")),
    "workloads": (_workloads, ("id", "checks")),
}
"""What can be listed: its rows, and the columns that people see of them."""


@click.command(
    "list",
    short_help="List checks, probes, reports, profiles or workloads.",
    epilog=example(
        "auditor list checks",
        "auditor list probes --format json",
    ),
)
@click.argument("what", type=click.Choice(list(LISTINGS)))
@listing_format_option
@settings_options("checks_dirs")
def command(*, what: str, format: str, configuration: Configuration) -> None:  # noqa: A002  the flag's name
    """List what there is."""
    collect, columns = LISTINGS[what]
    rows = collect(configuration)
    if format == "json":
        write_json(rows)
    else:
        write_table([column.upper() for column in columns], [[_cell(row[name]) for name in columns] for row in rows])


def _cell(value: Any) -> str:
    if value is None:
        return "as configured"
    if isinstance(value, dict) and len(value) == len(Workload):
        return "all"
    return ", ".join(value) if isinstance(value, dict | tuple) else str(value)
