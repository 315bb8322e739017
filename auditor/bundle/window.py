"""A sliding window over a JSON file: values are taken from its front, blocks are read behind them."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, Protocol

from auditor.bundle.limits import MIB, Limits
from auditor.errors import BundleError

BLOCK_BYTES = MIB

_FIRST_LOOK_BYTES = 16 * 1024
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCAN = json.JSONDecoder().raw_decode
_BEGUN = re.compile(r"(t(ru?)?|f(a(ls?)?)?|n(ul?)?|-)?|[\\u]{0,2}[0-9A-Fa-f]{0,3}")
"""What can be left of a value that is cut behind a complete one: a literal, a number or an escape that was begun."""


class ByteStream(Protocol):
    """What a window reads from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""


class Window:
    """The part of a file that is in memory.

    Attributes:
        data: the bytes at hand.
        at: where in ``data`` the next token begins; what lies before it is dropped by the next :meth:`more`.
    """

    def __init__(self, stream: ByteStream, file: str, limits: Limits) -> None:
        self.data = b""
        self.at = 0
        self.file = file
        self._stream = stream
        self._limits = limits
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._utf8_pending = False
        self._dropped = 0
        self.more()
        if self.data.startswith(codecs.BOM_UTF8):
            self.at = len(codecs.BOM_UTF8)

    def more(self) -> bool:
        """Read one more block; False at the end of the file.

        Raises:
            BundleError: the file is not UTF-8.
        """
        block = self._stream.read(BLOCK_BYTES)
        self._check_utf8(block)
        self._dropped += self.at
        self.data = self.data[self.at :] + block
        self.at = 0
        return bool(block)

    def peek(self) -> bytes:
        """The next byte that is no white space, empty at the end of the file."""
        while True:
            found = _SPACE.match(self.data, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            if not self.more():
                return b""

    def take(self, expected: bytes, inside: str) -> bytes:
        """Step over the next byte, which must be one of ``expected``.

        Args:
            expected: the bytes allowed.
            inside: what is being read, for the message.

        Raises:
            BundleError: another byte is there, or the file ends.
        """
        found = self.peek()
        if not found:
            raise self.truncated(inside)
        if found not in expected:
            raise self.malformed(f"{found!r:.20} where one of {expected.decode()!r} belongs, in {inside}")
        self.at += 1
        return found

    def value(self, inside: str) -> tuple[Any, bytes]:
        """Step over the next JSON value, of whatever layout.

        Args:
            inside: what is being read, for the message.

        Returns:
            The value, and its bytes.

        Raises:
            BundleError: it is malformed, cut short, or larger than one item may be.
        """
        self.peek()
        size = _FIRST_LOOK_BYTES
        while True:
            text = self.data[self.at : self.at + size].decode("utf-8", "ignore")
            whole = self.at + size >= len(self.data)
            value, end = self._scan(text, inside)
            if end is not None and (end < len(text) or (whole and not self._grow(inside))):
                length = len(text[:end].encode())
                self._check_size(length, inside)
                source = self.data[self.at : self.at + length]
                self.at += length
                return value, source
            if end is None and whole and not self._grow(inside):
                raise self.truncated(inside)
            size *= 2

    def truncated(self, inside: str) -> BundleError:
        """The error for a file that ends too early."""
        return BundleError(
            f"{self.file} is cut short: it ends in {inside}.",
            cause="The disk was full, the copy broke off, or kubectl was interrupted.",
            next_step="Fetch that file again, or collect again.",
        )

    def malformed(self, what: str) -> BundleError:
        """The error for a file that is no JSON."""
        return BundleError(
            f"{self.file} is not valid JSON: {what} (near byte {self._dropped + self.at}).",
            cause="The file was edited, or an error message was saved in place of JSON.",
            next_step="Fetch that file again with -o json, or collect again.",
        )

    def _scan(self, text: str, inside: str) -> tuple[Any, int | None]:
        try:
            return _SCAN(text)
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated string") or _BEGUN.fullmatch(text, error.pos):
                return None, None
            raise self.malformed(f"{error.msg}, in {inside}") from error
        except (RecursionError, ValueError) as error:
            raise self.malformed(f"{error}, in {inside}") from error

    def _grow(self, inside: str) -> bool:
        self._check_size(len(self.data) - self.at, inside)
        return self.more()

    def _check_size(self, size_bytes: int, inside: str) -> None:
        limit = self._limits.item_bytes
        if size_bytes > limit:
            raise BundleError(
                f"{self.file} holds more than {limit / MIB:g} MiB in one piece, in {inside}.",
                cause="No API object is that large; the file is no List, or was made to exhaust memory.",
                next_step="Fetch that file again, or leave it out.",
            )

    def _check_utf8(self, block: bytes) -> None:
        if block.isascii() and not self._utf8_pending and block:
            return
        try:
            self._utf8.decode(block, final=not block)
        except UnicodeDecodeError as error:
            if not block:
                raise self.truncated("the middle of a character") from error
            raise BundleError(
                f"{self.file} is not valid UTF-8: {error.reason} (near byte {self._dropped + len(self.data)}).",
                cause="The file was damaged, or saved in another encoding: PowerShell's > writes UTF-16.",
                next_step="Fetch that file again; in PowerShell use: kubectl … | Out-File -Encoding utf8 FILE",
            ) from error
        self._utf8_pending = bool(self._utf8.getstate()[0])
