"""What a report is: one decorated function that renders a Result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from auditor.model import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """Where a report will be read.

    Attributes:
        color: whether terminal colours may be used.
        width_columns: the terminal's width.
    """

    color: bool = False
    width_columns: int = 100


ReportFunction = Callable[[Result, Medium], str]

F = TypeVar("F", bound=ReportFunction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it is declared.

    Attributes:
        id: the name that ``--format`` takes.
        title: what it is good for, one line.
        extension: of the file it is usually written to, without the dot.
        function: renders a result.
        place: ``file:line`` of the function.
    """

    id: str
    title: str
    extension: str
    function: ReportFunction
    place: str

    def render(self, result: Result, medium: Medium | None = None) -> str:
        """The report's text."""
        return self.function(result, medium or Medium())


def report(id: str, *, title: str, extension: str) -> Callable[[F], F]:  # noqa: A002  the design's word
    """Declare a function ``(result, medium) -> str`` to be a report.

    Args:
        id: the name that ``--format`` takes.
        title: what it is good for, one line.
        extension: of the file it is usually written to, without the dot.
    """

    def declare(function: F) -> F:
        code = function.__code__
        function.__auditor__ = Report(  # type: ignore[attr-defined]
            id=id,
            title=title,
            extension=extension,
            function=function,
            place=f"{code.co_filename}:{code.co_firstlineno}",
        )
        return function

    return declare
