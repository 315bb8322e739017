"""All probes in one run on a cluster in good order: no failure that is not explained, and nothing is left."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from auditor.bundle.pseudonyms import Pseudonyms
from auditor.bundle.redaction import Redaction
from auditor.model import Finding, Status
from tests.auditing import Outcome, discontent, judged, observing_checks
from tests.probes.conftest import PATIENT, WholeRun
from tests.testbed.client import Cluster
from tests.testbed.layout import NODES

EXPLAINED: dict[Outcome, str] = {
    ("network.policy-enforced", Status.WARN): "the bridge plugin enforces no NetworkPolicy",
    ("storage.grows-in-use", Status.FAIL): "nothing resizes the folders of the default class",
    ("storage.volume-moves", Status.UNKNOWN): "a zone has one node, so that a volume of one zone has nowhere to go",
}
"""What the probes find wrong with a healthy test bed, and why that is true of it."""

OF_THE_MACHINE = "nodes."
"""Checks that see the machine on which the test bed runs: its cgroups, limits and sysctls."""


@pytest.fixture(scope="module")
def findings(test_bed: Cluster, whole_run: WholeRun) -> tuple[Finding, ...]:
    return judged(whole_run.bundle, *observing_checks(), parameters=PATIENT).findings


def test_every_probe_came_to_its_end(whole_run: WholeRun) -> None:
    assert {name: str(each.status) for name, each in whole_run.probes.items() if each.observations is None} == {}


def test_nothing_is_left(whole_run: WholeRun) -> None:
    assert whole_run.outcome.removal is not None
    assert whole_run.outcome.removal.left == ()
    assert whole_run.outcome.removal.unseen == {}


def test_a_healthy_cluster_is_content_but_for_what_is_explained(findings: tuple[Finding, ...]) -> None:
    told = "\n".join(f"{each.check} {each.status}: {each.message}" for each in findings if each.status is not Status.OK)

    found = {outcome for outcome in discontent(findings) if not outcome[0].startswith(OF_THE_MACHINE)}
    assert found == set(EXPLAINED), told


def test_hidden_names_change_no_status(
    test_bed: Cluster, whole_run: WholeRun, findings: tuple[Finding, ...], tmp_path: Path
) -> None:
    redaction = Redaction(Pseudonyms(node.name for node in NODES))
    hidden = tmp_path / "hidden"
    shutil.copytree(whole_run.bundle, hidden, ignore=shutil.ignore_patterns("manifest.json"))
    for path in (*hidden.rglob("observations/*.json"), *hidden.rglob("resources/**/*.json")):
        path.write_text(redaction.text(path.read_text()))

    seen = judged(hidden, *observing_checks(), parameters=PATIENT).findings

    assert discontent(seen) == discontent(findings)
    assert not any(re.search(r"\bn[123]\b", path.read_text()) for path in hidden.rglob("observations/*.json"))


def test_every_check_came_to_a_finding(findings: tuple[Finding, ...]) -> None:
    assert {finding.check for finding in findings} == set(observing_checks())
