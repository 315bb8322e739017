"""Observations as lines of a log, so that a reader knows which are whole, which are damaged, and whether all came.

A frame is one line of ASCII::

    @auditor <record> <piece>/<pieces> <length> <crc32> <piece of the record's JSON>

Lines are short: CRI runtimes cut lines at 16 KiB, and a pipe that several processes write to takes at most 4,096 bytes
in one piece. What stands before a frame in its line was written by somebody else without an end of line.

The last record of a task says how many there were, or which error ended it.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

MARK = "@auditor"
_PIECE_CHARACTERS = 3900
"""With the head of a frame, less than the 4,096 bytes that a pipe takes in one piece."""

_FRAME = re.compile(r"@auditor (\d+) (\d+)/(\d+) (\d+) ([0-9a-f]{8}) ")

END = "end"
ERROR = "error"
RESULT = "result"


class AgentLog(NamedTuple):
    """What a log holds.

    Attributes:
        results: the observations that came whole, in their order.
        announced: how many there should be, as the task's last record says; None while it has not ended.
        error: what ended the task, empty where nothing did.
        damaged: records of which a piece is missing or not as it was written.
    """

    results: list[dict[str, Any]]
    announced: int | None
    error: str
    damaged: int

    @property
    def is_whole(self) -> bool:
        """Whether the task came to its end, and everything that it said is here."""
        return not self.error and not self.damaged and self.announced == len(self.results)


class Writer:
    """Writes records to a file descriptor, each line in one piece.

    Args:
        descriptor: standard output, unless a test wants it elsewhere.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._records = 0
        self._results = 0

    def result(self, observation: dict[str, Any]) -> None:
        """One observation."""
        self._results += 1
        self._write({RESULT: observation})

    def end(self) -> None:
        """The task is done."""
        self._write({END: self._results})

    def error(self, text: str) -> None:
        """The task could not be done."""
        self._write({ERROR: text})

    def _write(self, record: dict[str, Any]) -> None:
        for line in frames(self._records, record):
            data = line.encode("ascii")
            while data:
                data = data[os.write(self._descriptor, data) :]
        self._records += 1


def frames(number: int, record: dict[str, Any]) -> Iterator[str]:
    """The lines of one record, with their ends."""
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    pieces = [text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS)]
    for index, piece in enumerate(pieces, start=1):
        yield f"{MARK} {number} {index}/{len(pieces)} {len(piece)} {_checksum(piece)} {piece}\n"


def parse(text: str) -> AgentLog:
    """What a log holds, whatever else was written to it and wherever it was cut."""
    records, damaged = _records(text)
    results: list[dict[str, Any]] = []
    announced, error = None, ""
    for number in sorted(records):
        record = records[number]
        if RESULT in record:
            results.append(record[RESULT])
        elif END in record:
            announced = record[END]
        else:
            error = str(record.get(ERROR, "the agent wrote a record of no known kind"))
    return AgentLog(results, announced, error, damaged)


def _records(text: str) -> tuple[dict[int, dict[str, Any]], int]:
    """The whole records by their numbers, and how many are damaged."""
    pieces: dict[int, dict[int, str]] = {}
    expected: dict[int, int] = {}
    damaged_lines = 0
    for line in text.split("\n"):
        if MARK not in line:
            continue
        frame = _frame(line)
        if frame is None:
            damaged_lines += 1
            continue
        number, index, count, piece = frame
        expected[number] = count
        pieces.setdefault(number, {})[index] = piece
    whole = {number: pieces[number] for number in pieces if len(pieces[number]) == expected[number]}
    records = {number: json.loads("".join(whole[number][i] for i in sorted(whole[number]))) for number in whole}
    torn = len(pieces) - len(whole)
    lost = max(pieces, default=-1) + 1 - len(pieces)
    return records, max(damaged_lines, torn + lost)


def _frame(line: str) -> tuple[int, int, int, str] | None:
    """Number, index, count and text of the piece that a line holds; None where it is damaged."""
    for match in _FRAME.finditer(line):
        number, index, count, length = (int(match[group]) for group in range(1, 5))
        piece = line[match.end() : match.end() + length]
        if len(piece) == length and _checksum(piece) == match[5]:
            return number, index, count, piece
    return None


def _checksum(piece: str) -> str:
    return f"{zlib.crc32(piece.encode('ascii', 'replace')):08x}"
