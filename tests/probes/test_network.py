"""The network probe: whom it lets talk, what it finds on the test bed, what checks say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest

from auditor.facts.kube import Node
from auditor.facts.kube.networking import NetworkPolicy
from auditor.facts.observations import StepState
from auditor.facts.observations.network import NetworkObservations
from auditor.facts.parts import OK, part_of
from auditor.facts.store import PartFacts
from auditor.model import Status
from auditor.probing import ProbeOutcome
from auditor.sandbox.scope import ProbeOptions, Scope
from checks.probes.network._mesh import measured_routes
from checks.probes.network._peers import PORT, sample
from tests.probes.conftest import PATIENT, Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster
from tests.testbed.layout import NODES
from tests.testbed.shell import run

POLICIES = part_of(NetworkPolicy).key
NO_POLICIES: Any = {POLICIES: PartFacts(OK, ())}
N1, N2, N3 = NODES


def node_of(name: str, zone: str = "", **spec: Any) -> Node:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"operatingSystem": "linux"}}
    return msgspec.convert({"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}, Node)


def scope_of(*nodes: Node) -> Scope:
    return Scope(nodes=nodes, classes=(), classes_used=frozenset(), versions={}, options=ProbeOptions())


def names(nodes: list[Node]) -> list[str]:
    return [node.name for node in nodes]


class TestTheSample:
    def test_is_two_of_each_zone(self) -> None:
        chosen, left_out = sample(scope_of(*(node_of(f"n{i}", zone="ab"[i % 2]) for i in range(8))), ())

        assert sorted(names(chosen)) == ["n0", "n1", "n2", "n3"]
        assert [each.count for each in left_out] == [4]

    def test_is_four_where_there_are_no_zones(self) -> None:
        chosen, _ = sample(scope_of(*(node_of(f"n{i}") for i in range(8))), ())

        assert len(chosen) == 4

    def test_is_bounded_with_many_zones(self) -> None:
        chosen, _ = sample(scope_of(*(node_of(f"n{i:02}", zone=f"z{i // 2:02}") for i in range(40))), ())

        assert len(chosen) == 12
        assert len({node.zone for node in chosen}) == 12
        assert len(measured_routes(chosen)) == 10

    def test_leaves_out_what_takes_no_pods(self) -> None:
        chosen, left_out = sample(scope_of(node_of("n1"), node_of("n2", unschedulable=True)), ())

        assert names(chosen) == ["n1"]
        assert [each.examples for each in left_out] == [("n2",)]

    def test_may_be_empty(self) -> None:
        assert sample(scope_of(), ()) == ([], [])


class TestTheMeasuredRoutes:
    def test_are_within_zones_and_between_them(self) -> None:
        nodes = [node_of("a1", "a"), node_of("a2", "a"), node_of("b1", "b"), node_of("c1", "c")]

        routes = [(one.name, other.name) for one, other in measured_routes(nodes)]

        assert routes == [("a1", "a2"), ("a1", "b1"), ("a1", "c1"), ("b1", "c1")]


@pytest.fixture(scope="module")
def outcome(whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["network"]


@pytest.fixture(scope="module")
def seen(outcome: ProbeOutcome) -> NetworkObservations:
    assert isinstance(outcome.observations, NetworkObservations), outcome.status
    return outcome.observations


class TestAHealthyNetwork:
    def test_connects_all_with_all(self, outcome: ProbeOutcome, seen: NetworkObservations, judged: Judge) -> None:
        count = len(seen.peers)

        assert not seen.failed
        assert len(seen.connections) == 2 * count * (count - 1)
        assert {f.status for f in judged(outcome, "network.pod-to-pod")} == {Status.OK}

    def test_keeps_addresses(self, outcome: ProbeOutcome, judged: Judge) -> None:
        assert {f.status for f in judged(outcome, "network.source-address")} == {Status.OK}

    def test_passes_full_frames(self, outcome: ProbeOutcome, seen: NetworkObservations, judged: Judge) -> None:
        assert all(path.full_datagrams for path in seen.paths)
        assert {f.status for f in judged(outcome, "network.full-size-frames")} == {Status.OK}

    def test_is_measured(self, outcome: ProbeOutcome, seen: NetworkObservations, judged: Judge) -> None:
        check = "network.throughput"

        assert len(seen.speeds) == 3
        assert {speed.tool for speed in seen.speeds} <= {"iperf3", "agent"}
        assert {f.status for f in judged(outcome, check, parameters=PATIENT[check])} == {Status.OK}

    def test_reaches_the_api_server(self, outcome: ProbeOutcome, judged: Judge) -> None:
        assert {f.status for f in judged(outcome, "network.api-server-reachable")} == {Status.OK}

    def test_balances(self, outcome: ProbeOutcome, seen: NetworkObservations, judged: Judge) -> None:
        [finding] = judged(outcome, "load-balancing.service-spread")

        assert finding.status is Status.OK, finding.message
        assert seen.loss is not None
        assert seen.loss.answered[seen.loss.removed] < min(
            seen.loss.answered[name] for name in seen.loss.answered if name != seen.loss.removed
        )

    def test_asks_for_no_load_balancer_unless_told(self, outcome: ProbeOutcome, judged: Judge) -> None:
        assert {f.status for f in judged(outcome, "load-balancing.address-granted")} == {Status.SKIP}


@pytest.mark.usefixtures("test_bed")
class TestPoliciesThatNobodyEnforces:
    def test_are_seen(self, outcome: ProbeOutcome, seen: NetworkObservations, judged: Judge) -> None:
        states = {step.name: step.state for step in seen.policy}

        [finding] = judged(outcome, "network.policy-enforced", also=NO_POLICIES)

        assert states["reached-before"] is StepState.OK
        assert states["ingress-denied"] is states["egress-denied"] is StepState.FAILED
        assert finding.status is Status.WARN

    def test_are_a_failure_where_somebody_relies_on_them(
        self, test_bed: Cluster, fresh_namespace: str, outcome: ProbeOutcome, judged: Judge
    ) -> None:
        with faults.network_policy_not_enforced(test_bed, fresh_namespace) as name:
            found = test_bed.resource("NetworkPolicy", "networking.k8s.io/v1").get(namespace=fresh_namespace).to_dict()
            policies = tuple(msgspec.convert(each, NetworkPolicy) for each in found["items"])

        [finding] = judged(outcome, "network.policy-enforced", also={POLICIES: PartFacts(OK, policies)})

        assert finding.status is Status.FAIL
        assert f"{fresh_namespace}/{name}" in finding.message


@pytest.fixture(scope="module")
def troubled(test_bed: Cluster, run_probe: RunProbe) -> ProbeOutcome:
    """Rules for the probe's own ports, which nobody else feels: a black hole from n1 to n2, masquerading on n3."""
    large = ("--match", "length", "--length", "1400:65535", "--jump", "DROP")
    from_1_to_2 = ("--source", N1.pod_network, "--destination", N2.pod_network)
    from_3_to_1 = ("--source", N3.pod_network, "--destination", N1.pod_network)
    with ExitStack() as stack:
        for protocol in ("tcp", "udp"):
            port = ("--protocol", protocol, "--dport", str(PORT))
            stack.enter_context(rule(N1.netns, "mangle", "FORWARD", *from_1_to_2, *port, *large))
        port = ("--protocol", "tcp", "--dport", str(PORT))
        stack.enter_context(rule(N3.netns, "nat", "POSTROUTING", *from_3_to_1, *port, "--jump", "MASQUERADE"))
        return run_probe("network", throughput_seconds=0)  # the rules are gone before any other test


@contextmanager
def rule(netns: str, table: str, chain: str, *words: str) -> Iterator[None]:
    iptables = ("iptables", "--wait", "5", "--table", table)
    run(*iptables, "--insert", chain, *words, netns=netns)
    try:
        yield
    finally:
        run(*iptables, "--delete", chain, *words, netns=netns)


class TestATroubledNetwork:
    def test_is_a_black_hole_in_one_direction(self, troubled: ProbeOutcome, judged: Judge) -> None:
        assert {f.status for f in judged(troubled, "network.pod-to-pod")} == {Status.OK}

        [finding] = judged(troubled, "network.full-size-frames")

        assert finding.status is Status.FAIL
        assert "n1 to n2" in finding.message
        assert "n1 to n3" not in finding.message

    def test_hides_addresses(self, troubled: ProbeOutcome, judged: Judge) -> None:
        findings = judged(troubled, "network.source-address")

        assert findings[0].status is Status.FAIL
        assert f"{N3.address} instead of" in findings[0].message

    def test_is_not_measured_where_that_is_off(self, troubled: ProbeOutcome, judged: Judge) -> None:
        assert {f.status for f in judged(troubled, "network.throughput")} == {Status.UNKNOWN}
