"""Go durations: what Go writes is read back exactly, and what Go refuses is refused."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.durations import duration_nanoseconds, format_duration, parse_duration

LONGEST = 2**63 - 1

UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def as_go_writes(nanoseconds: int) -> str:
    """What Go's ``Duration.String`` makes of it."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if rest < size * 1000:
            return f"{sign}{_decimal(rest, size)}{unit}"
    hours, rest = divmod(rest, UNITS["h"])
    minutes, rest = divmod(rest, UNITS["m"])
    text = f"{_decimal(rest, UNITS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else sign + text


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0") if fraction else str(whole)


@given(st.integers(-LONGEST, LONGEST))
def test_what_go_writes_is_read_back(nanoseconds: int) -> None:
    assert duration_nanoseconds(as_go_writes(nanoseconds)) == nanoseconds


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(sorted(UNITS))), min_size=1, max_size=5))
def test_terms_add_up(terms: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in terms)

    assert duration_nanoseconds(text) == sum(number * UNITS[unit] for number, unit in terms)
    assert duration_nanoseconds(f"-{text}") == -duration_nanoseconds(text)


@given(st.timedeltas(timedelta(days=-1000), timedelta(days=1000)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(alphabet="0123456789.smhunµ+- ", max_size=8))
def test_never_anything_but_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(duration_nanoseconds(text)) <= LONGEST + 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("45s", 45),
        ("10m0s", 600),
        ("1h15m30.918s", 4530.918),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("-1.5m", -90),
        ("+5s", 5),
        ("100ms", 0.1),
        ("1us", 1e-6),
        ("1s1s", 2),
    ],
)
def test_examples(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "+", "-", "1", "s", ".s", ".", "1 s", "1d", "1S", "--1s", "1s-1s", "1e3s", "٣s", "00", "1s ", "3000000h"],
)
def test_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="Go duration"):
        duration_nanoseconds(text)


def test_the_bounds_of_64_bits() -> None:
    assert duration_nanoseconds(f"{LONGEST}ns") == LONGEST
    assert duration_nanoseconds(f"-{LONGEST + 1}ns") == -LONGEST - 1
    with pytest.raises(ValueError, match="longer than a Go duration"):
        duration_nanoseconds(f"{LONGEST + 1}ns")


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=45), "45s"),
        (timedelta(minutes=10), "10m"),
        (timedelta(hours=1, seconds=30), "1h30s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(seconds=-90), "-1m30s"),
    ],
)
def test_is_written_briefly(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text
