"""Runs one task: ``python3 agent.pyz TASK``, its arguments as JSON in AUDITOR_ARGUMENTS, its observations on stdout."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
from types import FrameType

from .framing import Writer

ARGUMENTS = "AUDITOR_ARGUMENTS"
ERROR_CHARACTERS = 4000


def main(task: str, *, descriptor: int = 1) -> int:
    """Run a task to its end, and return the exit code of the process."""
    writer = Writer(descriptor)
    try:
        module = importlib.import_module(f"{__package__}.tasks.{task.replace('-', '_')}")
        for observation in module.run(json.loads(os.environ.get(ARGUMENTS) or "{}")):
            writer.result(observation)
    except Exception as error:  # whatever it is, the reader of the log must learn it
        logging.exception("task %s", task)
        writer.error(f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS])
        return 1
    writer.end()
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """The first process of a pod ignores SIGTERM unless it says otherwise, and would be waited for."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main(sys.argv[1]))
