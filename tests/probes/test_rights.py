"""Under the printed roles probes lack nothing; without one of their rights the observations and checks say which."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from auditor.cluster import connect
from auditor.facts.parts import PartState
from auditor.model import Status
from auditor.probing import ProbeOutcome, ProbeRun, RunOutcome
from auditor.rbac import Manifest, probe_manifests
from auditor.registry import load_checks, load_probes
from auditor.sandbox import Images, SandboxSettings
from auditor.sandbox.clean import remove_run
from auditor.sandbox.scope import ProbeOptions
from auditor.units.probe import Probe, Right, rights
from tests import accounts
from tests.probes.conftest import Judge
from tests.testbed.client import Cluster

ALL_RIGHTS = "AUDITOR_TEST_ALL_RIGHTS"
"""With it each right of each probe is taken away in turn, which takes long; without it the first of each probe."""

PROBES = list(load_probes())
CHEAP = {"api", "nodes"}
"""Enough to prove a role in a namespace that is given."""

QUICK = ProbeOptions(
    storage_bytes=64 * 1024**2,
    disk_seconds=1,
    lease_seconds=5,
    api_requests=2,
    lookups=50,
    burst_pods=5,
    throughput_seconds=1,
    visited_nodes=1,
)
AROUND = (
    *rights("list", "nodes", "namespaces", cluster_wide=True),
    *rights("list", "storageclasses", group="storage.k8s.io", cluster_wide=True),
    *rights("create", "namespaces", cluster_wide=True),
    *rights("create", "resourcequotas", "configmaps"),
)
"""What any probe needs around it; to look for namespaces is needed by the removal only."""


def in_turn() -> list[tuple[Probe, Right]]:
    """The rights that are taken away, and of which probe."""
    own = {probe.id: [right for right in probe.rights if not right.optional] for probe in PROBES}
    every = bool(os.environ.get(ALL_RIGHTS))
    found = [(probe, right) for probe in PROBES for right in (own[probe.id] if every else own[probe.id][:1])]
    [first] = [probe for probe in PROBES if probe.id == "api"]
    return [*found, *((first, right) for right in (AROUND if every else AROUND[:1]))]


@contextmanager
def run_as(
    cluster: Cluster, probes: Sequence[Probe], documents: Sequence[Manifest], account: str, folder: Path, image: str, *,
    namespace: str = "",
) -> Iterator[RunOutcome]:  # fmt: skip
    """A run under these roles; what it could not remove itself, the administrator removes afterwards."""
    with accounts.granted(cluster, documents):
        last = {"verb": "list", "resource": "persistentvolumeclaims"}
        accounts.wait_until_allowed(cluster, account, last, allowed=True)
        kubeconfig = accounts.kubeconfig_of(cluster, account, folder)
        settings = SandboxSettings(namespace=namespace, images=Images(agent=image), patience_seconds=60)
        run, administrator = (
            ProbeRun(connect(kubeconfig=path), probes, settings=settings, options=QUICK, now=datetime.now(UTC))
            for path in (kubeconfig, cluster.kubeconfig)
        )
        try:
            yield run.conduct(run.prepare())
        finally:
            remove_run(administrator.objects, run.sandbox.run_id, namespace=namespace)


def lacking(documents: Sequence[Manifest], right: Right) -> list[Manifest]:
    """The roles without one right."""
    changed = copy.deepcopy(list(documents))
    for each in changed:
        each["rules"] = [part for rule in each["rules"] for part in _without(rule, right)] if "rules" in each else None
        if each["rules"] is None:
            del each["rules"]
    return changed


def _without(rule: Manifest, right: Right) -> Iterator[Manifest]:
    if right.group not in rule["apiGroups"] or right.resource not in rule["resources"]:
        yield rule
        return
    others = [resource for resource in rule["resources"] if resource != right.resource]
    verbs = [verb for verb in rule["verbs"] if verb != right.verb]
    if others:
        yield {**rule, "resources": others}
    if verbs:
        yield {**rule, "resources": [right.resource], "verbs": verbs}


def said(outcome: ProbeOutcome) -> str:
    """All that a probe has to say."""
    return outcome.status.reason + msgspec.json.encode(outcome.observations).decode()


@pytest.fixture
def account(cluster: Cluster) -> Iterator[str]:
    """A ServiceAccount without any right yet."""
    with accounts.account(cluster) as name:
        yield name


@pytest.mark.parametrize("given", [False, True], ids=["namespace of its own", "given namespace"])
def test_under_the_printed_role_probes_lack_nothing(
    cluster: Cluster, fresh_namespace: str, account: str, agent_image: str, tmp_path: Path, *, given: bool
) -> None:
    namespace = fresh_namespace if given else ""
    probes = [probe for probe in PROBES if not given or os.environ.get(ALL_RIGHTS) or probe.id in CHEAP]
    documents = probe_manifests(probes, account=account, namespace=accounts.NAMESPACE, sandbox=namespace, name=account)
    with run_as(cluster, probes, documents, account, tmp_path, agent_image, namespace=namespace) as outcome:
        states = {each.probe.id: (each.status.state, each.status.reason) for each in outcome.probes}
        assert {name: state for name, state in states.items() if state[0] is not PartState.OK} == {}
        assert [each.probe.id for each in outcome.probes if '"missing_permission":"' in said(each)] == []
        assert outcome.removal is not None
        assert outcome.removal.left == ()
        assert outcome.removal.unseen == {}


@pytest.mark.parametrize(
    ("probe", "right"),
    in_turn(),
    ids=lambda each: each.id if isinstance(each, Probe) else f"{each.verb}-{each.resource}",
)
def test_a_missing_right_is_named(
    cluster: Cluster, account: str, agent_image: str, tmp_path: Path, judged: Judge, probe: Probe, right: Right
) -> None:
    documents = probe_manifests([probe], account=account, namespace=accounts.NAMESPACE, name=account)
    missing = f"{right.verb} {right.resource}"
    with run_as(cluster, [probe], lacking(documents, right), account, tmp_path, agent_image) as outcome:
        [one] = outcome.probes
        if right in AROUND and right.resource == "namespaces" and right.verb == "list":
            assert one.status.state is PartState.OK
            assert outcome.removal is not None
            assert missing in str(outcome.removal.unseen)
            return
        if right.verb == "delete" and one.status.state is PartState.OK:
            return  # what a probe cannot remove goes with the namespace
        assert missing in said(one)
        readers = [check.id for check in load_checks() if any(p.id == probe.document.part_id for p in check.reads)]
        findings = [finding for check_id in readers for finding in judged(one, check_id)]
        assert not readers or any(f.status is Status.UNKNOWN and missing in f.message for f in findings)
