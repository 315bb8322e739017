"""The dns probe: from where it asks, what it finds on the test bed, what checks say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Node
from auditor.facts.observations import StepState
from auditor.facts.observations.dns import DnsObservations
from auditor.model import Finding, Status
from auditor.probing import ProbeOutcome
from auditor.sandbox.scope import ProbeOptions, Scope
from checks.probes.dns import BUCKETS_SECONDS, LARGE_ADDRESSES, histogram, view_of, views
from tests.probes.conftest import PATIENT, Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster

CHECKS = (
    "dns.lookups",
    "dns.every-server",
    "dns.new-names",
    "dns.negative-cache-observed",
    "dns.reverse-names",
    "dns.large-answers",
    "dns.lookup-rate",
)


def scope_of(*zones: str) -> Scope:
    nodes = [
        msgspec.convert(
            {
                "metadata": {"name": f"n{number:02}", "labels": {"topology.kubernetes.io/zone": zone}},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "nodeInfo": {"operatingSystem": "linux"},
                },
            },
            Node,
        )
        for number, zone in enumerate(zones)
    ]
    return Scope(nodes=nodes, classes=(), classes_used=frozenset(), versions={}, options=ProbeOptions())


class TestTheViews:
    @pytest.mark.parametrize(
        ("zones", "expected"),
        [
            ("", []),
            ("a", ["n00"]),
            ("aaaaa", ["n00", "n01", "n02"]),
            ("aaab", ["n00", "n03", "n01"]),
            ("abcdefgh", ["n00", "n01", "n02", "n03", "n04", "n05"]),
        ],
    )
    def test_are_of_each_zone_and_of_several_nodes(self, zones: str, expected: list[str]) -> None:
        chosen, left_out = views(scope_of(*zones), ())

        assert [node.name for node in chosen] == expected
        assert len(chosen) + sum(each.count for each in left_out) == len(zones)


class TestTheHistogram:
    @given(st.lists(st.floats(min_value=0, max_value=20)))
    def test_holds_every_sample_once(self, samples: list[float]) -> None:
        counts = histogram(samples)

        assert sum(counts.values()) == len(samples)
        assert set(counts) <= {"more", *(f"{bound:g}" for bound in BUCKETS_SECONDS)}

    def test_keeps_stalls_of_the_resolver_apart(self) -> None:
        said = {"way": "resolver", "name": "a.", "planned": 4, "asked": 4}
        samples = [400, 5_004_000, 10_010_000, 7_000_000]

        view = view_of([{"resolver_absolute": {**said, "failures": {}, "microseconds": samples}}], "zone-a")

        assert view.resolver_absolute is not None
        assert view.resolver_absolute.around_timeout == 2
        assert view.resolver_absolute.latencies is not None
        assert view.resolver_absolute.latencies.max_seconds == pytest.approx(10.01)

    def test_is_empty_where_nothing_was_answered(self) -> None:
        said = {"way": "udp", "name": "a.", "planned": 9, "asked": 2, "failures": {"timeout": 2}, "microseconds": []}

        view = view_of([{"lookups": said}], "")

        assert view.lookups is not None
        assert view.lookups.latencies is None
        assert view.lookups.failed == 2


@pytest.fixture(scope="module")
def outcome(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["dns"]


@pytest.fixture(scope="module")
def found(outcome: ProbeOutcome) -> DnsObservations:
    return observations(outcome)


def observations(outcome: ProbeOutcome) -> DnsObservations:
    assert isinstance(outcome.observations, DnsObservations), outcome.status
    return outcome.observations


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


class TestOnTheCluster:
    def test_every_view_saw_everything(self, found: DnsObservations) -> None:
        assert found.views
        assert not found.failed
        for view in found.views.values():
            assert view.domain
            assert view.before == "NXDOMAIN"
            assert view.fresh is not None
            assert view.reverse is not None
            assert view.lookups is not None
            assert view.lookups.asked == 300
            assert set(view.servers) == set(found.servers)
            assert view.external is None

    def test_the_new_pod_had_the_address_that_it_says(self, found: DnsObservations) -> None:
        for view in found.views.values():
            assert view.denied is not None
            assert view.reverse is not None
            assert view.denied.addresses == (view.reverse.address,)

    def test_a_large_answer_was_cut_and_came_whole(self, found: DnsObservations) -> None:
        step = found.step("large")
        assert step is not None
        assert step.state is StepState.OK
        for view in found.views.values():
            assert view.large is not None
            assert view.large.tcp.addresses == view.large.resolver_addresses == LARGE_ADDRESSES
            assert view.large.tcp.bytes > 512

    def test_it_survives_the_bundle(self, found: DnsObservations) -> None:
        assert msgspec.json.decode(msgspec.json.encode(found), type=DnsObservations) == found


class TestOnTheTestBed:
    """What this machine is known to be, and what its faults look like."""

    @pytest.fixture(autouse=True)
    def _only_there(self, test_bed: Cluster) -> None:
        """Skip on clusters of one's own."""

    def test_each_zone_has_its_view(self, found: DnsObservations) -> None:
        assert {name: view.zone for name, view in found.views.items()} == {
            "n1": "zone-a",
            "n2": "zone-b",
            "n3": "zone-c",
        }
        assert {server.service for server in found.servers.values()} == {"kube-system/kube-dns"}

    @pytest.mark.parametrize("check", CHECKS)
    def test_a_healthy_cluster_is_found_healthy(self, outcome: ProbeOutcome, judged: Judge, check: str) -> None:
        finding = only(judged(outcome, check, parameters=PATIENT.get(check)))

        assert finding.status is Status.OK, finding.message

    def test_no_name_outside_is_asked_for_unless_one_is_given(self, outcome: ProbeOutcome, judged: Judge) -> None:
        assert only(judged(outcome, "dns.external-names")).status is Status.SKIP

    def test_names_of_headless_services_that_coredns_does_not_know(
        self, test_bed: Cluster, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr("auditor.checks.probes.dns.VISIBLE_SECONDS", 8.0)
        fault(faults.coredns_without_endpoints(test_bed))

        outcome = run_probe("dns", lookups=50)

        finding = only(judged(outcome, "dns.new-names"))
        assert finding.status is Status.FAIL
        assert "did not resolve at all (NXDOMAIN)" in finding.message
        assert only(judged(outcome, "dns.lookups")).status is Status.OK
        assert only(judged(outcome, "dns.large-answers")).status is Status.UNKNOWN

    def test_a_slow_upstream(
        self, test_bed: Cluster, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.slow_dns_upstream(test_bed))

        outcome = run_probe("dns", lookups=50, external_name="www.example.com")

        finding = only(judged(outcome, "dns.external-names"))
        assert finding.status is Status.FAIL
        assert "www.example.com are slow" in finding.message
        assert only(judged(outcome, "dns.lookups")).status is Status.OK

    def test_packets_that_are_lost_and_late(
        self, test_bed: Cluster, fault: Callable[..., Any], run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.dns_packets_dropped(test_bed, node="n2"))
        fault(faults.dns_packets_delayed(test_bed, node="n3"))

        outcome = run_probe("dns", lookups=50)

        findings = judged(outcome, "dns.lookups")
        assert {finding.status for finding in findings} == {Status.FAIL}
        dead, slow = findings
        assert "On node n2 no name of the cluster resolves" in dead.message
        assert "timeout" in dead.message
        assert "On node n3 look-ups are slow" in slow.message
        assert only(judged(outcome, "dns.every-server")).status is Status.OK
