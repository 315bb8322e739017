"""Are the APIs served that data systems are written against?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from auditor import Facts, Finding, Parameters, Severity, Subject, check, threshold
from auditor.facts.vendor import API_GROUPS

from .._wording import listed

_SINCE = {"autoscaling/v2": "1.23", "discovery.k8s.io/v1": "1.21", "policy/v1": "1.21"}
_WORTH_KNOWING = ("resource.k8s.io/v1", "snapshot.storage.k8s.io/v1")


class ApiParameters(Parameters, frozen=True, kw_only=True):
    """What must be served."""

    required_versions: Annotated[
        tuple[str, ...],
        threshold(
            "Versions of API groups, as group/version, that must be served.",
            source="Stable APIs of Kubernetes 1.23 and newer that operators of data systems use.",
        ),
    ] = (
        "apiextensions.k8s.io/v1",
        "apps/v1",
        "autoscaling/v2",
        "batch/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "networking.k8s.io/v1",
        "policy/v1",
        "storage.k8s.io/v1",
    )


class _Version(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    group_version: str


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    versions: tuple[_Version, ...] = ()


class _GroupList(msgspec.Struct, frozen=True, kw_only=True):
    groups: tuple[_Group, ...] | None = None


@check(
    "platform.api-versions",
    title="The API server serves the stable APIs that data systems need",
    severity=Severity.CRITICAL,
    reads=(API_GROUPS,),
    aliases=("PLT-003",),
)
def api_versions(facts: Facts, params: ApiParameters) -> Iterator[Finding]:
    """Charts and operators send these versions, and no other.

    ## What it checks
    The API server's list of groups names all versions in `required_versions`: by default those of StatefulSets, Jobs,
    storage, leases, custom resources, endpoints, disruption budgets, autoscaling and network policies. Add the versions
    that your own manifests are written in.

    Snapshots (`snapshot.storage.k8s.io`) and devices (`resource.k8s.io`, since Kubernetes 1.34) are not needed by all;
    whether they are served is in the evidence, and other checks judge them.

    ## Why it matters
    A manifest in a version that is not served is refused: the operator is not installed, or it starts and cannot make
    its StatefulSets, budgets or leases. Kubernetes older than 1.23 lacks some; on newer ones a version is missing only
    where `--runtime-config` turns it off.

    ## How to fix
    Upgrade Kubernetes, or take the version out of `--runtime-config` of the API server:

        kubectl api-versions

    ## References
    - [API groups and versions](https://kubernetes.io/docs/reference/using-api/#api-groups)
    - [Deprecated API migration guide](https://kubernetes.io/docs/reference/using-api/deprecation-guide/)
    - [Dynamic resource allocation](https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/)
    """
    served = _served(facts.text("apis.json"))
    if not served:
        yield Finding.unknown(
            "Which APIs are served cannot be told: raw/apis.json is no list of API groups, or an empty one.",
            fix="Collect again, with the API server's answer to /apis.",
            command="kubectl get --raw /apis",
        )
        return
    evidence = {version: version in served for version in _WORTH_KNOWING}
    missing = sorted(set(params.required_versions) - served)
    if missing:
        yield Finding.fail(
            f"The API server does not serve {listed([_described(version) for version in missing])}; all of "
            f"{len(set(params.required_versions))} required versions were expected.",
            subjects=[Subject(kind="APIVersion", name=version) for version in missing],
            fix="Upgrade Kubernetes, or take the version out of --runtime-config of the API server.",
            command="kubectl api-versions",
            evidence={**evidence, "missing": missing},
        )
    else:
        yield Finding.ok(
            f"The API server serves all of {len(set(params.required_versions))} required versions.", evidence=evidence
        )


def _served(text: str) -> frozenset[str]:
    """The versions that the answer names; none where it is no answer."""
    try:
        listed_groups = msgspec.json.decode(text, type=_GroupList)
    except msgspec.DecodeError:
        return frozenset()
    return frozenset(version.group_version for group in listed_groups.groups or () for version in group.versions)


def _described(version: str, since: Mapping[str, str] = _SINCE) -> str:
    return f"{version} (stable since {since[version]})" if version in since else version
