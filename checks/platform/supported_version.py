"""Does anybody still repair this Kubernetes?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated

import msgspec

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Node, StorageClass
from auditor.facts.vendor import API_GROUPS, VENDOR_PARTS, detect_vendor, served_groups
from auditor.facts.version import SERVER_VERSION, KubeVersion, server_version

from ._releases import END_OF_LIFE, LONGER_SUPPORT, NEWEST, OLDEST, LongerSupport, months_later
from ._server import unknown_version


class SupportParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of releases that are newer than auditor, or supported by a contract of its own."""

    end_of_life: Annotated[
        dict[str, date],
        threshold(
            "The last day on which a release gets patches, by release such as 1.38; goes before what is known.",
            source="kubernetes.io/releases/patch-releases as of October 2026 (1.19 to 1.37), or a vendor's contract.",
        ),
    ] = msgspec.field(default_factory=dict)


@check(
    "platform.supported-version",
    title="The version of Kubernetes still gets patches",
    severity=Severity.HIGH,
    reads=(SERVER_VERSION, *VENDOR_PARTS),
    aliases=("PLT-002",),
)
def supported_version(facts: Facts, params: SupportParameters) -> Iterator[Finding]:
    """Somebody repairs the faults of this version of Kubernetes.

    ## What it checks
    The day on which the facts were collected lies before the end of life of the API server's minor release. Upstream
    maintains the newest three minor releases, each for about 14 months. A version newer than the newest that is known
    here (1.37) is not a failure.

    Past that day it is a failure, with one exception: Amazon EKS, Microsoft AKS, Google GKE and OpenShift sell longer
    support. Whether a cluster has it cannot be seen from inside, so that there it is a warning for 14 months (OpenShift
    26). Say in `end_of_life` what your contract says, or when a newer release ends.

    ## Why it matters
    A version without patches keeps its known vulnerabilities, and its faults in volume handling and scheduling that
    newer releases repaired. Operators for Kafka, Spark and Flink drop it soon after. Each minor release must be taken
    one after the other, so that the way back grows longer by the month.

    ## How to fix
    Upgrade the control plane one minor release at a time, then the nodes. Look for APIs that the next release removes:

        kubectl get --raw /metrics | grep apiserver_requested_deprecated_apis

    ## References
    - [Patch releases: support period and end of life](https://kubernetes.io/releases/patch-releases/)
    - [Version skew policy: supported versions](https://kubernetes.io/releases/version-skew-policy/#supported-versions)
    - [Amazon EKS: version lifecycle](https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html)
    - [AKS: long-term support](https://learn.microsoft.com/en-us/azure/aks/long-term-support)
    - [GKE: versioning and support](https://cloud.google.com/kubernetes-engine/versioning)
    """
    try:
        server = server_version(facts)
    except ValueError as error:
        yield unknown_version(error)
        return
    end = params.end_of_life.get(server.release) or END_OF_LIFE.get(server.minor)
    if end is None and server.minor > NEWEST:
        yield Finding.ok(
            f"Kubernetes {server} is newer than 1.{NEWEST}, the newest release whose end of life is known."
        )
        return
    if facts.origin.collected_at is None:
        yield Finding.unknown(
            f"Whether Kubernetes {server} gets patches cannot be told: the bundle does not say when it was collected.",
            fix="Collect with auditor, which writes the time into the bundle.",
        )
        return
    today = facts.origin.collected_at.date()
    if end is not None and today <= end:
        yield Finding.ok(f"Kubernetes {server} gets patches until {end}.", evidence=_seen(server, end, today))
    else:
        yield _ended(facts, server, end, today, known=server.release in params.end_of_life)


def _ended(facts: Facts, server: KubeVersion, end: date | None, today: date, *, known: bool) -> Finding:
    """The finding past the end of life.

    Args:
        facts: of the cluster.
        server: the version.
        end: its last day; None where it is older than any that is known.
        today: the day of the collection.
        known: whether the site itself named the day, so that no vendor's offer counts.
    """
    longer = None if known or end is None else _longer_support(facts)
    if longer is not None and end is not None and today <= (until := months_later(end, longer.months)):
        return Finding.warn(
            f"Kubernetes {server} got its last upstream patch on {end}; {longer.platform.name} may support it until "
            f"about {until.year}-{until.month:02}, with {longer.plan}, which cannot be seen from inside.",
            fix=f"Upgrade, or make sure that the cluster has {longer.plan}.",
            evidence={**_seen(server, end, today), "source": longer.source},
        )
    since = f"got its last patch on {end}" if end is not None else f"is older than 1.{OLDEST} and gets no patches"
    return Finding.fail(
        f"Kubernetes {server} {since}, and the facts are of {today}: a release that gets patches was expected.",
        fix="Upgrade the control plane one minor release at a time, then the nodes.",
        evidence=_seen(server, end, today),
    )


def _longer_support(facts: Facts) -> LongerSupport | None:
    """What the cluster's vendor sells.

    Raises:
        UnreadableError: no vendor is known, and what could tell one was not read.
    """
    vendor = detect_vendor(facts, api_groups=served_groups(facts))
    found = next((each for each in LONGER_SUPPORT if vendor is not None and each.platform.id == vendor.id), None)
    if found is None:
        facts.list(Node)
        facts.list(StorageClass)
        facts.text(API_GROUPS.id.removeprefix("raw/"))
    return found


def _seen(server: KubeVersion, end: date | None, today: date) -> dict[str, object]:
    return {"server": str(server), "end of life": str(end) if end else "before 2021", "collected": str(today)}
