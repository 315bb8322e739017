"""Running commands, in a network namespace where asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


class CommandError(RuntimeError):
    """A command of the test bed failed; the message holds what it printed."""


def run(*argv: str | Path, netns: str | None = None, check: bool = True, stdin: str | None = None) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        CommandError: it ended with another code than 0 and ``check`` is on.
    """
    command = in_netns([str(word) for word in argv], netns)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise CommandError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def in_netns(argv: Sequence[str], netns: str | None) -> list[str]:
    """The command that runs ``argv`` in a named network namespace.

    ``nsenter`` and not ``ip netns exec``: the latter remounts /sys and hides the cgroups.
    """
    return [*(["nsenter", f"--net=/run/netns/{netns}"] if netns else []), *argv]
