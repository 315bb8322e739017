"""What the printed rights of probes are, wherever they run."""

from __future__ import annotations

import pytest

from auditor.facts.observations.api import ApiObservations
from auditor.probe_rights import needed_rights, rules
from auditor.rbac import Manifest, probe_manifests
from auditor.registry import load_probes
from auditor.units.probe import Probe, ProbePlan, Right, probe, rights


def made_up(*needs: Right) -> Probe:
    """A probe that needs these rights."""

    @probe(
        "made-up", title="t", yields=ApiObservations, needs=needs, plan=lambda _sandbox, _scope: ProbePlan(objects=())
    )
    def function(_sandbox: object, _scope: object) -> ApiObservations:
        raise NotImplementedError

    declared: Probe = function.__auditor__  # type: ignore[attr-defined]
    return declared


def verbs(documents: list[Manifest], kind: str, resource: str) -> set[str]:
    """What the role of a kind grants on a resource."""
    return {
        verb
        for each in documents
        if each["kind"] == kind
        for rule in each["rules"]
        if resource in rule["resources"]
        for verb in rule["verbs"]
    }


PROBES = [made_up(*rights("create get", "pods"), *rights("create", "persistentvolumeclaims"))]
MORE = rights("get", "nodes", cluster_wide=True)


def test_in_a_given_namespace_objects_are_created_there_only() -> None:
    documents = probe_manifests(PROBES, account="reader", namespace="audit", sandbox="data")

    assert [each["kind"] for each in documents] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    assert {each["metadata"].get("namespace") for each in documents} == {None, "data"}
    assert verbs(documents, "Role", "pods") == {"create", "get", "list", "delete"}
    assert verbs(documents, "Role", "configmaps") == {"create", "list", "delete"}
    assert verbs(documents, "ClusterRole", "pods") == set()
    assert verbs(documents, "ClusterRole", "namespaces") == set()
    assert verbs(documents, "ClusterRole", "persistentvolumeclaims") == {"list"}
    cluster_wide = {
        verb for each in documents if each["kind"] == "ClusterRole" for r in each["rules"] for verb in r["verbs"]
    }
    assert "create" not in cluster_wide
    assert "delete" not in cluster_wide


def test_for_a_namespace_of_its_own_there_is_only_the_cluster_role() -> None:
    documents = probe_manifests(PROBES, account="reader", namespace="audit")

    assert [each["kind"] for each in documents] == ["ClusterRole", "ClusterRoleBinding"]
    assert verbs(documents, "ClusterRole", "namespaces") == {"create", "get", "list", "delete"}
    assert verbs(documents, "ClusterRole", "resourcequotas") == {"create", "list", "delete"}
    assert verbs(documents, "ClusterRole", "pods") == {"create", "get", "list", "delete"}


def test_volumes_are_followed_where_claims_are_made() -> None:
    without = probe_manifests([made_up(*rights("create", "pods"))], account="a", namespace="n")

    assert verbs(without, "ClusterRole", "persistentvolumes") == {"list"}
    for own in (rights("create", "persistentvolumeclaims"), rights("create", "statefulsets", group="apps")):
        documents = probe_manifests([made_up(*own)], account="a", namespace="n", sandbox="data")
        assert verbs(documents, "ClusterRole", "persistentvolumes") == {"list", "get", "patch"}
        assert verbs(documents, "Role", "persistentvolumeclaims") >= {"list", "delete"}


def test_what_is_needed_outside_of_the_namespace_is_in_the_cluster_role() -> None:
    needed = needed_rights([made_up(*MORE)], own_namespace=False)

    assert set(MORE) <= set(needed.cluster_wide)
    assert not set(MORE) & set(needed.in_namespace)


def test_one_rule_for_each_group_and_set_of_verbs() -> None:
    found = rules(
        [*rights("get list", "pods", "services"), *rights("create", "pods"), *rights("get list", "a", group="g")]
    )

    assert found == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list"]},
        {"apiGroups": ["g"], "resources": ["a"], "verbs": ["get", "list"]},
    ]


@pytest.mark.parametrize("sandbox", ["", "data"])
def test_nothing_of_it_is_a_door_to_more(sandbox: str) -> None:
    documents = probe_manifests(list(load_probes()), account="reader", namespace="audit", sandbox=sandbox)
    granted = [rule for each in documents for rule in each.get("rules", ())]

    assert not any("*" in word for rule in granted for key in ("apiGroups", "resources", "verbs") for word in rule[key])
    assert not {"bind", "escalate", "impersonate"} & {verb for rule in granted for verb in rule["verbs"]}
    resources = {resource for rule in granted for resource in rule["resources"]}
    assert not resources & {"secrets", "nodes/proxy", "pods/exec", "pods/attach", "pods/portforward"}
