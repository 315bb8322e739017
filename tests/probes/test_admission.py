"""The admission probe: what it finds on the test bed, what checks say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from auditor.cluster import Objects
from auditor.facts.kube.admission import ValidatingWebhookConfiguration
from auditor.facts.observations import StepState
from auditor.facts.observations.admission import AdmissionObservations
from auditor.facts.parts import OK
from auditor.facts.store import PartFacts, PartKey
from auditor.model import Finding, Status
from auditor.probing import ProbeOutcome
from auditor.sandbox import Sandbox, SandboxSettings
from auditor.sandbox.scope import ProbeOptions, Scope
from checks.probes.admission import OPERATORS, budget_of, plan
from tests.probes.conftest import Judge, RunProbe, WholeRun
from tests.testbed import faults, images
from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults.changes import created

NO_WEBHOOKS: dict[PartKey, PartFacts] = {(ValidatingWebhookConfiguration.api.id, None): PartFacts(OK, ())}


def test_the_budget_is_read_from_the_refusal() -> None:
    body = '{"details":{"causes":[{"message":"The disruption budget kafka needs 3 healthy pods and has 2 currently"}]}}'

    assert budget_of(body) == ("kafka", 3, 2)
    assert budget_of('{"message":"other"}') == ("", 0, 0)


def test_nothing_is_planned_to_be_created() -> None:
    sandbox = Sandbox(
        cast("Objects", None), SandboxSettings(), run_id="0123456789", expires_at=datetime.fromtimestamp(0, UTC)
    )
    scope = Scope(nodes=(), classes=(), classes_used=frozenset(), versions={}, options=ProbeOptions())

    assert plan(sandbox, scope).objects == ()


def test_each_operator_is_tried_once_per_kind() -> None:
    kinds = [(each.api.group, each.api.kind) for each in OPERATORS]

    assert len(kinds) == len(set(kinds))


def stateful(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A StatefulSet of one pod, and a budget that never lets it go."""
    labels = {"app": "keeps-data"}
    container = {"name": "sleep", "image": images.BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "3600"]}
    stateful_set = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "keeps-data", "namespace": namespace},
        "spec": {
            "serviceName": "keeps-data",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "never", "namespace": namespace},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": labels}},
    }
    return stateful_set, budget


def found_in(outcome: ProbeOutcome) -> AdmissionObservations:
    assert isinstance(outcome.observations, AdmissionObservations), outcome.status
    return outcome.observations


def of_namespace(findings: list[Finding], namespace: str) -> list[Finding]:
    return [finding for finding in findings if any(each.namespace == namespace for each in finding.subjects)]


@pytest.fixture(scope="module")
def outcome(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["admission"]


class TestOnTheCluster:
    def test_pods_are_admitted_at_once(self, outcome: ProbeOutcome, judged: Judge) -> None:
        found = found_in(outcome)

        assert found.pod.refused is None
        assert found.pod.accepted is not None
        assert found.pod.accepted.count == 10
        assert {f.status for f in judged(outcome, "platform.admission-time")} == {Status.OK}

    def test_nothing_is_stored(self, cluster: Cluster, outcome: ProbeOutcome) -> None:
        events = cluster.core.list_event_for_all_namespaces(field_selector="reason=Scheduled").items

        assert not [event for event in events if event.involved_object.name.startswith("admission-")]
        assert found_in(outcome).eviction.state is StepState.OK


class TestOnTheTestBed:
    @pytest.fixture
    def keeper(self, test_bed: Cluster, fresh_namespace: str) -> Iterator[str]:
        """The namespace of a pod whose budget never lets it go."""
        stateful_set, budget = stateful(fresh_namespace)

        def is_known() -> bool:
            pods = test_bed.core.list_namespaced_pod(fresh_namespace, label_selector="app=keeps-data").items
            return bool(pods) and all(pod.status.phase == "Running" for pod in pods)

        with created(test_bed, stateful_set), created(test_bed, budget):
            wait_for("the pod to run", is_known)
            yield fresh_namespace

    def test_a_budget_that_never_allows_is_named(self, keeper: str, run_probe: RunProbe, judged: Judge) -> None:
        def refusing() -> ProbeOutcome | None:
            outcome = run_probe("admission")  # the controller may need a moment to count healthy pods
            mine = [each for each in found_in(outcome).evictions if each.namespace == keeper]
            return outcome if mine and mine[0].healthy_pods else None

        outcome = wait_for("the budget to count its pods", refusing)
        assert outcome is not None
        [eviction] = [each for each in found_in(outcome).evictions if each.namespace == keeper]
        assert (eviction.budget, eviction.needed_pods, eviction.healthy_pods) == ("never", 1, 1)
        [finding] = of_namespace(judged(outcome, "resilience.evictions", also=NO_WEBHOOKS), keeper)
        assert finding.status is Status.FAIL
        assert f"{keeper}/never" in finding.message

    def test_asking_evicts_nobody(self, test_bed: Cluster, keeper: str, run_probe: RunProbe) -> None:
        before = test_bed.core.read_namespaced_pod("keeps-data-0", keeper).metadata.uid

        run_probe("admission")

        after = test_bed.core.read_namespaced_pod("keeps-data-0", keeper).metadata
        assert (after.uid, after.deletion_timestamp) == (before, None)

    def test_a_small_quota_is_named(
        self, test_bed: Cluster, fresh_namespace: str, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.quota_too_small(test_bed, fresh_namespace))
        with created(test_bed, _pod(fresh_namespace)):
            outcome = run_probe("admission", settings={"namespace": fresh_namespace})

        [finding] = judged(outcome, "platform.admission-time")
        assert finding.status is Status.UNKNOWN
        assert "exceeded quota" in finding.message

    def test_a_slow_webhook_is_noticed(
        self, test_bed: Cluster, fresh_namespace: str, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.slow_webhook(test_bed, fresh_namespace, delay_seconds=1.5))

        outcome = run_probe("admission", settings={"namespace": fresh_namespace})

        [finding] = judged(outcome, "platform.admission-time")
        assert finding.status is Status.WARN
        pod = found_in(outcome).pod
        assert pod.accepted is not None
        assert pod.accepted.p50_seconds > 1.5


def _pod(namespace: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": "10m", "memory": "8Mi"}}
    container = {"name": "c", "image": images.BUSYBOX, "imagePullPolicy": "Never", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "fills-the-quota", "namespace": namespace},
        "spec": {"containers": [container | {"command": ["sleep", "600"]}], "terminationGracePeriodSeconds": 0},
    }
