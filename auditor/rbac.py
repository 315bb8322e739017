"""The least rights that a collection needs, as manifests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from auditor.collect import RAW_PATHS, Plan
from auditor.facts.parts import CORE_GROUP, Api

Manifest = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"


def manifests(plan: Plan, *, account: str, namespace: str, name: str = "auditor") -> list[Manifest]:
    """A ClusterRole for what is listed whole, one Role per namespace for named objects, and their bindings.

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
    for inside, rules in sorted(_namespaced_rules(plan).items()):
        found += [_role("Role", name, rules, inside), _binding("RoleBinding", "Role", name, subject, inside)]
    return found


def cluster_rules(plan: Plan) -> list[Manifest]:
    """The ClusterRole's rules: one per API group, one per type of named cluster-scoped objects, one for paths."""
    by_group: defaultdict[str, set[str]] = defaultdict(set)
    for api in plan.listed:
        by_group[_group(api)].add(api.plural)
    rules: list[Manifest] = [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": ["get", "list"]}
        for group, plurals in sorted(by_group.items())
    ]
    rules += [_named_rule(api, names) for api, names in plan.named if not api.namespaced]
    paths = {path.partition("?")[0] for path in (RAW_PATHS[name] for name in plan.raw)}
    rules.append({"nonResourceURLs": sorted(paths | {"/apis", "/apis/*", "/api", "/api/*"}), "verbs": ["get"]})
    return rules


def _namespaced_rules(plan: Plan) -> dict[str, list[Manifest]]:
    rules: defaultdict[str, list[Manifest]] = defaultdict(list)
    for api, names in plan.named:
        if not api.namespaced:
            continue
        inside: defaultdict[str, list[str]] = defaultdict(list)
        for each in names:
            namespace, _, own = each.partition("/")
            inside[namespace].append(own)
        for namespace, own_names in inside.items():
            rules[namespace].append(_named_rule(api, own_names))
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
