"""Mistakes in a configuration: collected, so that one run shows all of them, and then raised as one error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from auditor.errors import ConfigError

M = TypeVar("M", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong.

    Attributes:
        place: ``file:line``, the environment variable or the flag.
        what: what is wrong, one sentence.
        hint: what may have been meant, or what is allowed.
        unknown_check: whether it names a check that is not there, which a plugin that cannot be loaded may explain.
    """

    place: str
    what: str
    hint: str = ""
    unknown_check: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.what} {self.hint}".rstrip()


def refuse(mistakes: Sequence[Mistake], *, next_step: str) -> None:
    """Raise what is wrong, if anything is.

    Raises:
        ConfigError: there is at least one mistake; the error names all of them.
    """
    if not mistakes:
        return
    if len(mistakes) == 1:
        (only,) = mistakes
        raise ConfigError(f"{only.place}: {only.what}", cause=only.hint, next_step=next_step)
    listed = "\n".join(f"  {mistake}" for mistake in sorted(mistakes, key=_by_line))
    raise ConfigError(f"The configuration has {len(mistakes)} mistakes:\n{listed}", next_step=next_step)


def _by_line(mistake: Mistake) -> tuple[str, int]:
    file, _, line = mistake.place.partition(" ")[0].rpartition(":")
    return file, int(line) if line.isdigit() else 0


def closest(word: str, known: Iterable[str]) -> str:
    """A question for the known name that is most like ``word``; empty where none is."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """What ``word`` may have been meant to be, else all that is known."""
    names = list(known)
    return closest(word, names) or f"Known: {', '.join(names)}."


def member(kind: type[M], text: object) -> M:
    """The member of an enumeration that ``text`` names.

    Raises:
        ValueError: there is none; its two arguments are what is wrong and a hint.
    """
    known = [str(name) for name in kind]
    if text in known:
        return kind(str(text))
    raise ValueError(f"{text!r} is not one of: {', '.join(known)}.", closest(str(text), known))
