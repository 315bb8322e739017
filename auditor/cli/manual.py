"""The manual page of a check in Markdown, from its declaration and the values in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from auditor.config.settings import Configuration
from auditor.units.check import Check


def manual_page(check: Check, configuration: Configuration) -> str:
    """The page, as `auditor explain` shows it."""
    body, references, links = check.manual.partition("## References")
    return "\n\n".join(
        [
            f"# {check.id}",
            f"**{check.title}**",
            body.strip(),
            *_parameters(check, configuration),
            f"{references}{links}".strip(),
            f"## Declaration\n\n{_declaration(check)}",
        ]
    )


def manual_data(check: Check, configuration: Configuration) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        **summary(check),
        "aliases": check.aliases,
        "manual": check.manual,
        "parameters": [
            {**msgspec.to_builtins(parameter), "origin": _origin(check, parameter.name, configuration)}
            for parameter in check.parameters(_given(check, configuration))
        ],
        "place": check.place,
    }


def summary(check: Check) -> dict[str, Any]:
    """What `auditor list checks` says of a check, as JSON values."""
    return {
        "id": check.id,
        "title": check.title,
        "area": check.area,
        "severity": check.severity,
        "workloads": dict(check.workloads),
        "reads": [str(part) for part in check.reads],
    }


def _declaration(check: Check) -> str:
    severities = ", ".join(f"{workload} {severity}" for workload, severity in check.workloads.items())
    lines = [
        f"- Severity: {check.severity} ({severities})",
        f"- Reads: {', '.join(f'`{part}`' for part in check.reads)}",
        f"- Also called: {', '.join(check.aliases)}" if check.aliases else "",
        f"- Source: `{check.place}`",
    ]
    return "\n".join(filter(None, lines))


def _parameters(check: Check, configuration: Configuration) -> list[str]:
    parameters = check.parameters(_given(check, configuration))
    if not parameters:
        return []
    described = [
        f"- `{parameter.name}` ({parameter.type}): {parameter.description}\n"
        f"  - in force: {_json(parameter.value)} ({_origin(check, parameter.name, configuration)}),"
        f" default: {_json(parameter.default)}\n"
        f"  - source of the default: {parameter.source}"
        for parameter in parameters
    ]
    return ["## Parameters\n\n" + "\n".join(described)]


def _given(check: Check, configuration: Configuration) -> Mapping[str, Any]:
    return configuration.settings.parameters.get(check.id, {})


def _origin(check: Check, parameter: str, configuration: Configuration) -> str:
    return configuration.origins.get(f"{check.id}.{parameter}", "default")


def _json(value: Any) -> str:
    return f"`{msgspec.json.encode(value).decode()}`"
