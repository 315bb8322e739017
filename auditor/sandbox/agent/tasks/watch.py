"""Says of each target whether it can be reached, at first and whenever that changes.

A target counts as lost after two failures in a row, and as reached after one success.

Arguments:
    targets: each with ``name``, and ``address`` and ``port`` or the name to ``resolve``, of which every success is
        said.
    every_seconds: between two rounds.
    timeout_seconds: of each attempt.
    seconds: after which it ends by itself.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from ..peers import told, who

_FAILURES = 2


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Look again and again."""
    end = time.monotonic() + float(arguments["seconds"])
    states: dict[str, bool] = {}
    failures: dict[str, int] = {}
    while time.monotonic() < end:
        for target in arguments["targets"]:
            name = target["name"]
            error = _error(target, float(arguments["timeout_seconds"]))
            failures[name] = failures.get(name, 0) + 1 if error else 0
            reached = not error
            is_news = states.get(name) is not reached or (reached and "resolve" in target)
            if is_news and (reached or failures[name] >= _FAILURES):
                states[name] = reached
                yield {"target": name, "reached": reached, "error": error}
        time.sleep(float(arguments["every_seconds"]))


def _error(target: dict[str, Any], timeout: float) -> str:
    """Why a target is not reached; empty where it is."""
    try:
        if "resolve" in target:
            socket.getaddrinfo(target["resolve"], None)
        else:
            who(target["address"], int(target["port"]), timeout)
    except (OSError, ValueError) as error:
        return told(error)
    return ""
