"""The sources of a configuration, each with what it gives and the place where it gives it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from auditor.config.document import Document, KeyPath
from auditor.config.mistakes import Mistake, member
from auditor.config.schema import Choices, ConfigFile, FailOn, Given
from auditor.errors import ConfigError
from auditor.model import Strictness, Workload

FILE_NAME = "auditor.yaml"
CONFIG_VARIABLE = "AUDITOR_CONFIG"

FLAGS = {
    "profile": "--profile",
    "workloads": "--for",
    "strictness": "--strictness",
    "fail_on": "--fail-on",
    "select": "--select",
    "skip": "--skip",
    "checks_dirs": "--checks-dir",
    "format": "--format",
    "parameters": "--param",
}
"""The flag of each setting."""

VARIABLES = {
    "profile": "AUDITOR_PROFILE",
    "workloads": "AUDITOR_FOR",
    "strictness": "AUDITOR_STRICTNESS",
    "fail_on": "AUDITOR_FAIL_ON",
    "select": "AUDITOR_SELECT",
    "skip": "AUDITOR_SKIP",
    "checks_dirs": "AUDITOR_CHECKS_DIR",
    "format": "AUDITOR_FORMAT",
}
"""The environment variable of each setting; lists are separated by commas, folders by the system's path separator."""

_OTHER_VARIABLES = (CONFIG_VARIABLE, "AUDITOR_DEBUG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One of flags, environment, file, profile and defaults.

    Attributes:
        values: what it gives; None for what it does not.
        place: where it gives a value, as messages show it.
        textual: whether values of parameters are text that is still to be converted.
    """

    values: Choices
    place: Callable[[KeyPath], str]
    textual: bool = False


def flags_source(values: Given) -> Source:
    """The flags of the command line."""
    return Source(values=values, place=lambda path: f"flag {FLAGS[str(path[0])]}", textual=True)


def environment_source(environ: Mapping[str, str]) -> tuple[Source, list[Mistake]]:
    """The ``AUDITOR_*`` variables and what is wrong with them. An empty variable counts as not set."""
    mistakes = []
    values: dict[str, Any] = {}
    for setting, variable in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            values[setting] = _from_text(setting, text)
        except ValueError as error:
            mistakes.append(Mistake(place=f"environment {variable}", what=error.args[0], hint=error.args[1]))
    return Source(values=Given(**values), place=lambda path: f"environment {VARIABLES[str(path[0])]}"), mistakes


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each variable that is nearly one of ours.

    No error: Kubernetes itself sets such as ``AUDITOR_SERVICE_HOST`` in pods beside a Service of that name.
    """
    known = (*VARIABLES.values(), *_OTHER_VARIABLES)
    warnings = []
    for variable in sorted(environ):
        if not variable.startswith("AUDITOR_") or variable in known:
            continue
        if close := difflib.get_close_matches(variable, known, n=1, cutoff=0.85):
            warnings.append(f"The environment variable {variable} is not used. Did you mean {close[0]}?")
    return warnings


def split_list(text: str) -> tuple[str, ...]:
    """The entries of a list that is separated by commas."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def workloads_from_text(text: str) -> tuple[Workload, ...]:
    """Workloads separated by commas.

    Raises:
        ValueError: one is not known; its two arguments are what is wrong and a hint.
    """
    return tuple(member(Workload, name.lower()) for name in split_list(text))


def _from_text(setting: str, text: str) -> Any:
    match setting:
        case "workloads":
            return workloads_from_text(text)
        case "strictness":
            return member(Strictness, text)
        case "fail_on":
            return member(FailOn, text)
        case "select" | "skip":
            return split_list(text)
        case "checks_dirs":
            return tuple(folder for folder in text.split(os.pathsep) if folder)
        case _:
            return text


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """The configuration file of a run.

    Attributes:
        path: as it was named.
        content: what it holds.
        document: the lines of its values.
    """

    path: Path
    content: ConfigFile
    document: Document

    @property
    def source(self) -> Source:
        """The file as a source of settings."""
        return Source(values=self.content, place=self.document.place)


def find_file(named: Path | None, environ: Mapping[str, str], *, folder: Path) -> FoundFile | None:
    """The file that was named, else the one that AUDITOR_CONFIG names, else ``auditor.yaml`` in the folder, if any.

    Raises:
        ConfigError: the named file does not exist or the file does not hold a configuration.
    """
    if named is None and environ.get(CONFIG_VARIABLE):
        named = Path(environ[CONFIG_VARIABLE])
    if named is not None:
        return read_file(named)
    standard = folder / FILE_NAME
    return read_file(standard, name=FILE_NAME) if standard.exists() else None


def read_file(path: Path, *, name: str | None = None) -> FoundFile:
    """A configuration file; folders in it are relative to the file's own.

    Args:
        path: the file.
        name: the file's name as messages show it, the path where it is not given.

    Raises:
        ConfigError: it does not exist, cannot be read, or does not hold a configuration; every mistake is named.
    """
    name = name or str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no configuration file {name!r}.",
            next_step=f"Correct --config or {CONFIG_VARIABLE}; without them {FILE_NAME} in the current folder is used.",
        ) from error
    except OSError as error:
        raise ConfigError(f"The configuration file {name!r} cannot be read: {error.strerror}.") from error
    document = Document(data, name=name)
    content = document.read(ConfigFile)
    if content.checks_dirs:
        beside = tuple(str(path.parent / Path(folder).expanduser()) for folder in content.checks_dirs)
        content = msgspec.structs.replace(content, checks_dirs=beside)
    return FoundFile(path=path, content=content, document=document)
