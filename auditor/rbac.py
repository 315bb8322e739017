"""The least rights that a collection and probes need, as manifests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from auditor.facts.parts import CORE_GROUP, Api
from auditor.probe_rights import needed_rights, rules
from auditor.reading_plan import RAW_PATHS, Plan
from auditor.units.probe import Probe

Manifest = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_SYSTEM = "kube-system"
"""The one namespace with objects of interest that every cluster has."""


def manifests(plan: Plan, *, account: str, namespace: str, name: str = "auditor") -> list[Manifest]:
    """A ClusterRole for what is listed whole, a Role for named objects of kube-system, and their bindings.

    Named objects of namespaces that a cluster need not have are granted by name in the ClusterRole: a Role could not
    be applied where the namespace is missing, and without a right the answer would be "forbidden", not "there is none".

    Args:
        plan: what is asked for.
        account: the ServiceAccount that asks.
        namespace: where it lives.
        name: of the roles and bindings.
    """
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    found = [
        _role("ClusterRole", name, cluster_rules(plan)),
        _binding("ClusterRoleBinding", "ClusterRole", name, subject),
    ]
    if rules := _named_rules(plan, in_system=True):
        found += [_role("Role", name, rules, _SYSTEM), _binding("RoleBinding", "Role", name, subject, _SYSTEM)]
    return found


def probe_manifests(
    probes: Sequence[Probe], *, account: str, namespace: str, sandbox: str = "", name: str = "auditor-probe"
) -> list[Manifest]:
    """A ClusterRole for what probes need outside of their namespace, a Role for what they need in it, and bindings.

    Where each run makes its own namespace, there is only the ClusterRole: nobody can be given rights in a namespace
    whose name is not known yet.

    Args:
        probes: that are to run.
        account: the ServiceAccount that runs them.
        namespace: where it lives.
        sandbox: the existing namespace that they use; empty: one is made for each run.
        name: of the roles and bindings.
    """
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    needed = needed_rights(probes, own_namespace=not sandbox)
    found = [
        _role("ClusterRole", name, rules(needed.cluster_wide)),
        _binding("ClusterRoleBinding", "ClusterRole", name, subject),
    ]
    if sandbox:
        own = rules(needed.in_namespace)
        found += [_role("Role", name, own, sandbox), _binding("RoleBinding", "Role", name, subject, sandbox)]
    return found


def cluster_rules(plan: Plan) -> list[Manifest]:
    """The ClusterRole's rules: one per API group, one per type of named cluster-scoped objects, one for paths."""
    by_group: defaultdict[str, set[str]] = defaultdict(set)
    for api in plan.listed:
        by_group[_group(api)].add(api.plural)
    rules: list[Manifest] = [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": ["list"]}
        for group, plurals in sorted(by_group.items())
    ]
    rules += _named_rules(plan, in_system=False)
    paths = {path.partition("?")[0] for path in (RAW_PATHS[name] for name in plan.raw)}
    rules.append({"nonResourceURLs": sorted(paths | {"/apis", "/apis/*", "/api", "/api/*"}), "verbs": ["get"]})
    return rules


def _named_rules(plan: Plan, *, in_system: bool) -> list[Manifest]:
    """One rule per type: for the objects in kube-system, or for all others."""
    rules = []
    for api, names in plan.named:
        parted = [name.rpartition("/") for name in names]
        own = {name for namespace, _, name in parted if (namespace == _SYSTEM) is in_system}
        if own:
            rules.append(_named_rule(api, own))
    return rules


def _named_rule(api: Api, names: Iterable[str]) -> Manifest:
    return {
        "apiGroups": [_group(api)],
        "resources": [api.plural],
        "resourceNames": sorted(names),
        "verbs": ["get"],
    }


def _group(api: Api) -> str:
    return "" if api.group == CORE_GROUP else api.group


def _role(kind: str, name: str, rules: list[Manifest], namespace: str | None = None) -> Manifest:
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": rules}


def _binding(kind: str, role: str, name: str, subject: Manifest, namespace: str | None = None) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": role, "name": name},
        "subjects": [subject],
    }


def _metadata(name: str, namespace: str | None) -> Manifest:
    own: Manifest = {"name": name, "labels": {"app.kubernetes.io/managed-by": "auditor"}}
    return own | ({"namespace": namespace} if namespace else {})
