"""What the API server says when it refuses, as one word."""

import pytest

from auditor.cluster import ObjectError, RequestError
from auditor.sandbox.causes import cause_of, refusal
from auditor.sandbox.trouble import Trouble, TroubleError

FORBIDDEN = 403


def refused(status: int | None, reason: str) -> ObjectError:
    return ObjectError(RequestError(status, reason), verb="create", resource="pods", namespace="s", name="a")


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (FORBIDDEN, 'pods is forbidden: User "u" cannot create resource "pods" in API group ""', "Forbidden"),
        (FORBIDDEN, 'pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1', "Quota"),
        (FORBIDDEN, 'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: agent', "Quota"),
        (FORBIDDEN, 'pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot', "PodSecurity"),
        (
            FORBIDDEN,
            "unable to validate against any security context constraint: [provider restricted-v2]",
            "PodSecurity",
        ),
        (FORBIDDEN, 'pods "a" is forbidden: maximum cpu usage per Container is 500m, but limit is 1', "LimitRange"),
        (FORBIDDEN, 'admission webhook "validate.kyverno.svc" denied the request: no', "Admission"),
        (FORBIDDEN, 'ValidatingAdmissionPolicy "p" with binding "b" denied request: no', "Admission"),
        (500, 'Internal error occurred: failed calling webhook "w": no endpoints available', "Webhook"),
        (FORBIDDEN, 'pods "a" is forbidden: no PriorityClass with name x was found', "PriorityClass"),
        (409, 'pods "a" already exists', "Conflict"),
        (422, 'Pod "a" is invalid: spec', "Refused"),
        (None, "connection refused", "Unreachable"),
    ],
)
def test_refusals_have_a_reason(status: int | None, said: str, reason: str) -> None:
    error = refused(status, said)

    assert refusal(error).reason == cause_of(error).reason == reason
    assert said in cause_of(error).message


def test_only_a_permission_that_lacks_is_named() -> None:
    barred = refused(FORBIDDEN, 'User "u" cannot create resource "pods"')

    assert cause_of(barred).missing_permission == "create pods in namespace s"
    assert not cause_of(refused(FORBIDDEN, "exceeded quota: q")).missing_permission


def test_troubles_keep_what_the_cluster_said() -> None:
    trouble = Trouble(reason="Unschedulable", message="0/3 nodes", events=("FailedScheduling: 0/3",), log_tail=("x",))

    assert cause_of(TroubleError(trouble)) == cause_of(trouble)
    assert cause_of(trouble).events == trouble.events
    assert cause_of(trouble).log_tail == trouble.log_tail
