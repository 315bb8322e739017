"""What can go wrong, as one hierarchy; each error says what happened, the likely cause and what to do next.

::

    AuditorError                 exit 1
    ├── UsageError               exit 2   the command line asks for something that is not there
    │   ├── UnknownIdError                an id that no check, report or profile has
    │   ├── ConfigError                   auditor.yaml or AUDITOR_* cannot be used
    │   └── ClusterConfigError            no kubeconfig, or no such context in it
    ├── ClusterError             exit 1   a cluster cannot be asked
    │   └── ClusterUnreachableError       … because it does not answer, or not to this account
    ├── BundleError              exit 1   a bundle cannot be read
    │   └── BundleFormatError             … because its format version is not known here
    ├── ResultError              exit 1   a result.json cannot be read
    ├── PluginError              exit 1   a plugin breaks the rules of the house
    │   └── DuplicateIdError              two places claim one id
    └── OutputError              exit 1   a file or folder cannot be written
"""

from __future__ import annotations

from typing import ClassVar


class AuditorError(Exception):
    """Base of every error that a user is meant to read.

    Args:
        what: what happened, one sentence naming the file, id or object.
        cause: the likely cause, where it adds something to ``what``.
        next_step: what to do or run next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, cause: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.what]
        if self.cause:
            lines.append(f"  cause: {self.cause}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)


class UsageError(AuditorError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class UnknownIdError(UsageError):
    """An id that nothing in the registry carries."""


class ConfigError(UsageError):
    """The configuration cannot be used as it stands."""


class ClusterConfigError(UsageError):
    """There is no kubeconfig, no such context in it, or it cannot be used."""


class ClusterError(AuditorError):
    """A cluster cannot be asked."""


class ClusterUnreachableError(ClusterError):
    """The API server does not answer, or not to this account."""


class BundleError(AuditorError):
    """A bundle cannot be read."""


class BundleFormatError(BundleError):
    """A bundle declares a format version that this auditor does not know."""


class ResultError(AuditorError):
    """A result.json cannot be read."""


class PluginError(AuditorError):
    """A check, probe, benchmark or report breaks the rules of the registry."""


class DuplicateIdError(PluginError):
    """Two places claim the same id."""


class OutputError(AuditorError):
    """A file or folder cannot be written; nothing half-written was left behind."""
