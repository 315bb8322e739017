"""What commands write: results to stdout or a file, tables, notes and progress to stderr."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TextIO

import click
import msgspec

from auditor.atomic import write_file
from auditor.model import Result
from auditor.registry import load_report, load_reports
from auditor.units.report import Medium

_PIPED_WIDTH_COLUMNS = 100
_NOTE_EVERY_SECONDS = 10
_REFRESH_SECONDS = 0.2


def takes_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and the user wants them (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def stdout_medium() -> Medium:
    """What stdout is."""
    width_columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPED_WIDTH_COLUMNS
    return Medium(color=takes_color(sys.stdout), width_columns=width_columns)


def write_result(result: Result, *, format: str, output: Path | None) -> None:  # noqa: A002  the flag's name
    """Render a result to stdout, or whole or not at all to a file.

    Raises:
        OutputError: the file cannot be written.
    """
    report = load_report(format)
    if output is None:
        write_text(report.render(result, stdout_medium()))
        return
    write_file(output, report.render(result))
    note(f"{output} ({report.id}): {result.verdicts.overall.level}")


def format_for(output: Path | None, *, otherwise: str) -> str:
    """The format that a file's extension stands for."""
    if output is None or not output.suffix:
        return otherwise
    extension = output.suffix.removeprefix(".").lower()
    return next((report.id for report in load_reports() if report.extension == extension), otherwise)


def write_text(text: str) -> None:
    """Write to stdout, ending with one line end, colours as they are in the text."""
    click.echo(text, nl=not text.endswith("\n"), color=True)


def write_json(value: Any) -> None:
    """Write a value to stdout as indented JSON."""
    write_text(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table: with rich on a terminal, plain and never cut in a pipe."""
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*map(Text, row))
        Console(no_color=not takes_color(sys.stdout)).print(table)
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        write_text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def write_markdown(text: str) -> None:
    """Write Markdown: laid out on a terminal, as it is in a pipe."""
    if not sys.stdout.isatty():
        write_text(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(no_color=not takes_color(sys.stdout)).print(Markdown(text, hyperlinks=False))


def note(text: str) -> None:
    """Say something on stderr, unless ``--quiet``."""
    if logging.getLogger("auditor").isEnabledFor(logging.WARNING):
        click.echo(text, err=True)


class Counts(Protocol):
    """Something that is counted elsewhere while a command waits."""

    tasks: int
    done: int
    objects: int


@contextmanager
def counting(text: str, counts: Counts) -> Iterator[None]:
    """Show how far something is: on a terminal all the time, elsewhere a line every ten seconds."""
    started = time.monotonic()
    ended = threading.Event()

    def line() -> str:
        seconds = max(time.monotonic() - started, 0.001)
        rate = counts.objects / seconds
        return f"{text}: {counts.done} of {counts.tasks} parts, {counts.objects:,} objects, {rate:,.0f}/s"

    def tell() -> None:
        while not ended.wait(_NOTE_EVERY_SECONDS):
            note(line())

    def show(status: Any) -> None:
        while not ended.wait(_REFRESH_SECONDS):
            status.update(line())

    with _status(text) as status:
        teller = threading.Thread(target=partial(show, status) if status else tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show on a terminal that something is going on, unless ``--quiet`` or ``--verbose`` say otherwise."""
    with _status(text):
        yield


@contextmanager
def _status(text: str) -> Iterator[Any]:
    """A line on a terminal's stderr that can be updated; None elsewhere."""
    if not (sys.stderr.isatty() and logging.getLogger("auditor").level == logging.WARNING):
        yield None
        return
    from rich.console import Console

    with Console(stderr=True, no_color=not takes_color(sys.stderr)).status(text) as status:
        yield status
