"""Running one probe on a real cluster, as a run does, and asking checks what they say of its observations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from auditor.bundle import BundleWriter
from auditor.cluster import connect
from auditor.collect import collect
from auditor.facts.parts import OK
from auditor.facts.store import Facts, Origin, PartFacts, PartKey
from auditor.judge import Policy, judge_check
from auditor.model import Finding
from auditor.probing import ProbeOutcome, ProbeRun, RunOutcome, write_outcomes
from auditor.reading_plan import plan as reading_plan
from auditor.registry import load_checks, load_probes
from auditor.run import needed_parts
from auditor.sandbox import Images, SandboxSettings
from auditor.sandbox.scope import ProbeOptions
from tests.auditing import observing_checks, settings
from tests.testbed import images
from tests.testbed.client import Cluster
from tests.testbed.fixtures import OWN_CLUSTER
from tests.testbed.layout import NODES

OWN_IMAGE = "AUDITOR_TEST_AGENT_IMAGE"
"""Names an image that the cluster's nodes have or can pull, for which the tests then build none."""

PATIENCE_SECONDS = 60

SHORT = ProbeOptions(
    api_requests=40,
    burst_claims=3,
    burst_pods=15,
    disk_seconds=0.5,
    lease_seconds=10,
    lookups=300,
    storage_bytes=512 * 1024**2,
    storage_classes=("testbed-csi", "testbed-csi-everywhere", "local-path"),
    throughput_seconds=1,
)
"""One class can do everything, one is of one zone, one is on the nodes' disks."""


PATIENT: dict[str, dict[str, Any]] = {
    "control-plane.api-latency": {"max_object_p99_seconds": 30},
    "control-plane.lease-renewal": {"max_p99_seconds": 30, "max_gap_seconds": 60, "fail_gap_seconds": 60},
    "dns.lookup-rate": {"executors_per_second": 1, "max_failed_share": 0.01},
    "dns.lookups": {"max_p99_seconds": 5, "max_lost_share": 0.01},
    "dns.every-server": {"max_median_seconds": 1},
    "dns.new-names": {"max_seconds": 30},
    "load-balancing.service-spread": {"max_error_seconds": 60},
    "network.throughput": {
        "min_gbit_per_second": 0.01,
        "min_cross_zone_gbit_per_second": 0.01,
        "floor_gbit_per_second": 0.01,
        "max_round_trip_milliseconds": 1000,
    },
    "platform.admission-time": {"max_p90_seconds": 9},
    "scheduler.pod-startup": {"max_startup_p99_seconds": 90, "max_scheduling_p99_seconds": 90},
    "scheduler.preemption": {"max_preemption_seconds": 90},
    "stateful.early-names": {"max_names_seconds": 60},
    "storage.node-disk-speed": {"written_megabytes_per_second": 1, "random_iops": 1},
    "storage.volume-speed": {
        "written_megabytes_per_second": 1,
        "sync_p99_milliseconds": 10_000,
        "failing_sync_p99_milliseconds": 10_000,
    },
}
"""Thresholds that a machine meets which is busy with other things: what is tested is not its speed."""


@dataclass(frozen=True, slots=True)
class WholeRun:
    """All probes at once: what became of each, by its id, and how long reading, probing and removing took."""

    probes: dict[str, ProbeOutcome]
    outcome: RunOutcome
    bundle: Path
    seconds: float


RunProbe = Callable[..., ProbeOutcome]
Judge = Callable[..., list[Finding]]


@pytest.fixture(scope="session")
def agent_image(cluster: Cluster) -> str:
    """The project's agent image, on all nodes; empty on a cluster of one's own, which pulls the public one."""
    if named := os.environ.get(OWN_IMAGE):
        return named
    return "" if OWN_CLUSTER in os.environ else images.provide(NODES, images.agent())


@pytest.fixture(scope="session")
def run_probe(cluster: Cluster, agent_image: str) -> RunProbe:
    """``run_probe("dns", kubeconfig=…, settings={…}, **options)``: one probe in a sandbox of its own."""

    def run(
        probe_id: str, *, kubeconfig: Path | None = None, settings: dict[str, Any] | None = None, **options: Any
    ) -> ProbeOutcome:
        chosen: dict[str, Any] = {"patience_seconds": PATIENCE_SECONDS, "images": Images(agent=agent_image)}
        run = ProbeRun(
            connect(kubeconfig=kubeconfig or cluster.kubeconfig),
            [load_probes().get(probe_id)],
            settings=SandboxSettings(**chosen | (settings or {})),
            options=ProbeOptions(**options),
            now=datetime.now(UTC),
        )
        scope = run.look_around()
        plan = run.plan(scope)
        with run.housed(plan):
            [outcome] = run.run(scope, plan)
        return outcome

    return run


@pytest.fixture(scope="session")
def whole_run(cluster: Cluster, agent_image: str, tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """All probes side by side in one sandbox, after a collection of what their checks read."""
    connection = connect(kubeconfig=cluster.kubeconfig)
    run = ProbeRun(
        connection,
        list(load_probes()),
        settings=SandboxSettings(patience_seconds=PATIENCE_SECONDS, images=Images(agent=agent_image)),
        options=SHORT,
        now=datetime.now(UTC),
    )
    bundle = tmp_path_factory.mktemp("whole") / "bundle"
    outcomes: list[RunOutcome] = []

    def probe(writer: BundleWriter) -> None:
        outcomes.append(run.conduct(run.prepare()))
        write_outcomes(writer, outcomes[0])

    started = time.monotonic()
    parts = needed_parts(settings(*observing_checks()), load_checks())
    collect(connection, reading_plan(parts), bundle, then=probe)
    [outcome] = outcomes
    return WholeRun({each.probe.id: each for each in outcome.probes}, outcome, bundle, time.monotonic() - started)


@pytest.fixture(scope="session")
def judged() -> Judge:
    """``judged(outcome, "dns.resolves", parameters={…}, also={…})``: what a check says of a probe's observations."""

    def judge(
        outcomes: ProbeOutcome | Iterable[ProbeOutcome],
        check_id: str,
        *,
        parameters: dict[str, Any] | None = None,
        also: dict[PartKey, PartFacts] | None = None,
    ) -> list[Finding]:
        parts = dict(also or {})
        for outcome in [outcomes] if isinstance(outcomes, ProbeOutcome) else outcomes:
            key = (outcome.probe.document.part_id, None)
            parts[key] = PartFacts(outcome.status if outcome.observations is None else OK, outcome.observations)
        policy = Policy(parameters={check_id: parameters or {}}, today=date(2026, 1, 1))
        origin = Origin(collected_at=datetime(2026, 1, 1, 12, tzinfo=UTC))
        return judge_check(load_checks().get(check_id), Facts(parts, origin=origin), policy)

    return judge
