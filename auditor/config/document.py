"""YAML read into msgspec structs, with the line of every value; all mistakes of a file are named at once."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec
import yaml

from auditor.config.mistakes import Mistake, member, refuse, suggestion
from auditor.errors import ConfigError

S = TypeVar("S", bound=msgspec.Struct)

KeyPath = tuple[str | int, ...]
"""Where a value stands in the document: ``("waivers", 0, "reason")``."""

_ALSO_CALLED = {"for": "workloads", "exclude": "skip", "ignore": "skip", "until": "expires", "expiry": "expires"}
_EXPECTED = {
    str: ("text", "Put it in quotes."),
    int: ("a whole number", ""),
    float: ("a number", ""),
    bool: ("true or false", ""),
    date: ("a date", "Write it as YYYY-MM-DD."),
}
_TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    type(None): "nothing",
}


class _Loader(yaml.SafeLoader):
    """Leaves dates as text, so that quoted and bare ones are read alike."""


_Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Document:
    """One YAML file.

    Args:
        data: the file's bytes.
        name: the file's name as messages show it.

    Raises:
        ConfigError: it is not UTF-8 or not YAML.
    """

    def __init__(self, data: bytes, *, name: str) -> None:
        self.name = name
        self._mistakes: list[Mistake] = []
        self._lines: dict[KeyPath, int] = {}
        self._loader = _Loader("")
        try:
            self._loader = _Loader(data.decode("utf-8-sig"))
            self._root = self._loader.get_single_node()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{name}:{line}: The file is not UTF-8.", next_step="Save it as UTF-8.") from error
        except yaml.reader.ReaderError as error:
            line = data.decode("utf-8-sig").count("\n", 0, error.position) + 1
            raise ConfigError(f"{name}:{line}: The file holds a control character.", next_step="Remove it.") from error
        except yaml.MarkedYAMLError as error:
            raise ConfigError(
                f"{name}:{_line_of(error)}: The file is not YAML: {error.problem}.",
                cause=error.context or "",
                next_step="Look at the indentation, colons and quotes on and before that line.",
            ) from error
        except RecursionError as error:
            raise ConfigError(f"{name}:1: The file is nested too deeply.") from error

    def line(self, path: KeyPath) -> int:
        """The line of a value, or of the nearest thing around it that is in the file."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def __contains__(self, path: KeyPath) -> bool:
        """Whether a value is in the file."""
        return path in self._lines

    def place(self, path: KeyPath) -> str:
        """``file:line`` of a value."""
        return f"{self.name}:{self.line(path)}"

    def read(self, kind: type[S]) -> S:
        """The document as a struct; an empty one has the defaults.

        Raises:
            ConfigError: a key is unknown, missing or given twice, or a value has the wrong type; all of them are named.
        """
        if self._root is None:
            return kind()
        try:
            value = self._value(self._root, kind, ())
        except RecursionError as error:
            raise ConfigError(f"{self.name}:1: The file refers to itself.") from error
        refuse(self._mistakes, next_step=f"Correct the file, then run: auditor config validate {self.name}")
        return cast("S", value)

    def _value(self, node: yaml.Node, kind: Any, path: KeyPath) -> Any:
        if isinstance(kind, types.UnionType):
            kind = next(choice for choice in typing.get_args(kind) if choice is not types.NoneType)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(node, kind, path)
        if typing.get_origin(kind) is tuple:
            return self._list(node, typing.get_args(kind)[0], path)
        if typing.get_origin(kind) is dict:
            return self._mapping(node, typing.get_args(kind)[1], path)
        if kind is Any and isinstance(node, yaml.MappingNode):
            return self._mapping(node, Any, path)
        if kind is Any and isinstance(node, yaml.SequenceNode):
            return list(self._list(node, Any, path))
        return self._scalar(node, kind, path)

    def _struct(self, node: yaml.Node, kind: type[msgspec.Struct], path: KeyPath) -> Any:
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, f"{_named(path)} must be keys with values.", f"Known: {', '.join(fields)}.")
        values = {}
        for key, key_node, value_node in self._items(node, path):
            if key not in fields:
                hint = f"Did you mean {_ALSO_CALLED[key]!r}?" if key in _ALSO_CALLED else suggestion(key, fields)
                self._wrong(key_node, f"Unknown key {key!r}{_inside(path)}.", hint)
            elif not _is_null(value_node):
                values[key] = self._value(value_node, fields[key].type, (*path, key))
        missing = [name for name, field in fields.items() if field.required and name not in values]
        for name in missing:
            self._wrong(node, f"{_named(path)} lacks {name!r}.")
        return None if missing else kind(**values)

    def _list(self, node: yaml.Node, kind: Any, path: KeyPath) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            hint = f"Write [{node.value}]." if isinstance(node, yaml.ScalarNode) else ""
            return self._wrong(node, f"{_named(path)} must be a list.", hint)
        values = []
        for number, item in enumerate(node.value):
            self._lines[(*path, number)] = item.start_mark.line + 1
            values.append(self._value(item, kind, (*path, number)))
        return tuple(values)

    def _mapping(self, node: yaml.Node, kind: Any, path: KeyPath) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._wrong(node, f"{_named(path)} must be names with values.")
        return {key: self._value(value_node, kind, (*path, key)) for key, _, value_node in self._items(node, path)}

    def _scalar(self, node: yaml.Node, kind: Any, path: KeyPath) -> Any:
        try:
            value = self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError) as error:
            return self._wrong(node, f"{_named(path)} cannot be read: {_first_line(error)}.")
        if kind is Any:
            return value
        if issubclass(kind, StrEnum):
            try:
                return member(kind, value)
            except ValueError as error:
                return self._wrong(node, *error.args)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            expected, hint = _EXPECTED[kind]
            seen = _TYPE_NAMES.get(type(value), "keys with values")
            shown = f"{value!r}" if kind is date and isinstance(value, str) else seen
            return self._wrong(node, f"{_named(path)} must be {expected}, not {shown}.", hint)

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, f"A key{_inside(path)} is not text.")
                continue
            key = str(key_node.value)
            if key in first_lines:
                self._wrong(
                    key_node, f"The key {key!r} stands twice{_inside(path)}.", f"First on line {first_lines[key]}."
                )
                continue
            first_lines[key] = line
            self._lines[(*path, key)] = line
            yield key, key_node, value_node

    def _wrong(self, node: yaml.Node, what: str, hint: str = "") -> Any:
        """Keep a mistake; the None that is returned stands for the value until :meth:`read` refuses the file."""
        self._mistakes.append(Mistake(place=f"{self.name}:{node.start_mark.line + 1}", what=what, hint=hint))


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark is not None else 1


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _first_line(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _dotted(path: KeyPath) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _named(path: KeyPath) -> str:
    return repr(_dotted(path)) if path else "The file"


def _inside(path: KeyPath) -> str:
    return f" in {_dotted(path)!r}" if path else ""
