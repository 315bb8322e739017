"""What a check is: one decorated function over facts, with an id, a manual page, a severity and what it reads."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec

from auditor.errors import PluginError
from auditor.facts.parts import Part, Readable, part_of
from auditor.facts.store import Facts
from auditor.model import Finding, Parameter, Reference, Severity, Workload

CheckFunction = Callable[..., Iterator[Finding]]
"""``(facts: Facts)`` or ``(facts: Facts, params: SomeParameters)`` yielding findings."""

F = TypeVar("F", bound=CheckFunction)

SECTIONS = ("What it checks", "Why it matters", "How to fix", "References")
"""The headings of a manual page, in this order."""

_ID = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_REFERENCE = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<url>https?://[^)\s]+)\)$", re.MULTILINE)

ALL_WORKLOADS = tuple(Workload)
STATEFUL_WORKLOADS = (Workload.KAFKA, Workload.HDFS, Workload.FLINK, Workload.DATA_FABRIC, Workload.ZEPPELIN)
"""The workloads that keep state in volumes of their own."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Base of a check's parameters: one field each, with its unit in the name, declared with :func:`threshold`."""


def threshold(description: str, *, source: str, ge: float | None = None, le: float | None = None) -> msgspec.Meta:
    """What a parameter means, and where its default comes from; used in ``Annotated``.

    Args:
        description: one sentence, with the unit.
        source: the SLO, documented default or site's goal behind the default; never an invented number.
        ge: the least value allowed.
        le: the greatest value allowed.
    """
    return msgspec.Meta(description=description, ge=ge, le=le, extra={"source": source})


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check as it is declared.

    Attributes:
        id: ``<area>.<kebab-name>``, stable for ever.
        title: the healthy state, as a statement.
        severity: what a failure costs, where a workload has no severity of its own.
        workloads: the workloads it concerns, and what a failure costs each.
        reads: the parts it needs.
        function: the judgement itself.
        parameters_type: its parameters, or None.
        aliases: other names, such as the code in a catalogue.
        place: ``file:line`` of the function.
    """

    id: str
    title: str
    severity: Severity
    workloads: Mapping[Workload, Severity]
    reads: tuple[Part, ...]
    function: CheckFunction
    parameters_type: type[Parameters] | None
    aliases: tuple[str, ...]
    place: str

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    @property
    def manual(self) -> str:
        """The manual page in Markdown: the function's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def references(self) -> tuple[Reference, ...]:
        """The links of the manual page's last section."""
        text = self.sections().get("References", "")
        return tuple(Reference(title=m["title"], url=m["url"]) for m in _REFERENCE.finditer(text))

    def sections(self) -> dict[str, str]:
        """The manual page by heading."""
        pieces = _SECTION.split(self.manual)
        return {heading: text.strip() for heading, text in zip(pieces[1::2], pieces[2::2], strict=True)}

    def parameters(self, given: Mapping[str, Any] | None = None) -> tuple[Parameter, ...]:
        """Its parameters as they are in force with the given values.

        Raises:
            msgspec.ValidationError: a value has the wrong type or lies outside its bounds.
        """
        if self.parameters_type is None:
            return ()
        in_force, defaults = self.configured(given), self.parameters_type()
        described = typing.get_type_hints(self.parameters_type, include_extras=True)
        return tuple(
            Parameter(
                name=field.name,
                type=_type_name(described[field.name]),
                value=_json_value(getattr(in_force, field.name)),
                default=_json_value(getattr(defaults, field.name)),
                description=_meta(described[field.name]).description or "",
                source=(_meta(described[field.name]).extra or {}).get("source", ""),
            )
            for field in msgspec.structs.fields(self.parameters_type)
        )

    def configured(self, given: Mapping[str, Any] | None = None) -> Parameters:
        """The parameters object that the function is called with.

        Raises:
            msgspec.ValidationError: a value has the wrong type or lies outside its bounds.
        """
        return msgspec.convert(dict(given or {}), type=self.parameters_type or Parameters)

    def run(self, facts: Facts, given: Mapping[str, Any] | None = None) -> Iterator[Finding]:
        """The findings as the function yields them."""
        if self.parameters_type is None:
            return self.function(facts)
        return self.function(facts, self.configured(given))


def check(
    id: str,  # noqa: A002  the design's word
    *,
    title: str,
    severity: Severity,
    reads: Iterable[Readable],
    workloads: Iterable[Workload] | Mapping[Workload, Severity] = ALL_WORKLOADS,
    aliases: Iterable[str] = (),
) -> Callable[[F], F]:
    """Declare a function to be a check. The docstring is its manual page, with the headings of :data:`SECTIONS`.

    Args:
        id: ``<area>.<kebab-name>``; the area is the name of the module. Stable for ever.
        title: the healthy state, as a statement: "Exactly one StorageClass is the default".
        severity: what a failure costs the workload.
        reads: the parts that the function needs: views of resources, :func:`auditor.if_served`,
            :func:`auditor.named`, :func:`auditor.raw`. Anything else that it asks for is refused.
        workloads: the workloads it concerns; a mapping gives each its own severity.
        aliases: other names that `auditor explain` answers to.

    Raises:
        PluginError: the declaration breaks one of these rules.
    """

    def declare(function: F) -> F:
        place = _place(function)
        if not _ID.fullmatch(id):
            raise PluginError(
                f"{id!r} is not a check id ({place})",
                next_step="Name it <area>.<kebab-name>, all in lower case.",
            )
        costs = (
            dict(workloads)
            if isinstance(workloads, Mapping)
            else dict.fromkeys((Workload(workload) for workload in workloads), severity)
        )
        declared = Check(
            id=id,
            title=title,
            severity=severity,
            workloads=costs,
            reads=tuple(part_of(read) for read in reads),
            function=function,
            parameters_type=_parameters_type(function),
            aliases=tuple(aliases),
            place=place,
        )
        function.__auditor__ = declared  # type: ignore[attr-defined]
        return function

    return declare


def _place(function: CheckFunction) -> str:
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


def _parameters_type(function: CheckFunction) -> type[Parameters] | None:
    hints = typing.get_type_hints(function)
    names = list(inspect.signature(function).parameters)
    if len(names) == 1:
        return None
    kind = hints.get(names[1]) if len(names) == 2 else None
    if not (isinstance(kind, type) and issubclass(kind, Parameters)):
        raise PluginError(
            f"{function.__qualname__} ({_place(function)}) does not have the signature of a check",
            next_step="Write (facts: Facts) or (facts: Facts, params: YourParameters).",
        )
    return kind


def _meta(hint: Any) -> msgspec.Meta:
    if typing.get_origin(hint) is Annotated:
        return next((m for m in hint.__metadata__ if isinstance(m, msgspec.Meta)), msgspec.Meta())
    return msgspec.Meta()


def _json_value(value: Any) -> Any:
    """The value as it will be read from a result again: lists for tuples, text for enums."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")
