"""Taking steps one after another: what each came to, how long it took, and why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from auditor.cluster import ObjectError
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.storage import EARLIER
from auditor.sandbox import TroubleError
from auditor.sandbox.causes import cause_of

Detail = dict[str, float | int | str | bool]


class NotDoneError(Exception):
    """A step cannot be taken here, which is no failure."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.cause = Cause(reason=reason, message=message)


class FailedError(Exception):
    """A step was taken and did not lead where it should."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.message)
        self.cause = cause


class Steps:
    """The steps that were taken so far."""

    def __init__(self) -> None:
        self.taken: list[Step] = []

    def take(self, name: str, step: Callable[[Detail], float | None], *, optional: bool = True) -> bool:
        """Take one step, and say whether it worked.

        Args:
            name: of the step.
            step: fills in the detail; the seconds that count where those of the whole step do not.
            optional: whether the probe can do without the permissions of this step.

        Raises:
            ObjectError: the account lacks a permission that the probe cannot do without.
            StoppedError: the run is being ended.
        """
        detail: Detail = {}
        started = time.monotonic()
        state, cause, seconds = StepState.OK, None, None
        try:
            seconds = step(detail)
        except NotDoneError as error:
            state, cause = StepState.NOT_DONE, error.cause
        except FailedError as error:
            state, cause = StepState.FAILED, error.cause
        except TroubleError as error:
            state, cause = StepState.FAILED, cause_of(error)
        except ObjectError as error:
            if error.missing_permission and not optional:
                raise
            state = StepState.NOT_DONE if error.missing_permission else StepState.FAILED
            cause = cause_of(error)
        took = time.monotonic() - started if seconds is None else seconds
        self.taken.append(Step(name=name, state=state, seconds=round(took, 3), cause=cause, detail=detail))
        return state is StepState.OK

    def leave(self, names: Iterable[str], reason: str, message: str) -> None:
        """Steps that are not taken, and why."""
        cause = Cause(reason=reason, message=message)
        self.taken += [Step(name=name, state=StepState.NOT_DONE, cause=cause) for name in names]

    def leave_after(self, failed: str, names: Iterable[str]) -> None:
        """Steps that are not taken because an earlier one failed."""
        cause = next(step.cause for step in self.taken if step.name == failed)
        said = f": {cause.message}" if cause else ""
        self.leave(names, EARLIER, f"the step {failed} before it did not succeed{said}")
