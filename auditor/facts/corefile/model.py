"""What a Corefile says: server blocks, their plugins, and what it imports from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from auditor.facts.corefile.lexer import BYTE_ORDER_MARK, WHITE_SPACE, Token
from auditor.facts.corefile.zones import Address, closest, is_symbolic, is_within

__all__ = ["Corefile", "Directive", "MissingImport", "ServerBlock", "is_symbolic"]


@dataclass(frozen=True, slots=True)
class Directive:
    """A plugin in a server block, or an option in a plugin's own block.

    Attributes:
        name: the first word.
        args: the further words on its line, up to an opening brace.
        options: what stands in its braces; empty where it has none.
        line: the line on which it begins, counted from 1.
        file: the file that it stands in.
    """

    name: str
    args: tuple[str, ...] = ()
    options: tuple[Directive, ...] = ()
    line: int = field(default=0, compare=False)
    file: str = field(default="", compare=False)

    def option(self, name: str) -> Directive | None:
        """Its last option of that name: of most options the last one counts."""
        return next((each for each in reversed(self.options) if each.name == name), None)

    @property
    def words(self) -> tuple[str, ...]:
        """Its name and arguments."""
        return (self.name, *self.args)


@dataclass(frozen=True, slots=True)
class ServerBlock:
    """The plugins that answer for some zones.

    Attributes:
        keys: the addresses as they are written.
        addresses: what they stand for.
        directives: the plugins, in the file's order. CoreDNS runs them in an order of its own.
        lines: the words of all directives, line by line, as they are printed.
        line: the line on which the block begins, counted from 1.
        file: the file that it begins in.
    """

    keys: tuple[str, ...]
    addresses: tuple[Address, ...] = field(compare=False)
    directives: tuple[Directive, ...] = field(compare=False)
    lines: tuple[tuple[str, ...], ...]
    line: int = field(default=0, compare=False)
    file: str = field(default="", compare=False)

    def named(self, name: str) -> tuple[Directive, ...]:
        """All plugins of that name."""
        return tuple(each for each in self.directives if each.name == name)

    def plugin(self, name: str) -> Directive | None:
        """The first plugin of that name."""
        return next((each for each in self.directives if each.name == name), None)

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones of its plain DNS addresses."""
        return tuple(address.zone for address in self.addresses if address.transport == "dns")

    def __str__(self) -> str:
        if is_snippet_name(self.keys) and not self.lines:
            return _printed(self.keys[0])  # with braces it would declare a snippet; it ends the file
        head = " ".join([*(_printed(f"{key},") for key in self.keys[:-1]), _printed(self.keys[-1])])
        if self.keys[0] == "import":
            head = f'"" {head}'  # an empty word keeps it from being read as an import
        return "\n".join([f"{head} {{", *(" ".join(map(_printed, line)) for line in self.lines), "}"])


@dataclass(frozen=True, slots=True)
class MissingImport:
    """An ``import`` of files that nobody gave to the parser.

    Attributes:
        pattern: the absolute path or pattern.
        line: where it is imported.
        file: the file that imports it.
    """

    pattern: str
    line: int
    file: str

    @property
    def folder(self) -> str:
        """The folder that the files would be in."""
        return self.pattern.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Corefile:
    """A Corefile with everything imported that there was to import.

    Attributes:
        blocks: the server blocks, in the file's order.
        missing: the imports whose files are not known; what they bring may be anything.
    """

    blocks: tuple[ServerBlock, ...]
    missing: tuple[MissingImport, ...] = ()

    def __str__(self) -> str:
        text = "".join(f"{block}\n" for block in self.blocks)
        return f"\n{text}" if text.startswith(BYTE_ORDER_MARK) else text

    def plugins(self, name: str) -> Iterator[tuple[ServerBlock, Directive]]:
        """Every use of a plugin, with the block that it stands in."""
        for block in self.blocks:
            yield from ((block, each) for each in block.named(name))

    @property
    def port(self) -> str | None:
        """The port on which it answers for the cluster: that of the first block with the kubernetes plugin, else 53."""
        ports = [
            [address.port for address in block.addresses if address.transport == "dns"]
            for block in sorted(self.blocks, key=lambda block: block.plugin("kubernetes") is None)
        ]
        return next((port for port in (own[0] for own in ports if own) if port), None)

    def block_for(self, name: str) -> ServerBlock | None:
        """The block that answers for a name (lower case, final dot): the one with the longest zone that it lies in.

        Of several for one zone the first without a ``view``, which would limit it to some clients, is taken.
        """
        found: ServerBlock | None = None
        longest = -1
        for block in sorted(self.blocks, key=lambda block: block.plugin("view") is not None):
            zone = closest(name, self._zones_on_port(block))
            if zone is not None and len(zone) > longest:
                found, longest = block, len(zone)
        return found

    def blocks_below(self, zone: str) -> Sequence[ServerBlock]:
        """The blocks that answer for some of the names below a zone, itself not counted."""
        return [
            block
            for block in self.blocks
            if any(is_within(own, zone) and own != zone for own in self._zones_on_port(block))
        ]

    def _zones_on_port(self, block: ServerBlock) -> tuple[str, ...]:
        port = self.port
        return tuple(address.zone for address in block.addresses if address.transport == "dns" and address.port == port)


def directives_of(tokens: Sequence[Token]) -> tuple[Directive, ...]:
    """The options between the braces of a plugin, or one plugin: tokens in, nested lines out.

    A closing brace counts only at the beginning of a line: after a word CoreDNS takes it for one more argument.
    """
    found, _ = _block(tokens, 0)
    return found


def _block(tokens: Sequence[Token], start: int) -> tuple[tuple[Directive, ...], int]:
    """The directives from a place on, and where the block ends."""
    found: list[Directive] = []
    position = start
    while position < len(tokens) and tokens[position].text != "}":
        head = tokens[position]
        args: list[str] = []
        position += 1
        while _is_argument(tokens, position):
            args.append(tokens[position].text)
            position += 1
        options: tuple[Directive, ...] = ()
        if position < len(tokens) and tokens[position].text == "{":
            options, position = _block(tokens, position + 1)
        found.append(Directive(head.text, tuple(args), options, head.line, head.file))
    return tuple(found), position + 1


def _is_argument(tokens: Sequence[Token], position: int) -> bool:
    return position < len(tokens) and tokens[position].continues(tokens[position - 1]) and tokens[position].text != "{"


def lines_of(tokens: Sequence[Token]) -> tuple[tuple[str, ...], ...]:
    """The words, line by line."""
    lines: list[list[str]] = []
    for number, token in enumerate(tokens):
        if number == 0 or not token.continues(tokens[number - 1]):
            lines.append([])
        lines[-1].append(token.text)
    return tuple(map(tuple, lines))


def is_snippet_name(keys: Sequence[str]) -> bool:
    """Whether the head of a block declares a snippet: one word in parentheses."""
    return len(keys) == 1 and keys[0].startswith("(") and keys[0].endswith(")")


def _printed(word: str) -> str:
    """A word as it must be written to be read as itself."""
    if word and word[0] != '"' and "#" not in word and WHITE_SPACE.isdisjoint(word):
        return word
    escaped = word.replace('"', '\\"')
    return f'"{escaped}"'
