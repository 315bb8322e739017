"""Quantities: every form that Kubernetes accepts, against the parser of the `kubernetes` package."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kubernetes.utils import quantity as reference

from auditor.facts.quantity import parse_quantity, quantity_bytes, quantity_cores

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]

NUMBERS = st.from_regex(r"[+-]?(0|[1-9][0-9]{0,17})(\.[0-9]{0,9})?", fullmatch=True)


@given(NUMBERS, st.sampled_from(SUFFIXES))
def test_agrees_with_the_kubernetes_package(number: str, suffix: str) -> None:
    text = number + suffix

    parsed = parse_quantity(text)

    assert parsed == Fraction(Decimal(number)) * Fraction(parse_quantity(f"1{suffix}"))
    expected = reference.parse_quantity(text)
    assert float(parsed) == pytest.approx(float(expected), rel=1e-12)


@given(NUMBERS, st.integers(-18, 18), st.sampled_from("eE"))
def test_decimal_exponents(number: str, exponent: int, letter: str) -> None:
    assert parse_quantity(f"{number}{letter}{exponent}") == Fraction(Decimal(number)) * Fraction(10) ** exponent


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1", 1),
        ("250m", Fraction(1, 4)),
        ("100n", Fraction(1, 10**7)),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12E", 12 * 10**18),
        ("1.5Gi", 3 * 2**29),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+1Ki", 1024),
        ("-1k", -1000),
        ("1e-3", Fraction(1, 1000)),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_examples(text: str, value: int | Fraction) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Gi",
        "1 Gi",
        "1gi",
        "1K",
        "1kb",
        "1.2.3",
        "1e",
        "e3",
        "0x10",
        "1_000",
        "\u0661",
        "1Gi\n",
        "--1",
        "1ei",
        "nan",
    ],
)
def test_refuses_what_kubernetes_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity(text)


@given(st.text(max_size=8))
def test_never_accepts_what_the_grammar_does_not(text: str) -> None:
    try:
        parse_quantity(text)
    except ValueError:
        return
    assume(text.isascii())
    assert text[-1] in "0123456789.iknumMGTPE"


def test_bytes_round_up() -> None:
    assert [quantity_bytes("1Ki"), quantity_bytes("1500m"), quantity_bytes("10M")] == [1024, 2, 10_000_000]


def test_cores_are_floats() -> None:
    assert [quantity_cores("250m"), quantity_cores("2"), quantity_cores("100u")] == [0.25, 2.0, 0.0001]
