"""Values for the checks' parameters, verified against what the checks declare."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from auditor.config.mistakes import Mistake, suggestion
from auditor.config.sources import Source
from auditor.errors import UnknownIdError, UsageError
from auditor.registry import Registry
from auditor.units.check import Check

Typed = dict[tuple[str, str], tuple[Any, str]]
"""Values and the places where they were given, by check id and parameter name."""


def typed_parameters(source: Source, checks: Registry[Check]) -> tuple[Typed, list[Mistake]]:
    """The parameters that one source gives, converted to their types, and what is wrong with them."""
    values: Typed = {}
    mistakes = []
    for name, given in (source.values.parameters or {}).items():
        try:
            check = checks.get(name)
        except UnknownIdError as error:
            place = source.place(("parameters", name))
            mistakes.append(
                Mistake(place=place, what=error.what, hint=error.cause or error.next_step, unknown_check=True)
            )
            continue
        for parameter, value in given.items():
            place = source.place(("parameters", name, parameter))
            try:
                values[check.id, parameter] = _typed(check, parameter, value, textual=source.textual), place
            except ValueError as error:
                mistakes.append(Mistake(place=place, what=error.args[0], hint=error.args[1]))
    return values, mistakes


def by_check(values: Typed) -> dict[str, dict[str, Any]]:
    """The same values, nested as policies want them."""
    nested: dict[str, dict[str, Any]] = {}
    for (check_id, parameter), (value, _) in values.items():
        nested.setdefault(check_id, {})[parameter] = value
    return nested


def parse_assignment(text: str) -> tuple[str, str, str]:
    """The check, the parameter and the value of ``CHECK.NAME=VALUE``.

    Raises:
        UsageError: the text has another form.
    """
    target, equals, value = text.partition("=")
    check_id, dot, parameter = target.rpartition(".")
    if not (equals and dot and check_id and parameter):
        raise UsageError(
            f"--param {text!r} does not have the form CHECK.NAME=VALUE.",
            next_step="List a check's parameters with: auditor explain CHECK",
        )
    return check_id.strip(), parameter.strip(), value.strip()


def assigned(texts: tuple[str, ...]) -> dict[str, dict[str, str]] | None:
    """The values of all ``CHECK.NAME=VALUE``, or None without any. The last of several decides.

    Raises:
        UsageError: a text has another form.
    """
    nested: dict[str, dict[str, str]] = {}
    for check_id, parameter, value in map(parse_assignment, texts):
        nested.setdefault(check_id, {})[parameter] = value
    return nested or None


def _typed(check: Check, name: str, value: Any, *, textual: bool) -> Any:
    hints: Mapping[str, Any] = {}
    if check.parameters_type is not None:
        hints = typing.get_type_hints(check.parameters_type, include_extras=True)
    if name not in hints:
        hint = suggestion(name, hints) if hints else "It has none."
        raise ValueError(f"The check {check.id!r} has no parameter {name!r}.", hint)
    problem = ""
    for reading, strict in _readings(value, textual=textual):
        try:
            return msgspec.to_builtins(msgspec.convert(reading, hints[name], strict=strict))
        except msgspec.ValidationError as error:
            problem = problem or str(error)
    declared = next(parameter for parameter in check.parameters() if parameter.name == name)
    raise ValueError(
        f"{check.id}.{name} cannot be {value!r}: {problem[:1].lower()}{problem[1:]}.",
        f"The default is {msgspec.json.encode(declared.default).decode()}.",
    )


def _readings(value: Any, *, textual: bool) -> Iterator[tuple[Any, bool]]:
    """What a given value may stand for: itself; on the command line also the text of a number or a YAML list."""
    yield value, not textual
    if textual:
        try:
            yield yaml.safe_load(value), True
        except yaml.YAMLError:
            return
