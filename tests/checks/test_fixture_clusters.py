"""Every fixture cluster comes to the status that its file name says."""

import re

import pytest

from tests.fixture_clusters import FixtureCluster, load_fixture_clusters, worst


@pytest.mark.parametrize("cluster", load_fixture_clusters(), ids=lambda cluster: cluster.id)
def test_the_worst_finding_is_the_expected_one(cluster: FixtureCluster) -> None:
    findings = cluster.findings()

    said = "\n".join(f"{finding.status}: {finding.message}" for finding in findings)
    assert worst(findings) is cluster.expected, said
    decisive = [finding.message for finding in findings if finding.status is cluster.expected]
    assert any(re.search(cluster.options.message, message) for message in decisive), said
