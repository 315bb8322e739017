"""May drivers make their executors?"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, Subject, Workload, check, threshold
from auditor.facts.access import ACCESS_PARTS, Access, Act, account_subject, acts, service_account
from auditor.facts.kube import Deployment, Pod, ServiceAccount
from auditor.facts.kube.spark import DEFAULT_ACCOUNT, AnySparkApplication

from ..._wording import examples, listed
from ._applications import APPLICATIONS, applications, driver_of, drivers, executors
from ._operators import operators

ESSENTIAL = (
    *acts(("create", "get", "list", "watch", "delete"), ("pods",)),
    *acts(("create",), ("services", "configmaps")),
)
"""Without one of these, a driver gets no executors or cannot follow them."""

TIDY = (
    *acts(("deletecollection", "patch"), ("pods",)),
    *acts(("list", "delete", "deletecollection"), ("services", "configmaps")),
)
"""Without these a driver works, and leaves behind what it made, or cannot mark executors."""

CLAIMS = acts(("create",), ("persistentvolumeclaims",))
"""What a driver needs as well that makes claims on demand."""

CLAIMS_TIDY = acts(("list", "delete", "deletecollection"), ("persistentvolumeclaims",))

_ON_DEMAND = "OnDemand"


class RightsParameters(Parameters, frozen=True, kw_only=True):
    """Which accounts are meant for drivers."""

    accounts: Annotated[
        tuple[str, ...],
        threshold(
            "Further ServiceAccounts that drivers act as, each written `namespace/name`.",
            source="The site's own accounts; those of SparkApplications and of running drivers are found without it.",
        ),
    ] = ()
    account_names: Annotated[
        tuple[str, ...],
        threshold(
            "Globs over the names of ServiceAccounts that are evidently made for drivers.",
            source="Names that the Spark documentation and the charts of both operators use.",
        ),
    ] = ("spark", "spark-sa", "spark-driver", "spark-operator-spark")


@dataclass(frozen=True, slots=True, order=True)
class _Account:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@check(
    "spark.driver-rights",
    title="Spark drivers hold the rights to make and follow their executors",
    severity=Severity.CRITICAL,
    workloads=(Workload.SPARK,),
    reads=(*APPLICATIONS, ServiceAccount, *ACCESS_PARTS, Pod, Deployment),
    aliases=("SPK-001",),
)
def driver_rights(facts: Facts, params: RightsParameters) -> Iterator[Finding]:
    """A Spark driver is a client of the API server: it creates its own executors.

    ## What it checks
    RBAC grants to every account that drivers act as, in its own namespace:

    - create, get, list, watch and delete pods; create services and configmaps. Without one of these a driver gets no
      executors: a failure. With claims on demand, create persistentvolumeclaims too.
    - delete whole collections of pods and patch them; list and delete services and configmaps. Without these a job
      works and leaves things behind: a warning.

    Accounts are taken from SparkApplications, from running drivers (label `spark-role=driver`), from the parameter
    `accounts`, and, as a warning only, from the names in `account_names`. An account that is named and does not exist
    fails. In every namespace that a Kubeflow operator is told to watch, some account must hold the essential rights.

    Only RBAC is looked at. Where drivers have executors although RBAC does not grant it, another authorizer (a webhook,
    or a cluster without RBAC) allows it, and the finding is a warning.

    ## Why it matters
    The driver starts, asks for executors, and gets "pods is forbidden: User system:serviceaccount:… cannot create
    resource pods". The job fails after minutes, or waits for executors for ever. A driver that names no account acts
    as `default`, which on most clusters may do nothing.

    ## How to fix
    Give the account a Role in its own namespace; drivers need no ClusterRole, and none in other namespaces:

        kubectl create role spark-driver --namespace NS --verb='*' --resource=pods,services,configmaps
        kubectl create rolebinding spark-driver --namespace NS --role=spark-driver --serviceaccount=NS:ACCOUNT

    Add persistentvolumeclaims to the resources where executors shuffle to claims on demand.

    ## References
    - [Spark on Kubernetes: RBAC](https://spark.apache.org/docs/latest/running-on-kubernetes.html#rbac)
    - [The role that Kubeflow's chart makes](https://github.com/kubeflow/spark-operator/blob/master/charts/spark-operator-chart/templates/spark/rbac.yaml)
    - [The role that Apache's chart makes](https://github.com/apache/spark-kubernetes-operator/blob/main/build-tools/helm/spark-kubernetes-operator/templates/workload-rbac.yaml)
    - [Using RBAC authorization](https://kubernetes.io/docs/reference/access-authn-authz/rbac/)
    """
    judging = _Judging(facts)
    apps = applications(facts)
    yield from judging.named(apps, params)
    yield from judging.of_drivers()
    yield from judging.of_job_namespaces()
    yield from judging.with_such_names(params.account_names)
    if not judging.judged:
        yield Finding.skip(
            "No SparkApplication, no running driver and no ServiceAccount with a name such as "
            f"{listed(params.account_names)} was found, so no account is known to judge; "
            "name the accounts of drivers in accounts of this check."
        )


class _Judging:
    """Judges accounts, each once, those first of which it is most certain that drivers act as them."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._access: Access | None = None
        self.judged: set[_Account | str] = set()

    def named(self, apps: Sequence[AnySparkApplication], params: RightsParameters) -> Iterator[Finding]:
        """The accounts that applications and the site name."""
        with_claims = {_account_of(app) for app in apps if _makes_claims(app)}
        accounts = {_account_of(app) for app in apps}
        accounts |= {_Account(namespace, name) for namespace, _, name in map(_split, params.accounts) if name}
        if wrong := sorted(each for each in params.accounts if not _split(each)[2]):
            yield Finding.unknown(
                f"The parameter accounts has {listed(wrong)}, namespace/name was expected: that names no account.",
                fix="Write each account as namespace/name.",
            )
        if gone := sorted(account for account in accounts if not self._exists(account)):
            self.judged.update(gone)
            yield Finding.fail(
                f"The ServiceAccount that drivers are to act as does not exist: {_names(gone)}; "
                "the API server refuses such a driver.",
                subjects=[account_subject(account.namespace, account.name) for account in gone],
                fix="Create the account and give it the driver's Role, or name one that exists.",
                command="\n".join(
                    f"kubectl create serviceaccount {shlex.quote(each.name)} --namespace {shlex.quote(each.namespace)}"
                    for each in gone[:_COMMANDS_AT_MOST]
                ),
            )
        rest = accounts - set(gone)
        yield from self._judge(rest & with_claims, (*ESSENTIAL, *CLAIMS), (*TIDY, *CLAIMS_TIDY))
        yield from self._judge(rest - with_claims)

    def of_drivers(self) -> Iterator[Finding]:
        """The accounts of running drivers."""
        yield from self._judge({_account_of_pod(pod) for pod in drivers(self._facts)})

    def of_job_namespaces(self) -> Iterator[Finding]:
        """Whether each namespace in which an operator is to run jobs has an account for drivers at all."""
        namespaces = sorted({name for each in operators(self._facts) for name in each.namespaces or ()})
        ready: dict[bool, list[str]] = {True: [], False: []}
        for namespace in namespaces:
            if accounts := self._facts.in_namespace(ServiceAccount, namespace):
                able = any(not self._missing(_Account(namespace, each.name), ESSENTIAL) for each in accounts)
                ready[able or any(each.namespace == namespace for each in self._working())].append(namespace)
                self.judged.add(namespace)
        if ready[False]:
            yield Finding.fail(
                f"RBAC does not grant any ServiceAccount of {_spaces(ready[False])} what a Spark driver needs, "
                "although a Spark operator is told to run jobs there; one account per namespace was expected.",
                subjects=[Subject(kind="Namespace", name=namespace) for namespace in ready[False]],
                fix=_grant([_Account(namespace, "spark") for namespace in ready[False]]),
            )
        if ready[True]:
            yield Finding.ok(
                f"In {_spaces(ready[True])}, where an operator runs jobs, a ServiceAccount holds what a driver needs.",
                subjects=[Subject(kind="Namespace", name=namespace) for namespace in ready[True]],
            )

    def with_such_names(self, patterns: Sequence[str]) -> Iterator[Finding]:
        """The accounts that nothing but their name tells to be for drivers."""
        accounts = {
            _Account(each.namespace or "", each.name)
            for each in self._facts.list(ServiceAccount)
            if any(fnmatchcase(each.name, pattern) for pattern in patterns)
        }
        yield from self._judge(accounts, by_name_only=True)

    def _judge(
        self,
        accounts: Iterable[_Account],
        essential: Sequence[Act] = ESSENTIAL,
        tidy: Sequence[Act] = TIDY,
        *,
        by_name_only: bool = False,
    ) -> Iterator[Finding]:
        new = sorted(set(accounts) - self.judged)
        self.judged.update(new)
        lacking = _by_value({account: self._missing(account, essential) for account in new})
        able = lacking.pop((), [])
        for missing, group in lacking.items():
            yield from self._without_essentials(missing, group, by_name_only=by_name_only)
        untidy = _by_value({account: self._missing(account, tidy) for account in able})
        complete = untidy.pop((), [])
        for missing, group in untidy.items():
            yield _untidy(missing, group)
        if complete:
            yield Finding.ok(
                f"RBAC grants {_names(complete)} all that a Spark driver needs.",
                subjects=[account_subject(account.namespace, account.name) for account in complete],
            )

    def _without_essentials(
        self, missing: Sequence[Act], accounts: Sequence[_Account], *, by_name_only: bool
    ) -> Iterator[Finding]:
        working = self._working()
        rights = listed([str(act) for act in missing])
        groups: dict[tuple[Status, str], list[_Account]] = defaultdict(list)
        for account in accounts:
            if account in working:
                reason = "its drivers have executors all the same, so another authorizer allows it or allowed it before"
                groups[Status.WARN, reason].append(account)
            elif by_name_only:
                reason = "no driver acts as it yet, and only its name says that one will"
                groups[Status.WARN, reason].append(account)
            else:
                groups[Status.FAIL, "a driver gets no executors"].append(account)
        for (status, reason), group in groups.items():
            yield Finding.of(
                status,
                f"RBAC does not grant {_names(group)} what a Spark driver needs in its namespace: {rights}; {reason}.",
                subjects=[account_subject(account.namespace, account.name) for account in group],
                fix=_grant(group),
                evidence=examples({str(account): [str(act) for act in missing] for account in group}),
            )

    def _missing(self, account: _Account, wanted: Sequence[Act]) -> tuple[Act, ...]:
        if self._access is None:
            self._access = Access.of(self._facts)
        who = service_account(account.namespace, account.name)
        return self._access.missing(who, wanted, namespace=account.namespace)

    def _exists(self, account: _Account) -> bool:
        if account.name == DEFAULT_ACCOUNT:
            return True  # a controller makes it with the namespace
        return self._facts.get(ServiceAccount, account.name, namespace=account.namespace) is not None

    def _working(self) -> set[_Account]:
        """The accounts whose running drivers evidently made executors."""
        parents = {(pod.namespace, driver_of(pod)) for pod in executors(self._facts)}
        return {_account_of_pod(pod) for pod in drivers(self._facts) if (pod.namespace, pod.name) in parents}


def _split(account: str) -> tuple[str, str, str]:
    return account.partition("/")


def _account_of(app: AnySparkApplication) -> _Account:
    return _Account(app.namespace or "", app.driver_account)


def _account_of_pod(pod: Pod) -> _Account:
    return _Account(pod.namespace or "", pod.spec.service_account_name or DEFAULT_ACCOUNT)


def _makes_claims(app: AnySparkApplication) -> bool:
    return any(key.endswith(".options.claimName") and value == _ON_DEMAND for key, value in app.conf.items())


def _by_value(missing: Mapping[_Account, tuple[Act, ...]]) -> dict[tuple[Act, ...], list[_Account]]:
    groups: dict[tuple[Act, ...], list[_Account]] = defaultdict(list)
    for account, rights in missing.items():
        groups[rights].append(account)
    return dict(groups)


def _spaces(namespaces: Sequence[str]) -> str:
    return f"namespace{'' if len(namespaces) == 1 else 's'} {listed(namespaces)}"


def _names(accounts: Sequence[_Account]) -> str:
    noun = "ServiceAccount" if len(accounts) == 1 else f"{len(accounts)} ServiceAccounts"
    return f"{noun} {listed([str(account) for account in accounts])}"


def _untidy(missing: Sequence[Act], accounts: Sequence[_Account]) -> Finding:
    return Finding.warn(
        f"RBAC grants {_names(accounts)} enough to run Spark jobs, but not {listed([str(act) for act in missing])}: "
        "drivers leave behind what they made, or cannot mark executors that they lose.",
        subjects=[account_subject(account.namespace, account.name) for account in accounts],
        fix=_grant(accounts),
        evidence=examples({str(account): [str(act) for act in missing] for account in accounts}),
    )


def _grant(accounts: Sequence[_Account]) -> Fix:
    lines = []
    for namespace in dict.fromkeys(account.namespace for account in accounts):
        where = f"--namespace {shlex.quote(namespace)}"
        holders = " ".join(
            f"--serviceaccount={shlex.quote(f'{each.namespace}:{each.name}')}"
            for each in accounts
            if each.namespace == namespace
        )
        resources = "pods,services,configmaps,persistentvolumeclaims"
        lines.append(f"kubectl create role spark-driver {where} --verb='*' --resource={resources}")
        lines.append(f"kubectl create rolebinding spark-driver {where} --role=spark-driver {holders}")
    return Fix(text="Give each account a Role in its own namespace.", command="\n".join(lines[: 2 * _COMMANDS_AT_MOST]))


_COMMANDS_AT_MOST = 5
"""A fix shows the commands for this many namespaces."""
