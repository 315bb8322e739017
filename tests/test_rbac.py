"""The printed role is enough for a collection, and no rule of it is superfluous."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from auditor.facts.kube import ConfigMap, Node, Pod, StorageClass
from auditor.facts.parts import PartState, named, part_of, raw
from auditor.rbac import Manifest, cluster_rules, manifests
from auditor.reading_plan import Plan, plan
from auditor.registry import load_checks
from tests import accounts
from tests.accounts import NAMESPACE, wait_until_allowed
from tests.collecting import collected, manifest, not_ok
from tests.testbed.client import Cluster

COREDNS = named(ConfigMap, "coredns", namespace="kube-system")
Grant = Callable[[list[Manifest]], object]


def whole_plan() -> Plan:
    """What all checks read, one object by name, and answers that are no objects."""
    reads = [part for check in load_checks() for part in check.reads]
    return plan([*reads, COREDNS, raw("readyz.txt"), raw("metrics.txt")])


@pytest.fixture(scope="module")
def account(cluster: Cluster) -> Iterator[str]:
    """A ServiceAccount of the tests' own."""
    with accounts.account(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def as_account(cluster: Cluster, account: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its kubeconfig."""
    return accounts.kubeconfig_of(cluster, account, tmp_path_factory.mktemp("account"))


@pytest.fixture
def grant(cluster: Cluster) -> Iterator[Grant]:
    """Applies roles and bindings; they are gone after the test."""
    with ExitStack() as stack:
        yield lambda documents: stack.enter_context(accounts.granted(cluster, documents))


def test_under_the_printed_role_nothing_is_forbidden(
    cluster: Cluster, account: str, as_account: Path, grant: Grant, tmp_path: Path
) -> None:
    wanted = whole_plan()
    grant(manifests(wanted, account=account, namespace=NAMESPACE, name=account))
    last = {"verb": "get", "resource": "configmaps", "namespace": "kube-system", "name": "coredns"}
    wait_until_allowed(cluster, account, last, allowed=True)

    collected(wanted, tmp_path / "bundle", kubeconfig=as_account)

    found = manifest(tmp_path / "bundle")
    assert PartState.FORBIDDEN not in not_ok([*found.resources, *found.files]).values()
    (coredns,) = (each for each in found.resources if each.object == COREDNS.object)
    assert (coredns.status, coredns.count) == (PartState.OK, 1)


def test_each_resource_of_the_role_is_needed(
    cluster: Cluster, account: str, as_account: Path, grant: Grant, tmp_path: Path
) -> None:
    wanted = whole_plan()
    documents = manifests(wanted, account=account, namespace=NAMESPACE, name=account)
    grant(documents)
    collected(wanted, tmp_path / "whole", kubeconfig=as_account)
    absent = not_ok(manifest(tmp_path / "whole").resources)
    before: dict[str, str] | None = None
    for number, (removed, attributes, part) in enumerate(_each_less(documents)):
        if part in absent:
            continue
        cluster.apply_object(removed)
        if before is not None:
            wait_until_allowed(cluster, account, before, allowed=True)
        wait_until_allowed(cluster, account, attributes, allowed=False)
        collected(wanted, tmp_path / str(number), kubeconfig=as_account)

        found = manifest(tmp_path / str(number))
        forbidden = [n for n, s in not_ok([*found.resources, *found.files]).items() if s is PartState.FORBIDDEN]
        assert forbidden == [part]
        before = attributes
    assert number + 1 == len(wanted.listed)
    assert set(absent.values()) == {PartState.ABSENT}


def _each_less(documents: list[Manifest]) -> Iterator[tuple[Manifest, dict[str, str], str]]:
    """The ClusterRole with one resource less, what that forbids, and the part of the bundle that it is."""
    (role,) = (each for each in documents if each["kind"] == "ClusterRole")
    for number, rule in enumerate(role["rules"]):
        for resource in () if "resourceNames" in rule else rule.get("resources", ()):
            less = copy.deepcopy(role)
            less["rules"][number]["resources"].remove(resource)
            if not less["rules"][number]["resources"]:
                del less["rules"][number]
            (group,) = rule["apiGroups"]
            yield less, {"verb": "list", "group": group, "resource": resource}, f"{group or 'core'}/{resource}"


def test_without_its_role_a_named_object_is_forbidden_and_nothing_else(
    cluster: Cluster, account: str, as_account: Path, grant: Grant, tmp_path: Path
) -> None:
    wanted = plan([part_of(Node), COREDNS])
    documents = manifests(wanted, account=account, namespace=NAMESPACE, name=account)
    grant([each for each in documents if not each["kind"].startswith("Role")])
    wait_until_allowed(cluster, account, {"verb": "list", "resource": "nodes"}, allowed=True)

    collected(wanted, tmp_path / "bundle", kubeconfig=as_account)

    found = not_ok(manifest(tmp_path / "bundle").resources)
    assert found == {"core/configmaps kube-system/coredns": PartState.FORBIDDEN}


def test_without_any_role_all_is_forbidden_and_the_bundle_says_so(as_account: Path, tmp_path: Path) -> None:
    collected(plan([part_of(Node), part_of(StorageClass)]), tmp_path / "bundle", kubeconfig=as_account)

    found = manifest(tmp_path / "bundle")
    assert {each.status for each in found.resources} == {PartState.FORBIDDEN}
    assert {each.http_status for each in found.resources} == {403}
    assert "cannot list resource" in found.resources[0].reason


def test_no_role_of_ours_grants_more_than_reading_what_is_named() -> None:
    documents = manifests(whole_plan(), account="reader", namespace="audit")
    rules = [rule for each in documents for rule in each.get("rules", ())]

    assert {verb for rule in rules for verb in rule["verbs"]} <= {"get", "list"}
    assert not any("*" in word for rule in rules for key in ("apiGroups", "resources") for word in rule.get(key, ()))
    resources = {resource for rule in rules for resource in rule.get("resources", ())}
    assert not resources & {"secrets", "nodes/proxy", "pods/exec", "pods/log"}
    urls = {url for rule in rules for url in rule.get("nonResourceURLs", ())}
    assert {url for url in urls if "*" in url} <= {"/api/*", "/apis/*"}


def test_named_objects_are_granted_by_name_and_outside_of_kube_system_without_asking_for_their_namespace() -> None:
    wanted = plan(
        [COREDNS, named(ConfigMap, "kube-proxy", namespace="kube-system"), named(ConfigMap, "own", namespace="a")]
    )
    documents = manifests(wanted, account="reader", namespace="audit", name="reading")

    roles = {each["metadata"]["namespace"]: each["rules"] for each in documents if each["kind"] == "Role"}
    assert roles == {"kube-system": [_named_rule("coredns", "kube-proxy")]}
    subjects = [each["subjects"] for each in documents if each["kind"].endswith("Binding")]
    assert subjects == [[{"kind": "ServiceAccount", "name": "reader", "namespace": "audit"}]] * 2
    assert [rule for rule in cluster_rules(wanted) if "configmaps" in rule.get("resources", ())] == [_named_rule("own")]


def test_a_named_cluster_scoped_object_is_granted_by_name() -> None:
    rules = cluster_rules(plan([named(StorageClass, "fast")]))

    assert rules[0] == {
        "apiGroups": ["storage.k8s.io"],
        "resources": ["storageclasses"],
        "resourceNames": ["fast"],
        "verbs": ["get"],
    }


def test_one_rule_for_each_group() -> None:
    rules = cluster_rules(plan([part_of(Pod), part_of(Node), part_of(StorageClass)]))

    assert [(rule["apiGroups"], rule["resources"]) for rule in rules if "resources" in rule] == [
        ([""], ["nodes", "pods"]),
        (["storage.k8s.io"], ["storageclasses"]),
    ]


def _named_rule(*names: str) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [*names], "verbs": ["get"]}
