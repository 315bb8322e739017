"""All probes in one run on a cluster in good order: no failure that is not explained, and nothing is left."""

from __future__ import annotations

import pytest

from auditor.model import Finding, Status
from tests.auditing import Outcome, discontent, judged, observing_checks
from tests.probes.conftest import WholeRun
from tests.testbed.client import Cluster

EXPLAINED: dict[Outcome, str] = {}
"""What the probes find wrong with a healthy test bed, and why that is true of it."""


@pytest.fixture(scope="module")
def findings(test_bed: Cluster, whole_run: WholeRun) -> tuple[Finding, ...]:
    return judged(whole_run.bundle, *observing_checks()).findings


def test_every_probe_came_to_its_end(whole_run: WholeRun) -> None:
    assert {name: str(each.status) for name, each in whole_run.probes.items() if each.observations is None} == {}


def test_nothing_is_left(whole_run: WholeRun) -> None:
    assert whole_run.outcome.removal is not None
    assert whole_run.outcome.removal.left == ()
    assert whole_run.outcome.removal.unseen == {}


def test_a_healthy_cluster_is_content_but_for_what_is_explained(findings: tuple[Finding, ...]) -> None:
    told = "\n".join(f"{each.check} {each.status}: {each.message}" for each in findings if each.status is not Status.OK)

    assert discontent(findings) == set(EXPLAINED), told


def test_every_check_came_to_a_finding(findings: tuple[Finding, ...]) -> None:
    assert {finding.check for finding in findings} == set(observing_checks())
