"""From tokens to server blocks, as CoreDNS puts them together: addresses, braces, snippets, imports.

Environment variables stay as they are written. Plugins are not checked against a list, and neither are their options.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from auditor.facts.corefile.lexer import CorefileError, Token, tokens_of
from auditor.facts.corefile.model import (
    Corefile,
    MissingImport,
    ServerBlock,
    directives_of,
    is_snippet_name,
    is_symbolic,
    lines_of,
)
from auditor.facts.corefile.zones import Address, addresses_of

COREFILE = "/etc/coredns/Corefile"
"""Where CoreDNS finds its Corefile in a pod."""

MAX_IMPORTS = 10_000
"""CoreDNS gives up after so many imports of snippets."""

MAX_TOKENS = 200_000
"""An import that makes a Corefile longer than this many words is refused here: it imports itself."""

MAX_NESTING = 50
"""No plugin reads braces within braces deeper than two."""


def parse_corefile(
    text: str, *, path: str = COREFILE, files: Mapping[str, str] | None = None, folders: Collection[str] = ()
) -> Corefile:
    """Read a Corefile.

    Args:
        text: the Corefile.
        path: where it lies, which relative imports start from.
        files: other files by absolute path, for imports.
        folders: folders whose files are all in ``files``: what is not there does not exist.

    Raises:
        CorefileError: CoreDNS would not start with it.
    """
    return _Parser(tokens_of(text, file=path), path, files or {}, folders).parse()


class _Parser:
    """A cursor over tokens that imports are spliced into, since an import may stand for anything, half a block too."""

    def __init__(self, tokens: list[Token], path: str, files: Mapping[str, str], folders: Collection[str]) -> None:
        self._tokens = tokens
        self._path = path
        self._files = files
        self._folders = folders
        self._cursor = -1
        self._snippets: dict[str, list[Token]] = {}
        self._imports = 0
        self._missing: list[MissingImport] = []

    def parse(self) -> Corefile:
        blocks = []
        while self._next():
            block = self._block()
            if block is not None:
                blocks.append(block)
        return Corefile(tuple(blocks), tuple(self._missing))

    # Blocks

    def _block(self) -> ServerBlock | None:
        """The next server block; None for a snippet, or where nothing but empty words or imports were left."""
        keys, at_end = self._keys()
        names = [key.text for key in keys]
        if not at_end and is_snippet_name(names):
            self._snippet(names[0][1:-1])
            return None
        directives = [] if at_end else self._contents()
        if not keys:
            return None
        return ServerBlock(
            keys=tuple(names),
            addresses=tuple(address for key in keys for address in self._addresses(key)),
            directives=tuple(each for tokens in directives for each in directives_of(tokens)),
            lines=tuple(words for tokens in directives for words in lines_of(tokens)),
            line=keys[0].line,
            file=keys[0].file,
        )

    def _keys(self) -> tuple[list[Token], bool]:
        """The addresses at the head of a block, and whether the text ends with them."""
        keys: list[Token] = []
        expecting_another = False
        while True:
            word = self._word
            if word == "import" and self._is_new_line():
                self._import()
                continue
            if word == "{":
                if expecting_another:
                    raise self._error("expected another address after the comma, found an opening brace")
                return keys, False
            if word:
                expecting_another = word.endswith(",")
                keys.append(replace(self._token, text=word.removesuffix(",")))
            if not self._next():
                if expecting_another:
                    raise self._error("the file ends where another address was expected")
                return keys, True
            if not expecting_another and self._is_new_line():
                return keys, False

    def _addresses(self, key: Token) -> tuple[Address, ...]:
        try:
            return addresses_of(key.text)
        except ValueError as error:
            what = f"{key.text!r} is no address of a server block: {error}"
            raise CorefileError(what, line=key.line, file=key.file) from None

    def _contents(self) -> list[list[Token]]:
        """The tokens of each directive of a block; its braces may be left out if it is the only one."""
        has_braces = self._word == "{"
        if not has_braces:
            self._cursor -= 1
        directives = []
        while self._next() and self._word != "}":
            if self._word == "import":
                self._import()
                self._cursor -= 1
            else:
                directives.append(self._directive())
        if has_braces and self._word != "}":
            raise self._error("the closing brace of a server block is missing")
        return directives

    def _directive(self) -> list[Token]:
        """The tokens of a directive: up to the end of its line, or of its braces."""
        if self._word == "{":
            raise self._error("an opening brace where a plugin was expected")
        tokens = [self._token]
        nesting = 0
        while self._next():
            if self._word == "{":
                nesting = self._deeper(nesting)
            elif nesting == 0 and self._is_new_line():
                self._cursor -= 1
                break
            elif self._word == "}":
                nesting = self._shallower(nesting)
            elif self._is_import():
                self._import()
                self._cursor -= 1
                continue
            tokens.append(self._token)
        if nesting:
            raise self._error("the file ends within the braces of a plugin")
        return tokens

    def _deeper(self, nesting: int) -> int:
        if nesting == MAX_NESTING:
            raise self._error(f"braces are nested deeper than {MAX_NESTING} times")
        return nesting + 1

    def _shallower(self, nesting: int) -> int:
        if nesting == 0:
            raise self._error("a closing brace on the line of a plugin that opened none")
        return nesting - 1

    # Imports

    def _is_import(self) -> bool:
        """Whether the current token is one that must be replaced."""
        if self._word != "import" or self._is_new_line():
            return self._word == "import"
        if self._token.continues(self._tokens[self._cursor - 1]):
            return False
        raise self._error("an import within a snippet that is not expanded, since the snippet stands further up")

    def _snippet(self, name: str) -> None:
        if name in self._snippets:
            raise self._error(f"the snippet {name} is declared twice")
        if self._word != "{":
            raise self._error(f"the snippet {name} needs an opening brace")
        tokens: list[Token] = []
        nesting = 1
        while nesting and self._next():
            nesting += {"{": 1, "}": -1}.get(self._word, 0)
            tokens.append(self._token)
        if nesting:
            raise self._error(f"the closing brace of the snippet {name} is missing")
        for before, word, after in zip([None, *tokens], tokens, tokens[1:], strict=False):
            begins_line = before is None or (before.file, before.line) != (word.file, word.line)
            if begins_line and word.text == "import" and after.text == name:
                raise self._error(f"the snippet {name} imports itself")
        self._snippets[name] = tokens[:-1]

    def _import(self) -> None:
        """Put what is imported in the place of the two words ``import PATTERN``, with the cursor on the first of it."""
        if not self._next_on_line():
            raise self._error("import needs a file, a pattern or a snippet")
        pattern = self._word
        if not pattern:
            raise self._error("import needs a file, a pattern or a snippet")
        if self._next_on_line():
            raise self._error("import takes one argument only")
        self._imports += 1
        if self._imports > MAX_IMPORTS:
            raise self._error(f"more than {MAX_IMPORTS} imports: a file or a snippet imports itself")
        imported = self._snippets[pattern] if pattern in self._snippets else self._imported(pattern)
        if len(self._tokens) + len(imported) > MAX_TOKENS:
            raise self._error(f"imports make it longer than {MAX_TOKENS} words: a file or a snippet imports itself")
        self._tokens[self._cursor - 1 : self._cursor + 1] = imported
        self._cursor -= 1

    def _imported(self, pattern: str) -> list[Token]:
        """The tokens of all files that a pattern names."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self._token.file), pattern))
        if is_symbolic(path):
            self._missing.append(MissingImport(path, self._line, self._token.file))
            return []
        if path.count("*") > 1 or path.count("?") > 1 or ("[" in path and "]" in path):
            raise self._error(f"the pattern {pattern} may have one wildcard only")
        glob = _glob(path)
        found = sorted(name for name in self._files if glob.fullmatch(name))
        if not found and posixpath.dirname(path) not in self._folders:
            self._missing.append(MissingImport(path, self._line, self._token.file))
        elif not found and not re.search(r"[*?\[\]]", path):
            raise self._error(f"the file to import does not exist: {pattern}")
        return [token for name in found for token in tokens_of(self._files[name], file=name)]

    # The cursor

    @property
    def _token(self) -> Token:
        return self._tokens[self._cursor]

    @property
    def _word(self) -> str:
        """The text of the current token; empty where an import at the end of the file brought nothing."""
        return self._token.text if 0 <= self._cursor < len(self._tokens) else ""

    @property
    def _line(self) -> int:
        """The line of the current token, or of the last one."""
        return self._tokens[min(max(self._cursor, 0), len(self._tokens) - 1)].line if self._tokens else 0

    def _next(self) -> bool:
        if self._cursor >= len(self._tokens) - 1:
            return False
        self._cursor += 1
        return True

    def _next_on_line(self) -> bool:
        following = self._cursor + 1
        if following >= len(self._tokens) or not self._tokens[following].continues(self._token):
            return False
        self._cursor = following
        return True

    def _is_new_line(self) -> bool:
        """Whether the current token begins a line. Words of a snippet that stands further up do not count as new."""
        if self._cursor < 1:
            return True
        if self._cursor >= len(self._tokens):
            return False
        previous, current = self._tokens[self._cursor - 1], self._token
        return previous.file != current.file or previous.last_line < current.line

    def _error(self, what: str) -> CorefileError:
        file = self._tokens[min(max(self._cursor, 0), len(self._tokens) - 1)].file if self._tokens else self._path
        return CorefileError(what, line=self._line, file=file)


def _glob(path: str) -> re.Pattern[str]:
    """A path with wildcards, none of which crosses a slash."""
    parts = {"*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in path), re.DOTALL)
