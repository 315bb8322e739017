"""How a Service spreads connections over its backends, and for how long it sends some to one that is gone.

Arguments:
    address, port: of the Service.
    backends: how many must have answered before it is counted.
    connections: to count.
    steady_seconds: for how long then a request is sent at every turn, while somebody removes a backend.
    every_seconds: between the beginnings of two of them.
    timeout_seconds: of each.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..peers import told, who

_WARM_UP_SECONDS = 15.0
_AT_ONCE = 4
_ERRORS_AT_MOST = 5


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Warm up, count, and go on while a backend is removed: one observation each, and one when the last begins."""
    place = (str(arguments["address"]), int(arguments["port"]), float(arguments["timeout_seconds"]))
    yield {"seen": sorted(_warm_up(place, int(arguments["backends"])))}
    yield spread(place, int(arguments["connections"]))
    seconds = float(arguments["steady_seconds"])
    if seconds:
        yield {"steady": True}
        yield steady(place, seconds, float(arguments["every_seconds"]))


def spread(place: tuple[str, int, float], connections: int) -> dict[str, Any]:
    """How many connections each backend answered, and what became of the others."""
    started = time.monotonic()
    shares: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, error in pool.map(lambda _: _asked(place), range(connections)):
            if error:
                errors[error] += 1
            else:
                shares[name] += 1
    return {
        "shares": dict(shares),
        "failed": sum(errors.values()),
        "errors": dict(errors.most_common(_ERRORS_AT_MOST)),
        "seconds": time.monotonic() - started,
    }


def steady(place: tuple[str, int, float], seconds: float, every_seconds: float) -> dict[str, Any]:
    """Request after request: how many failed, and how long the time was from the first failure to the last."""
    started = time.monotonic()
    answered: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    first = last = None
    while time.monotonic() < started + seconds:
        asked = time.monotonic()
        name, error = _asked(place)
        if error:
            errors[error] += 1
            first = asked if first is None else first
            last = time.monotonic()
        else:
            answered[name] += 1
        time.sleep(max(0.0, asked + every_seconds - time.monotonic()))
    return {
        "answered": dict(answered),
        "failed": sum(errors.values()),
        "errors": dict(errors.most_common(_ERRORS_AT_MOST)),
        "error_seconds": 0.0 if first is None or last is None else last - first,
        "seconds": time.monotonic() - started,
    }


def _warm_up(place: tuple[str, int, float], backends: int) -> set[str]:
    end = time.monotonic() + _WARM_UP_SECONDS
    seen: set[str] = set()
    while len(seen) < backends and time.monotonic() < end:
        name, error = _asked(place)
        if error:
            time.sleep(0.2)
        else:
            seen.add(name)
    return seen


def _asked(place: tuple[str, int, float]) -> tuple[str, str]:
    """The name of the backend that answered, or the error."""
    try:
        return str(who(*place)["name"]), ""
    except (OSError, ValueError, KeyError) as error:
        return "", told(error)
