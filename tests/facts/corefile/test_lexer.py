"""Tokens: the rules and the oddities of the Caddyfile that CoreDNS reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.corefile import tokens_of


def words(text: str) -> list[str]:
    return [token.text for token in tokens_of(text, file="Corefile")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n", []),
        (".:53 {\n errors\n}", [".:53", "{", "errors", "}"]),
        ("a{b}", ["a{b}"]),
        ("# comment\na # comment { }\nb", ["a", "b"]),
        ("a#b c\nd", ["a", "c", "d"]),  # a comment within a word ends with the word
        ('"a b" c', ["a b", "c"]),
        ('"a \\"b\\" c"', ['a "b" c']),
        ('"a\\b\\\\"', ["a\\b\\\\"]),
        ('a"b c"', ['a"b', 'c"']),
        ('""', [""]),
        ('"never closed', ["never closed"]),
        ('"', []),
        ('"a\nb" c', ["a\nb", "c"]),
        ("a\r\nb\rc", ["a", "bc"]),
        ("a\u00a0b\u3000c", ["a", "b", "c"]),
        ("a\x1cb", ["a\x1cb"]),  # white space in Python, and not in Go
        ("\ufeffa \ufeffb", ["a", "\ufeffb"]),
        ("{$A_B} {%C%}", ["{$A_B}", "{%C%}"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_lines_are_those_on_which_words_begin() -> None:
    tokens = tokens_of('a\n\n"b\nc" d\n# e\nf', file="Corefile")

    assert [(token.text, token.line, token.last_line) for token in tokens] == [
        ("a", 1, 1),
        ("b\nc", 3, 4),
        ("d", 4, 4),
        ("f", 6, 6),
    ]
    assert tokens[2].continues(tokens[1])
    assert not tokens[1].continues(tokens[0])


def test_words_of_two_files_are_never_on_one_line() -> None:
    first, second = tokens_of("a", file="one"), tokens_of("b", file="two")

    assert not second[0].continues(first[0])


@given(st.text())
def test_every_text_has_a_reading(text: str) -> None:
    tokens = tokens_of(text, file="Corefile")

    lines = text.count("\n") + 1
    assert all(1 <= token.line <= token.last_line <= lines for token in tokens)
    assert [token.line for token in tokens] == sorted(token.line for token in tokens)


@given(st.lists(st.from_regex(r'[^\s"#\\\x00-\x1f\x85\xa0]+', fullmatch=True)))
def test_plain_words_come_back(plain: list[str]) -> None:
    assert words(" ".join(["x", *plain])) == ["x", *plain]
