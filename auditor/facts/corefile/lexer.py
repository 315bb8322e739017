"""A Corefile's text as tokens, by the rules of the Caddyfile that CoreDNS uses.

Tokens are parted by white space. One that begins with a double quote goes on to the next one, over lines too; within,
a backslash keeps a quote from ending it, and stands for itself before anything else. A hash ends a token and begins a
comment. Braces are tokens like any other: only a token that is nothing but a brace counts as one, quoted or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BYTE_ORDER_MARK = "\ufeff"

WHITE_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}
"""What Unicode calls white space; Python's ``isspace`` counts some control characters too."""


class CorefileError(ValueError):
    """CoreDNS would not start with this Corefile.

    Attributes:
        what: what is wrong, as half a sentence.
        line: the line, counted from 1.
        file: the file that the line is in.
    """

    def __init__(self, what: str, *, line: int, file: str) -> None:
        super().__init__(f"{file}:{line}: {what}")
        self.what = what
        self.line = line
        self.file = file


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a Corefile.

    Attributes:
        text: the word, without the quotes around it.
        line: the line on which it begins, counted from 1.
        file: the file that it stands in.
    """

    text: str
    line: int
    file: str

    @property
    def last_line(self) -> int:
        """The line on which it ends: a quoted word may hold line breaks."""
        return self.line + self.text.count("\n")

    def continues(self, previous: Token) -> bool:
        """Whether it stands on the line on which another one ends."""
        return self.file == previous.file and self.line == previous.last_line


def tokens_of(text: str, *, file: str) -> list[Token]:
    """All tokens of a file. Every text has some reading; a quote that is never closed ends with the text."""
    return list(_Lexer(text.removeprefix(BYTE_ORDER_MARK), file))


class _Lexer:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._position = 0
        self._line = 1

    def __iter__(self) -> Iterator[Token]:
        while self._skip():
            line = self._line
            if self._text[self._position] == '"':
                word = self._quoted()
                if word is None:
                    return
            else:
                word = self._word()
            yield Token(word, line, self._file)

    def _skip(self) -> bool:
        """Go to the next token; False at the end of the text."""
        in_comment = False
        while self._position < len(self._text):
            char = self._text[self._position]
            if char == "\n":
                self._line += 1
                in_comment = False
            elif char == "#":
                in_comment = True
            elif char not in WHITE_SPACE and not in_comment:
                return True
            self._position += 1
        return False

    def _word(self) -> str:
        """A word without quotes. What follows a ``#`` in it is dropped up to the next white space only."""
        kept: list[str] = []
        in_comment = False
        while self._position < len(self._text):
            char = self._text[self._position]
            self._position += 1
            if char == "\r":
                continue
            if char in WHITE_SPACE:
                self._line += char == "\n"
                break
            in_comment = in_comment or char == "#"
            if not in_comment:
                kept.append(char)
        return "".join(kept)

    def _quoted(self) -> str | None:
        """A word in quotes; None where the text ends right after the opening one."""
        self._position += 1
        kept: list[str] = []
        escaped = False
        while self._position < len(self._text):
            char = self._text[self._position]
            self._position += 1
            if not escaped and char == "\\":
                escaped = True
                continue
            if not escaped and char == '"':
                return "".join(kept)
            self._line += char == "\n"
            if escaped and char != '"':
                kept.append("\\")
            kept.append(char)
            escaped = False
        return "".join(kept) or None
