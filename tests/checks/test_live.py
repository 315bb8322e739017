"""The whole catalogue on a real cluster: content where all is well, and each fault gives exactly its findings."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from auditor.model import Finding, Result, Status
from tests.auditing import Outcome, audit, discontent, judged, static_checks
from tests.testbed import faults
from tests.testbed.client import Cluster, wait_for
from tests.testbed.layout import NODES

FAIL, WARN, UNKNOWN = Status.FAIL, Status.WARN, Status.UNKNOWN

EXPLAINED: dict[Outcome, str] = {}
"""What a healthy test bed is found guilty of, and why that is true of it."""

Fault = Callable[[Cluster], AbstractContextManager[Any]]

NODE = NODES[0].name

FAULTS: dict[str, tuple[Fault, set[Outcome]]] = {}
"""Each fault that reading can see, and what is found beside :data:`EXPLAINED`."""


@pytest.fixture(scope="module")
def healthy(test_bed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    bundle = tmp_path_factory.mktemp("healthy") / "bundle"
    return bundle, audit(bundle, *static_checks())


def test_a_healthy_cluster_is_content_but_for_what_is_explained(healthy: tuple[Path, Result]) -> None:
    _, result = healthy

    assert discontent(result.findings) == set(EXPLAINED), _told(result.findings, set(EXPLAINED))


def test_every_check_came_to_a_finding(healthy: tuple[Path, Result]) -> None:
    _, result = healthy

    assert {finding.check for finding in result.findings} == set(static_checks())


def test_a_bundle_gives_the_same_findings_again_from_an_archive(healthy: tuple[Path, Result], tmp_path: Path) -> None:
    bundle, result = healthy
    archive = tmp_path / "bundle.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(bundle, arcname=".")

    again = judged(archive, *static_checks())

    assert again.findings == result.findings


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_exactly_its_findings(name: str, test_bed: Cluster, tmp_path: Path) -> None:
    make, expected = FAULTS[name]
    with make(test_bed):
        result = audit(tmp_path / "bundle", *static_checks())

    assert discontent(result.findings) - set(EXPLAINED) == expected, _told(result.findings, expected | set(EXPLAINED))


def _told(findings: tuple[Finding, ...], expected: set[Outcome]) -> str:
    surprises = [f for f in findings if (f.check, f.status) in discontent(findings) ^ expected]
    return "\n".join(f"{f.check} {f.status}: {f.message}" for f in surprises)
