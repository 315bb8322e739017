"""The registry: finds checks, probes, benchmarks and reports through entry points, refuses duplicate ids.

Built-in units come through the same entry points as a third party's; the core imports none of them by name.
A module that cannot be imported is kept as a :class:`LoadFailure`, so that a run can say what it lost.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from auditor.errors import DuplicateIdError, UnknownIdError, UsageError
from auditor.units.check import Check
from auditor.units.probe import Probe
from auditor.units.report import Report

CHECKS = "auditor.checks"
PROBES = "auditor.probes"
BENCHMARKS = "auditor.benchmarks"
REPORTS = "auditor.reports"

LOAD_FAILED = "plugin.load-failed"
"""Check id of the finding that stands for a plugin that could not be imported."""


class Unit(Protocol):
    """What a registry holds: something with an id and a place in a source file."""

    @property
    def id(self) -> str:
        """The name that the unit is asked for by."""

    @property
    def place(self) -> str:
        """``file:line`` of its declaration."""


U = TypeVar("U", bound=Unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailure:
    """A plugin that could not be imported."""

    name: str
    place: str
    error: str
    traceback: str


class Registry(Generic[U]):
    """Units of one kind by id, in the order of their modules and definitions."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.failures: list[LoadFailure] = []
        self._units: dict[str, U] = {}
        self._aliases: dict[str, str] = {}

    def __iter__(self) -> Iterator[U]:
        return iter(self._units.values())

    def __len__(self) -> int:
        return len(self._units)

    def add(self, unit: U) -> None:
        """Take a unit in; the same declaration may come twice.

        Raises:
            DuplicateIdError: another place has claimed its id or one of its aliases.
        """
        for name in (unit.id, *getattr(unit, "aliases", ())):
            holder = self._units.get(self._aliases.get(name, name))
            if holder is not None and holder.place != unit.place:
                raise DuplicateIdError(
                    f"The {self.noun} id {name!r} is claimed twice:\n    {holder.place}\n    {unit.place}",
                    next_step="Rename one of them, or uninstall the plugin that brings it.",
                )
        self._units[unit.id] = unit
        self._aliases.update(dict.fromkeys(getattr(unit, "aliases", ()), unit.id))

    def get(self, id: str) -> U:  # noqa: A002  the design's word
        """The unit of that id or alias.

        Raises:
            UnknownIdError: there is none; the error names the closest ones.
        """
        unit = self._units.get(self._aliases.get(id, id))
        if unit is None:
            raise self._unknown(id)
        return unit

    def matching(self, patterns: Iterable[str]) -> list[U]:
        """The units whose id or alias matches one of the patterns (``storage.*``), in the registry's order.

        Raises:
            UnknownIdError: a pattern matches nothing.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            names = (*self._units, *self._aliases)
            found = {self._aliases.get(name, name) for name in names if fnmatchcase(name, pattern)}
            if not found:
                raise self._unknown(pattern)
            chosen |= found
        return [unit for unit in self if unit.id in chosen]

    def _unknown(self, id: str) -> UnknownIdError:  # noqa: A002  the design's word
        close = difflib.get_close_matches(id, (*self._units, *self._aliases), n=3, cutoff=0.5)
        return UnknownIdError(
            f"There is no {self.noun} {id!r}.",
            cause=f"Did you mean {' or '.join(map(repr, close))}?" if close else "",
            next_step=f"List them with: auditor list {self.noun}s",
        )


def load_checks(checks_dirs: Iterable[Path] = ()) -> Registry[Check]:
    """All checks of this installation, then those in the ``*.py`` files of the given folders.

    Raises:
        DuplicateIdError: two places claim one id.
        UsageError: a folder does not exist.
    """
    registry = _load(CHECKS, "check", Check)
    for folder in checks_dirs:
        _add_folder(registry, folder)
    return registry


def load_probes() -> Registry[Probe]:
    """All probes of this installation.

    Raises:
        DuplicateIdError: two places claim one id.
    """
    return _load(PROBES, "probe", Probe)


def load_reports() -> Registry[Report]:
    """All reports of this installation.

    Raises:
        DuplicateIdError: two places claim one id.
    """
    return _load(REPORTS, "report", Report)


def load_report(id: str) -> Report:  # noqa: A002  the design's word
    """One report, importing no other: a text summary need not pay for the HTML templates.

    Raises:
        UnknownIdError: there is none of that id.
    """
    registry = _load(REPORTS, "report", Report, only=id)
    return registry.get(id) if len(registry) else load_reports().get(id)


def _load(group: str, noun: str, kind: type[U], only: str | None = None) -> Registry[U]:
    registry: Registry[U] = Registry(noun)
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.value, entry.name)):
        if only is not None and entry.name != only:
            continue
        try:
            module = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a plugin does, the run goes on
            registry.failures.append(_failure(entry.name, entry.value, error))
            continue
        _add_module(registry, module, kind)
    return registry


def _add_module(registry: Registry[U], module: ModuleType, kind: type[U]) -> None:
    for value in vars(module).values():
        unit = getattr(value, "__auditor__", None)
        if isinstance(unit, kind):
            registry.add(unit)


def _add_folder(registry: Registry[Check], folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {str(folder)!r} to find checks in.",
            next_step="Give --checks-dir a folder with .py files; see docs/write-a-check.md.",
        )
    for path in sorted(folder.glob("*.py")):
        try:
            module = _import_file(path)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a plugin does, the run goes on
            registry.failures.append(_failure(path.stem, str(path), error))
            continue
        _add_module(registry, module, Check)


def _import_file(path: Path) -> ModuleType:
    name = f"auditor_checks_dir.{path.parent.resolve().as_posix().strip('/').replace('/', '_')}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations are resolved through it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _failure(name: str, place: str, error: BaseException) -> LoadFailure:
    return LoadFailure(
        name=name,
        place=place,
        error=f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
    )
