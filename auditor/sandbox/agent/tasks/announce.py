"""Says to others that it runs, and its address, by datagrams: how long ago it began to run is in each.

Arguments:
    observers: addresses of those who listen.
    port: theirs.
    addresses_variable: environment variable with its own addresses.
    seconds: for which it runs.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

_EVERY_SECONDS = 0.1
_SAYING_SECONDS = 15.0


def run(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Say it for a while, then stay, so that the name stays."""
    started = time.monotonic()
    own = [each for each in os.environ.get(arguments["addresses_variable"], "").split(",") if each]
    while (elapsed := time.monotonic() - started) < _SAYING_SECONDS:
        word = json.dumps({"elapsed": elapsed, "addresses": own}).encode()
        for observer in arguments["observers"]:
            _send(observer, int(arguments["port"]), word)
        time.sleep(_EVERY_SECONDS)
    yield {"addresses": own}
    time.sleep(max(0.0, float(arguments["seconds"]) - _SAYING_SECONDS))


def _send(address: str, port: int, word: bytes) -> None:
    """A lost word is followed by others."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.sendto(word, (address, port))
    except OSError:
        return
