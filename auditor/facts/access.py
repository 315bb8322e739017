"""What RBAC grants, told from its objects: may this account do that, there?

The rules are those of the API server's RBAC authorizer (pkg/apis/rbac/v1/evaluation_helpers.go and
pkg/registry/rbac/validation/rule.go). Other authorizers are not seen: "not granted" means "RBAC does not grant it".
docs/decisions/0004-access-from-rbac-objects.md says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from auditor.facts.kube.rbac import ClusterRole, ClusterRoleBinding, PolicyRule, RbacSubject, Role, RoleBinding, RoleRef
from auditor.facts.store import Facts
from auditor.model import Subject

ACCESS_PARTS = (Role, ClusterRole, RoleBinding, ClusterRoleBinding)
"""What a check must read to ask :meth:`Access.of`."""

ALL = "*"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the API, as the API server sees it after authentication.

    Attributes:
        user: the user name.
        groups: all groups, those included that the server adds by itself.
    """

    user: str
    groups: frozenset[str] = frozenset()


def service_account(namespace: str, name: str) -> Account:
    """The ServiceAccount's user name and groups."""
    return Account(
        user=f"system:serviceaccount:{namespace}:{name}",
        groups=frozenset(
            {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"},
        ),
    )


def anonymous() -> Account:
    """Who calls without credentials, where the server lets such calls in."""
    return Account(user="system:anonymous", groups=frozenset({"system:unauthenticated"}))


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Act:
    """One thing that somebody wants to do.

    Attributes:
        verb: ``create``, ``deletecollection`` …; for a path the HTTP method in lower case.
        resource: the plural, with the subresource behind a slash: ``pods``, ``pods/log``. Empty for a path.
        group: the API group; empty for the legacy group.
        name: of one object; empty for a list, for ``create`` and for "whatever its name is".
        path: for what is no resource, such as ``/metrics``.
    """

    verb: str
    resource: str = ""
    group: str = ""
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        """``create pods``, ``get deployments.apps``, ``get /metrics``."""
        what = self.path or (f"{self.resource}.{self.group}" if self.group else self.resource)
        return f"{self.verb} {what} {self.name}".rstrip()


def acts(verbs: Iterable[str], resources: Iterable[str], *, group: str = "") -> tuple[Act, ...]:
    """Every verb on every resource of one group."""
    resources = tuple(resources)
    return tuple(Act(verb=verb, resource=resource, group=group) for resource in resources for verb in verbs)


def allows(rule: PolicyRule, act: Act) -> bool:
    """Whether one rule allows the act, as the API server judges it."""
    if not _has(rule.verbs, act.verb):
        return False
    if act.path:
        return any(_covers_path(pattern, act.path) for pattern in rule.non_resource_urls or ())
    return (
        _has(rule.api_groups, act.group)
        and any(_covers_resource(pattern, act.resource) for pattern in rule.resources or ())
        and (not rule.resource_names or act.name in rule.resource_names)
    )


def _has(allowed: Sequence[str] | None, wanted: str) -> bool:
    return allowed is not None and (ALL in allowed or wanted in allowed)


def _covers_resource(pattern: str, resource: str) -> bool:
    """``*`` covers subresources too; ``*/scale`` covers one subresource of all; ``pods/*`` covers nothing."""
    _, slash, subresource = resource.partition("/")
    return pattern in (ALL, resource) or (bool(slash) and pattern == f"*/{subresource}")


def _covers_path(pattern: str, path: str) -> bool:
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


Grant = tuple[RoleRef, str | None]
"""A role, and the namespace of the binding that gives it; None for everywhere."""


class Access:
    """What all roles and bindings of a cluster come to.

    Args:
        roles: all of the cluster.
        cluster_roles: all of the cluster.
        role_bindings: all of the cluster.
        cluster_role_bindings: all of the cluster.
    """

    def __init__(
        self,
        *,
        roles: Iterable[Role] = (),
        cluster_roles: Iterable[ClusterRole] = (),
        role_bindings: Iterable[RoleBinding] = (),
        cluster_role_bindings: Iterable[ClusterRoleBinding] = (),
    ) -> None:
        self._roles = {(role.namespace, role.name): role.rules or () for role in roles}
        self._cluster_roles = {role.name: role.rules or () for role in cluster_roles}
        self._grants: defaultdict[str, list[Grant]] = defaultdict(list)
        bindings: list[RoleBinding | ClusterRoleBinding] = [*cluster_role_bindings, *role_bindings]
        for binding in bindings:
            for subject in binding.subjects or ():
                if (key := _key(subject, binding.namespace)) is not None:
                    self._grants[key].append((binding.role_ref, binding.namespace))

    @classmethod
    def of(cls, facts: Facts) -> Access:
        """The access that the facts show; a check that asks declares :data:`ACCESS_PARTS`.

        Raises:
            UnreadableError: one of the parts was not read, so that what is granted cannot be told.
        """
        return cls(
            roles=facts.list(Role),
            cluster_roles=facts.list(ClusterRole),
            role_bindings=facts.list(RoleBinding),
            cluster_role_bindings=facts.list(ClusterRoleBinding),
        )

    def grants(self, account: Account, act: Act, *, namespace: str | None = None) -> bool:
        """Whether RBAC lets the account do that in a namespace.

        Args:
            account: who.
            act: what.
            namespace: where; None for objects without a namespace, for all namespaces at once, and for paths.
        """
        return any(allows(rule, act) for rule in self._rules(account, namespace))

    def missing(self, account: Account, wanted: Iterable[Act], *, namespace: str | None = None) -> tuple[Act, ...]:
        """What RBAC does not let the account do, in the order of ``wanted``; arguments as in :meth:`grants`."""
        rules = tuple(self._rules(account, namespace))
        return tuple(act for act in wanted if not any(allows(rule, act) for rule in rules))

    def _rules(self, account: Account, namespace: str | None) -> Iterator[PolicyRule]:
        for key in (_user_key(account.user), *map(_group_key, sorted(account.groups))):
            for role, where in self._grants.get(key, ()):
                if where in (None, namespace):
                    yield from self._rules_of(role, where)

    def _rules_of(self, role: RoleRef, where: str | None) -> Sequence[PolicyRule]:
        """The rules of a role; none where it does not exist. A ClusterRoleBinding cannot give a Role."""
        if role.kind == ClusterRole.api.kind:
            return self._cluster_roles.get(role.name, ())
        if role.kind == Role.api.kind and where is not None:
            return self._roles.get((where, role.name), ())
        return ()


def _user_key(name: str) -> str:
    return f"User {name}"


def _group_key(name: str) -> str:
    return f"Group {name}"


def _key(subject: RbacSubject, binding_namespace: str | None) -> str | None:
    """What a subject stands for; None for one that never applies."""
    match subject.kind:
        case "User":
            return _user_key(subject.name)
        case "Group":
            return _group_key(subject.name)
        case "ServiceAccount":
            namespace = subject.namespace or binding_namespace
            return _user_key(service_account(namespace, subject.name).user) if namespace else None
        case _:
            return None


def account_subject(namespace: str, name: str) -> Subject:
    """A ServiceAccount as the subject of a finding, whether or not the object exists."""
    return Subject(kind="ServiceAccount", name=name, namespace=namespace)
