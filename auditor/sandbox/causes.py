"""Refusals and troubles as observations keep them: one word, a sentence, and what the account may lack."""

from __future__ import annotations

from http import HTTPStatus

from auditor.cluster import ObjectError
from auditor.facts.observations import Cause
from auditor.sandbox.trouble import Trouble, TroubleError

_REASONS = (
    ("exceeded quota", "Quota"),
    ("failed quota", "Quota"),
    ("violates PodSecurity", "PodSecurity"),
    ("unable to validate against any security context constraint", "PodSecurity"),
    ("failed calling webhook", "Webhook"),
    ("admission webhook", "Admission"),
    ("ValidatingAdmissionPolicy", "Admission"),
    ("usage per Container is", "LimitRange"),
    ("usage per Pod is", "LimitRange"),
    ("no PriorityClass with name", "PriorityClass"),
)
"""What admission says, and the word for it; the first that fits counts."""


def refusal(error: ObjectError) -> Trouble:
    """Why the API server refused something, as a trouble like those that come later."""
    return Trouble(reason=_reason(error), message=str(error))


def cause_of(problem: ObjectError | TroubleError | Trouble) -> Cause:
    """The cause of a step's failure, for its observation."""
    if isinstance(problem, ObjectError):
        lacks = problem.missing_permission or ""
        return Cause(reason=_reason(problem), message=str(problem), missing_permission=lacks)
    trouble = problem.trouble if isinstance(problem, TroubleError) else problem
    return Cause(reason=trouble.reason, message=trouble.message, events=trouble.events, log_tail=trouble.log_tail)


def _reason(error: ObjectError) -> str:
    if error.missing_permission:
        return "Forbidden"
    found = next((word for said, word in _REASONS if said in error.reason), "")
    if found:
        return found
    if error.status is None:
        return "Unreachable"
    return "Conflict" if error.status == HTTPStatus.CONFLICT else "Refused"
