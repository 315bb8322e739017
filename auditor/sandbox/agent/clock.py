"""How far the API server's clock is from this one, told by the Date of its answers.

The header has whole seconds: an answer that says 12:00:05 was written between 12:00:05 and 12:00:06 of the server's
clock, and between the moments at which this clock saw the question leave and the answer come. Each answer so gives an
interval for the difference. Where the server is asked often enough around the turn of a second, they have only a
few hundredths of a second in common.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

PATH = "/version"
"""Open to everybody on most clusters; an answer that refuses has a Date, too."""

_PAUSE_SECONDS = 0.04
_TIMEOUT_SECONDS = 5.0
_GRANULARITY_SECONDS = 1.0


class Answer(NamedTuple):
    """One answer: when it was asked for and came by this clock, and the whole second of the server's clock."""

    asked: float
    came: float
    server: float


def offset(answers: Iterable[Answer]) -> tuple[float, float]:
    """The least and the greatest seconds that the server's clock can be ahead of this one.

    Raises:
        ValueError: there are no answers, or no one difference explains them all: a clock was set meanwhile, or several
            servers answered.
    """
    intervals = [
        (answer.server - answer.came, answer.server + _GRANULARITY_SECONDS - answer.asked) for answer in answers
    ]
    if not intervals:
        raise ValueError("no answer came")
    low, high = max(low for low, _ in intervals), min(high for _, high in intervals)
    if low > high:
        raise ValueError(f"the answers contradict each other by {low - high:.3f} s")
    return low, high


def read_clock(seconds: float) -> dict[str, Any]:
    """Ask the API server again and again over one connection: the bounds of the difference, or why there are none."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return {"error": "the container knows no KUBERNETES_SERVICE_HOST"}
    answers: list[Answer] = []
    try:
        _ask(host, int(port), seconds, answers)
        low, high = offset(answers)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return {"error": f"{type(error).__name__}: {error}", "answers": len(answers)}
    return {"ahead_at_least_seconds": low, "ahead_at_most_seconds": high, "answers": len(answers)}


def _ask(host: str, port: int, seconds: float, answers: list[Answer]) -> None:
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=_context())
    try:
        connection.connect()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asked = time.time()
            connection.request("GET", PATH)
            response = connection.getresponse()
            came = time.time()
            response.read()
            date = response.getheader("Date")
            if date:
                answers.append(Answer(asked, came, parsedate_to_datetime(date).timestamp()))
            time.sleep(_PAUSE_SECONDS)
    finally:
        connection.close()


def _context() -> ssl.SSLContext:
    """Whoever answers: no secret is sent, and only the time is taken."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
