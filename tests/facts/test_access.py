"""Access: the API server's rules for RBAC, by example and against a model that looks at every object."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.access import Access, Account, Act, acts, allows, anonymous, service_account
from auditor.facts.kube.rbac import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding
from auditor.facts.parts import OK, PartState, PartStatus, UnreadableError
from auditor.facts.store import Facts, PartFacts, PartKey

DRIVER = service_account("spark", "driver")
CREATE_PODS = Act(verb="create", resource="pods")

PODS: dict[str, Any] = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
HELD_BY_DRIVER: list[dict[str, str]] = [{"kind": "ServiceAccount", "name": "driver", "namespace": "spark"}]


def rule(**fields: Any) -> PolicyRule:
    return msgspec.convert({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]} | fields, PolicyRule)


def role(name: str, *rules: dict[str, Any], namespace: str = "spark") -> Role:
    return msgspec.convert({"metadata": {"name": name, "namespace": namespace}, "rules": list(rules)}, Role)


def cluster_role(name: str, *rules: dict[str, Any]) -> ClusterRole:
    return msgspec.convert({"metadata": {"name": name}, "rules": list(rules)}, ClusterRole)


def binding(kind: str, name: str, subjects: Sequence[dict[str, str]], namespace: str = "spark") -> RoleBinding:
    metadata = {"name": "some", "namespace": namespace}
    given = {"metadata": metadata, "roleRef": {"kind": kind, "name": name}, "subjects": list(subjects)}
    return msgspec.convert(given, RoleBinding)


def cluster_binding(kind: str, name: str, subjects: Sequence[dict[str, str]]) -> ClusterRoleBinding:
    given = {"metadata": {"name": "some"}, "roleRef": {"kind": kind, "name": name}, "subjects": list(subjects)}
    return msgspec.convert(given, ClusterRoleBinding)


class TestARule:
    @pytest.mark.parametrize(
        ("allowing", "act"),
        [
            ({}, Act(verb="get", resource="pods")),
            ({"verbs": ["*"]}, Act(verb="deletecollection", resource="pods")),
            ({"apiGroups": ["*"]}, Act(verb="get", resource="pods", group="metrics.k8s.io")),
            ({"resources": ["*"]}, Act(verb="get", resource="secrets")),
            ({"resources": ["*"]}, Act(verb="get", resource="pods/log")),
            ({"resources": ["pods/log"]}, Act(verb="get", resource="pods/log")),
            ({"resources": ["*/log"]}, Act(verb="get", resource="pods/log")),
            ({"resourceNames": []}, Act(verb="get", resource="pods", name="any")),
            ({"resourceNames": ["one", "two"]}, Act(verb="get", resource="pods", name="two")),
            ({"nonResourceURLs": ["*"]}, Act(verb="get", path="/metrics")),
            ({"nonResourceURLs": ["/metrics"]}, Act(verb="get", path="/metrics")),
            ({"nonResourceURLs": ["/readyz/*"]}, Act(verb="get", path="/readyz/etcd")),
            ({"nonResourceURLs": ["/metrics*"]}, Act(verb="get", path="/metrics/slis")),
        ],
    )
    def test_allows(self, allowing: dict[str, Any], act: Act) -> None:
        assert allows(rule(**allowing), act)

    @pytest.mark.parametrize(
        ("allowing", "act"),
        [
            ({}, Act(verb="list", resource="pods")),
            ({}, Act(verb="get", resource="services")),
            ({}, Act(verb="get", resource="pods", group="metrics.k8s.io")),
            ({}, Act(verb="get", resource="pods/log")),
            ({"resources": ["pods/log"]}, Act(verb="get", resource="pods")),
            ({"resources": ["pods/*"]}, Act(verb="get", resource="pods/log")),
            ({"resources": ["*/scale"]}, Act(verb="get", resource="pods/log")),
            ({"resources": ["*/pods"]}, Act(verb="get", resource="pods")),
            ({"resourceNames": ["one"]}, Act(verb="get", resource="pods", name="two")),
            ({"resourceNames": ["one"]}, Act(verb="get", resource="pods")),
            ({"verbs": None}, Act(verb="get", resource="pods")),
            ({"apiGroups": None}, Act(verb="get", resource="pods")),
            ({"resources": ["*"]}, Act(verb="get", path="/metrics")),
            ({"nonResourceURLs": ["/readyz"]}, Act(verb="get", path="/readyz/etcd")),
            ({"nonResourceURLs": ["/metrics"]}, Act(verb="post", path="/metrics")),
        ],
    )
    def test_does_not_allow(self, allowing: dict[str, Any], act: Act) -> None:
        assert not allows(rule(**allowing), act)


class TestABinding:
    def test_gives_a_role_in_its_own_namespace_only(self) -> None:
        access = Access(roles=[role("edit", PODS)], role_bindings=[binding("Role", "edit", HELD_BY_DRIVER)])

        assert access.grants(DRIVER, CREATE_PODS, namespace="spark")
        assert not access.grants(DRIVER, CREATE_PODS, namespace="other")
        assert not access.grants(DRIVER, CREATE_PODS)

    def test_gives_a_cluster_role_in_its_own_namespace_only(self) -> None:
        access = Access(
            cluster_roles=[cluster_role("edit", PODS)],
            role_bindings=[binding("ClusterRole", "edit", HELD_BY_DRIVER, namespace="jobs")],
        )

        assert access.grants(DRIVER, CREATE_PODS, namespace="jobs")
        assert not access.grants(DRIVER, CREATE_PODS, namespace="spark")

    def test_of_the_cluster_gives_a_role_everywhere(self) -> None:
        access = Access(
            cluster_roles=[cluster_role("edit", PODS)],
            cluster_role_bindings=[cluster_binding("ClusterRole", "edit", HELD_BY_DRIVER)],
        )

        assert access.grants(DRIVER, CREATE_PODS, namespace="anywhere")
        assert access.grants(DRIVER, CREATE_PODS)

    def test_finds_a_role_in_the_namespace_of_the_binding(self) -> None:
        access = Access(
            roles=[role("edit", PODS, namespace="other")], role_bindings=[binding("Role", "edit", HELD_BY_DRIVER)]
        )

        assert not access.grants(DRIVER, CREATE_PODS, namespace="spark")

    def test_of_the_cluster_cannot_give_a_role(self) -> None:
        access = Access(
            roles=[role("edit", PODS)], cluster_role_bindings=[cluster_binding("Role", "edit", HELD_BY_DRIVER)]
        )

        assert not access.grants(DRIVER, CREATE_PODS, namespace="spark")

    def test_to_a_role_that_is_gone_gives_nothing(self) -> None:
        assert not Access(role_bindings=[binding("Role", "gone", HELD_BY_DRIVER)]).grants(
            DRIVER, CREATE_PODS, namespace="spark"
        )

    @pytest.mark.parametrize(
        "subject",
        [
            {"kind": "ServiceAccount", "name": "driver"},
            {"kind": "User", "name": "system:serviceaccount:spark:driver"},
            {"kind": "Group", "name": "system:serviceaccounts"},
            {"kind": "Group", "name": "system:serviceaccounts:spark"},
            {"kind": "Group", "name": "system:authenticated"},
        ],
    )
    def test_applies_to_the_account(self, subject: dict[str, str]) -> None:
        access = Access(roles=[role("edit", PODS)], role_bindings=[binding("Role", "edit", [subject])])

        assert access.grants(DRIVER, CREATE_PODS, namespace="spark")

    @pytest.mark.parametrize(
        "subject",
        [
            {"kind": "ServiceAccount", "name": "driver", "namespace": "other"},
            {"kind": "ServiceAccount", "name": "other"},
            {"kind": "User", "name": "driver"},
            {"kind": "User", "name": "system:serviceaccounts"},
            {"kind": "Group", "name": "system:serviceaccount:spark:driver"},
            {"kind": "Group", "name": "system:serviceaccounts:other"},
            {"kind": "Group", "name": "system:masters"},
            {"kind": "Group", "name": "system:unauthenticated"},
            {"kind": "Robot", "name": "driver"},
        ],
    )
    def test_does_not_apply_to_the_account(self, subject: dict[str, str]) -> None:
        access = Access(roles=[role("edit", PODS)], role_bindings=[binding("Role", "edit", [subject])])

        assert not access.grants(DRIVER, CREATE_PODS, namespace="spark")

    def test_of_the_cluster_needs_the_namespace_of_a_service_account(self) -> None:
        access = Access(
            cluster_roles=[cluster_role("edit", PODS)],
            cluster_role_bindings=[
                cluster_binding("ClusterRole", "edit", [{"kind": "ServiceAccount", "name": "driver"}])
            ],
        )

        assert not access.grants(DRIVER, CREATE_PODS, namespace="spark")


def test_what_is_missing_keeps_the_order_of_what_is_wanted() -> None:
    access = Access(roles=[role("edit", PODS)], role_bindings=[binding("Role", "edit", HELD_BY_DRIVER)])

    missing = access.missing(DRIVER, acts(["create", "watch"], ["services", "pods"]), namespace="spark")

    assert [str(act) for act in missing] == ["create services", "watch services", "watch pods"]


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (Act(verb="get", resource="pods/log"), "get pods/log"),
        (Act(verb="get", resource="deployments", group="apps"), "get deployments.apps"),
        (Act(verb="get", resource="configmaps", name="coredns"), "get configmaps coredns"),
        (Act(verb="get", path="/metrics"), "get /metrics"),
    ],
)
def test_an_act_reads_as_people_say_it(act: Act, text: str) -> None:
    assert str(act) == text


def test_paths_are_granted_to_anonymous_callers_as_kubeadm_does() -> None:
    access = Access(
        cluster_roles=[cluster_role("info", {"nonResourceURLs": ["/livez", "/version/"], "verbs": ["get"]})],
        cluster_role_bindings=[
            cluster_binding("ClusterRole", "info", [{"kind": "Group", "name": "system:unauthenticated"}])
        ],
    )

    assert access.grants(anonymous(), Act(verb="get", path="/livez"))
    assert not access.grants(anonymous(), Act(verb="list", resource="pods"))


def test_what_cannot_be_read_is_never_taken_as_empty() -> None:
    parts: dict[PartKey, PartFacts] = {
        (f"rbac.authorization.k8s.io/{plural}", None): PartFacts(OK, ()) for plural in ("roles", "clusterroles")
    }
    hidden = PartFacts(PartStatus(state=PartState.FORBIDDEN))
    facts = Facts(parts | {("rbac.authorization.k8s.io/rolebindings", None): hidden})

    with pytest.raises(UnreadableError):
        Access.of(facts)


NAMES = st.sampled_from(["a", "b"])
NAMESPACES = st.sampled_from(["n", "m"])
RULES = st.fixed_dictionaries(
    {
        "verbs": st.lists(st.sampled_from(["get", "list", "*"]), max_size=2),
        "apiGroups": st.lists(st.sampled_from(["", "apps", "*"]), max_size=2),
        "resources": st.lists(st.sampled_from(["pods", "pods/log", "*/log", "*"]), max_size=2),
        "resourceNames": st.lists(NAMES, max_size=1),
    }
)
SUBJECTS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("ServiceAccount"), "name": NAMES}, optional={"namespace": NAMESPACES}),
    st.fixed_dictionaries({"kind": st.just("User"), "name": st.just("system:serviceaccount:n:a")}),
    st.fixed_dictionaries(
        {"kind": st.just("Group"), "name": st.sampled_from(["system:serviceaccounts", "system:serviceaccounts:m"])}
    ),
)
KINDS = st.sampled_from(["Role", "ClusterRole"])
ACTS = st.builds(
    Act,
    verb=st.sampled_from(["get", "list"]),
    group=st.sampled_from(["", "apps"]),
    resource=st.sampled_from(["pods", "pods/log"]),
    name=st.sampled_from(["", "a"]),
)


@given(
    roles=st.lists(st.builds(lambda n, ns, r: role(n, r, namespace=ns), NAMES, NAMESPACES, RULES), max_size=4),
    cluster_roles=st.lists(st.builds(cluster_role, NAMES, RULES), max_size=2, unique_by=lambda each: each.name),
    bindings=st.lists(st.builds(binding, KINDS, NAMES, st.lists(SUBJECTS, max_size=2), NAMESPACES), max_size=3),
    cluster_bindings=st.lists(st.builds(cluster_binding, KINDS, NAMES, st.lists(SUBJECTS, max_size=2)), max_size=2),
    who=st.tuples(NAMESPACES, NAMES),
    act=ACTS,
    namespace=st.one_of(st.none(), NAMESPACES),
)
def test_agrees_with_a_model_that_looks_at_everything(
    roles: list[Role],
    cluster_roles: list[ClusterRole],
    bindings: list[RoleBinding],
    cluster_bindings: list[ClusterRoleBinding],
    who: tuple[str, str],
    act: Act,
    namespace: str | None,
) -> None:
    roles = list({(each.namespace, each.name): each for each in roles}.values())
    access = Access(
        roles=roles, cluster_roles=cluster_roles, role_bindings=bindings, cluster_role_bindings=cluster_bindings
    )
    account = service_account(*who)

    every_role: list[Role | ClusterRole] = [*roles, *cluster_roles]
    in_force: list[RoleBinding | ClusterRoleBinding] = [
        *cluster_bindings,
        *(each for each in bindings if namespace is not None and each.namespace == namespace),
    ]
    expected = any(
        _applies(each, account)
        and any(_names(each, other) and any(allows(rule, act) for rule in other.rules or ()) for other in every_role)
        for each in in_force
    )

    assert access.grants(account, act, namespace=namespace) is expected
    assert (not access.missing(account, [act], namespace=namespace)) is expected


def _applies(each: RoleBinding | ClusterRoleBinding, account: Account) -> bool:
    for subject in each.subjects or ():
        name = f"system:serviceaccount:{subject.namespace or each.namespace}:{subject.name}"
        if subject.kind == "ServiceAccount" and name == account.user:
            return True
        if subject.kind == "User" and subject.name == account.user:
            return True
        if subject.kind == "Group" and subject.name in account.groups:
            return True
    return False


def _names(each: RoleBinding | ClusterRoleBinding, other: Role | ClusterRole) -> bool:
    if (each.role_ref.kind, each.role_ref.name) != (other.api.kind, other.name):
        return False
    return isinstance(other, ClusterRole) or (each.namespace is not None and each.namespace == other.namespace)
