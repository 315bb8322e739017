"""Why something in the sandbox did not come about: the cause, and not only that time ran out."""

from __future__ import annotations

import msgspec


class Trouble(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What kept a step of a probe or benchmark from its end.

    Attributes:
        reason: one word: ``Unschedulable``, ``ImagePull``, ``UnboundClaim``, ``Quota``, ``Admission``, ``Crashed``,
            ``Evicted``, ``Forbidden``, ``Timeout`` …
        message: a sentence that names the object and quotes what the cluster says.
        seconds: for how long it was waited, 0 where it was refused at once.
        events: of the objects concerned, newest last.
        log_tail: the last lines of the pod concerned.
    """

    reason: str
    message: str
    seconds: float = 0.0
    events: tuple[str, ...] = ()
    log_tail: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})"


class TroubleError(Exception):
    """A step in the sandbox did not come about."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble
