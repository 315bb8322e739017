"""The api probe: what it counts, what it measures on the test bed, what checks say of it."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from auditor.cluster import ObjectError, RequestError
from auditor.facts.observations.api import ApiObservations, Failures
from auditor.model import Status
from auditor.probing import ProbeOutcome
from tests.probes.conftest import PATIENT, Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster
from tests.testbed.proxy import Answer, ApiProxy, Rule

api: Any = importlib.import_module("auditor.checks.probes.api")
"""As the registry loads it, so that its times can be shortened."""


class Paused:
    """A sandbox that never ends and only notes for how long it was to wait."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def check(self) -> None: ...

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def error_of(status: int | None, reason: str = "no", *, retry_after_seconds: float = 0.0) -> ObjectError:
    request = RequestError(status, reason, retry_after_seconds=retry_after_seconds)
    return ObjectError(request, verb="create", resource="configmaps", namespace="probe")


def timed(sandbox: Paused) -> Any:
    return api._Timed(sandbox)


def failing(error: ObjectError) -> object:
    raise error


class TestTimedCalls:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(429, "throttled"), (500, "unanswered"), (503, "unanswered"), (None, "unanswered"), (422, "refused")],
    )
    def test_count_failures_by_kind(self, status: int | None, kind: str) -> None:
        calls = timed(Paused())

        assert not calls.call("create", lambda: failing(error_of(status)))

        assert {each: getattr(calls.failed["create"], each) for each in ("throttled", "unanswered", "refused")} == {
            "throttled": 0,
            "unanswered": 0,
            "refused": 0,
            kind: 1,
        }
        assert calls.seconds == {}

    def test_wait_as_long_as_the_server_asks(self) -> None:
        sandbox = Paused()

        timed(sandbox).call("create", lambda: failing(error_of(429, retry_after_seconds=7)))

        assert sandbox.pauses == [7]

    def test_let_a_missing_right_pass(self) -> None:
        refusal = error_of(403, 'User "a" cannot create resource "configmaps"')

        with pytest.raises(ObjectError, match="cannot create"):
            timed(Paused()).call("create", lambda: failing(refusal))

    def test_give_up_what_never_works(self) -> None:
        calls = timed(Paused())
        for _ in range(api.ENOUGH_FAILURES):
            assert not calls.is_hopeless("create")
            calls.call("create", lambda: failing(error_of(503)))

        assert calls.is_hopeless("create")
        assert not calls.is_hopeless("get")

    def test_do_not_give_up_what_has_worked(self) -> None:
        calls = timed(Paused())
        calls.call("create", lambda: None)
        for _ in range(2 * api.ENOUGH_FAILURES):
            calls.call("create", lambda: failing(error_of(503)))

        assert not calls.is_hopeless("create")


def observed(outcome: ProbeOutcome) -> ApiObservations:
    assert isinstance(outcome.observations, ApiObservations), outcome.status.reason
    return outcome.observations


@pytest.fixture(scope="module")
def healthy(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["api"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals in quick succession."""
    monkeypatch.setattr(api, "RENEW_EVERY_SECONDS", 1.0)
    monkeypatch.setattr(api, "_MEASURING_SECONDS", 8.0)


class TestOnTheTestBed:
    def test_times_every_verb_and_renews_a_lease(self, healthy: ProbeOutcome) -> None:
        document = observed(healthy)

        assert {verb: seen.count for verb, seen in document.verbs.items()} == dict.fromkeys(
            ("create", "get", "list", "patch", "delete"), 40
        )
        assert document.failed == {}
        assert document.way is not None
        assert document.way.count == api.VERSION_REQUESTS
        assert document.lease is not None
        assert document.lease.renewals is not None
        assert document.lease.renewals.count == 2
        assert document.lease.longest_gap_seconds >= 5

    def test_is_well(self, healthy: ProbeOutcome, judged: Judge) -> None:
        for check in ("control-plane.api-latency", "control-plane.lease-renewal"):
            assert [finding.status for finding in judged(healthy, check, parameters=PATIENT[check])] == [Status.OK]

    @pytest.mark.usefixtures("quick")
    def test_sees_a_slow_server(self, test_bed: Cluster, run_probe: RunProbe, judged: Judge) -> None:
        with faults.api_slow(test_bed, "configmaps", delay_seconds=1.2) as proxy:
            outcome = run_probe("api", kubeconfig=proxy.kubeconfig, api_requests=20, lease_seconds=2)

        [slow, few] = judged(outcome, "control-plane.api-latency")
        assert slow.status is Status.FAIL
        assert "answers slowly" in slow.message
        assert observed(outcome).verbs["create"].p50_seconds > 1.2
        assert few.status is Status.UNKNOWN
        [lease] = judged(outcome, "control-plane.lease-renewal")
        assert lease.status is Status.OK

    @pytest.mark.usefixtures("quick")
    def test_sees_throttling(self, test_bed: Cluster, run_probe: RunProbe, judged: Judge) -> None:
        rules = [
            Rule(do=Answer(status=429, message="too many requests", retry_after_seconds=1), path="-2-", verb="get"),
            Rule(do=Answer(status=429, message="too many requests"), resource="leases", verb="patch"),
        ]
        with ApiProxy(kubeconfig=test_bed.kubeconfig, rules=rules) as proxy:
            outcome = run_probe("api", kubeconfig=proxy.kubeconfig, api_requests=25, lease_seconds=3)

        document = observed(outcome)
        assert document.failed["get"].throttled == 1
        assert document.verbs["get"].max_seconds < 1, "waiting as asked is no latency"
        [finding] = judged(outcome, "control-plane.api-latency")
        assert finding.status is Status.FAIL
        assert "too many requests" in finding.message
        assert document.lease is not None
        assert document.lease.renewals is None
        assert document.lease.failed.throttled == 3
        parameters = {"max_gap_seconds": 1.5, "fail_gap_seconds": 2}
        [lease] = judged(outcome, "control-plane.lease-renewal", parameters=parameters)
        assert lease.status is Status.FAIL
        assert "3 renewals, 3 of which failed" in lease.message

    @pytest.mark.usefixtures("quick")
    def test_goes_on_where_nothing_can_be_made(
        self, test_bed: Cluster, run_probe: RunProbe, judged: Judge, fresh_namespace: str
    ) -> None:
        quota = {"metadata": {"name": "full"}, "spec": {"hard": {"count/configmaps": "2"}}}
        test_bed.core.create_namespaced_resource_quota(fresh_namespace, quota)

        outcome = run_probe("api", settings={"namespace": fresh_namespace}, lease_seconds=1)

        assert observed(outcome).failed["create"] == Failures(
            refused=api.ENOUGH_FAILURES, last=observed(outcome).failed["create"].last
        )
        findings = judged(outcome, "control-plane.api-latency")
        assert {finding.status for finding in findings} == {Status.UNKNOWN}
        assert "exceeded quota" in findings[0].message
