"""Go durations, as Kubernetes' configurations write them: ``45s``, ``10m0s``, ``1h15m30.5s``, ``0s``.

The grammar is that of Go's ``time.ParseDuration``: an optional sign, then decimal numbers with a unit each; ``0`` alone
needs no unit.
"""

from __future__ import annotations

import re
from datetime import timedelta

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, micro sign
    "μs": 10**3,  # U+03BC, Greek mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LONGEST = 2**63 - 1
"""Go keeps a duration in a signed 64-bit integer."""

_TERM = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>ns|us|µs|μs|ms|s|m|h)")


def duration_nanoseconds(text: str) -> int:
    """The value of a Go duration, exactly; what is finer than a nanosecond is cut off.

    Raises:
        ValueError: ``text`` is no duration, or longer than Go's 292 years.
    """
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return 0
    total = position = 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None or not (term["whole"] or term["fraction"]):
            raise ValueError(f"{text!r} is not a Go duration")
        unit = _NANOSECONDS[term["unit"]]
        fraction = term["fraction"] or ""
        total += int(term["whole"] or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = term.end()
    if not rest:
        raise ValueError(f"{text!r} is not a Go duration")
    if total > _LONGEST + (sign < 0):
        raise ValueError(f"{text!r} is longer than a Go duration can be")
    return sign * total


def parse_duration(text: str) -> timedelta:
    """A Go duration to the microsecond, rounded towards zero.

    Raises:
        ValueError: ``text`` is no duration.
    """
    nanoseconds = duration_nanoseconds(text)
    magnitude = timedelta(microseconds=abs(nanoseconds) // 1000)
    return -magnitude if nanoseconds < 0 else magnitude


def format_duration(duration: timedelta) -> str:
    """A duration as Go writes it from a second upwards, without parts that are zero: ``45s``, ``10m``, ``1h30s``."""
    microseconds = duration // timedelta(microseconds=1)
    sign, magnitude = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    hours, rest = divmod(magnitude, 3600 * 10**6)
    minutes, rest = divmod(rest, 60 * 10**6)
    seconds, fraction = divmod(rest, 10**6)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes else ""
    if seconds or fraction or not text:
        decimals = f".{fraction:06d}".rstrip("0") if fraction else ""
        text += f"{seconds}{decimals}s"
    return sign + text
