"""What the API server says of itself at /readyz?verbose: one line per part of it, and whether all is well."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"\[(?P<mark>[+-])\](?P<name>\S+) (?P<rest>.*)")
_VERDICT = re.compile(r"(?:readyz|livez|healthz) check (?P<word>passed|failed)")
_BRIEF = "ok"
"""The whole answer where it is not verbose."""


@dataclass(frozen=True, slots=True)
class ReadinessLine:
    """One part of the API server.

    Attributes:
        name: such as ``etcd`` or ``poststarthook/rbac/bootstrap-roles``.
        ok: whether it works.
        excluded: whether it was left out on request, which also reads "ok".
        reason: what is said of it beside; the server withholds the reason of a failure from most accounts.
    """

    name: str
    ok: bool
    excluded: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """A whole answer.

    Attributes:
        passed: whether the server takes requests.
        lines: its parts, in the server's order; empty where it did not go into detail.
    """

    passed: bool
    lines: tuple[ReadinessLine, ...] = ()

    @property
    def failed(self) -> tuple[ReadinessLine, ...]:
        """The parts that do not work."""
        return tuple(line for line in self.lines if not line.ok)

    @property
    def excluded(self) -> tuple[ReadinessLine, ...]:
        """The parts that were not looked at."""
        return tuple(line for line in self.lines if line.excluded)

    def line(self, name: str) -> ReadinessLine | None:
        """The part of that name."""
        return next((line for line in self.lines if line.name == name), None)


def parse_readiness(text: str) -> Readiness:
    """The answer of /readyz, verbose or not, and of /livez and /healthz, which look the same.

    Raises:
        ValueError: it is another text.
    """
    if text.strip() == _BRIEF:
        return Readiness(passed=True)
    lines = tuple(_line(match) for match in map(_LINE.fullmatch, map(str.strip, text.splitlines())) if match)
    verdict = _VERDICT.search(text)
    if verdict is None and not lines:
        raise ValueError(f"This is no answer of /readyz: {text.strip()[:80]!r}")
    said_passed = verdict is None or verdict["word"] == "passed"
    return Readiness(passed=said_passed and all(line.ok for line in lines), lines=lines)


def _line(match: re.Match[str]) -> ReadinessLine:
    rest = match["rest"]
    excluded = rest.startswith("excluded:")
    return ReadinessLine(
        name=match["name"],
        ok=match["mark"] == "+",
        excluded=excluded,
        reason="" if rest == "ok" or excluded else rest.removeprefix("failed:").strip(),
    )
