"""Is there room left in etcd's database?"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from auditor import Facts, Finding, Parameters, Severity, check, raw, threshold
from auditor.facts.kube import Pod
from auditor.facts.metrics import first_of

from .._wording import listed
from ._etcd import etcd_pods
from ._figures import percent, size
from ._hosting import HOSTING_PARTS, vendor_of

_METRICS = (
    "apiserver_storage_size_bytes",
    "apiserver_storage_db_total_size_in_bytes",
    "etcd_db_total_size_in_bytes",
)
"""One metric: its name since Kubernetes 1.28, since 1.26, and before."""

_MIB = 1024**2
_QUOTA_FLAG = re.compile(r"--quota-backend-bytes[= ](-?\d+)")
_PLAIN = re.compile(r"(\S*/)?etcd\s(?!.*--config-file)")
"""etcd itself, with all of its settings in the command."""


def _vendor_quotas() -> dict[str, tuple[int, ...]]:
    return {
        "amazon-eks": (8192,),
        "microsoft-aks": (8192,),
        "openshift": (8192,),
        "ovhcloud": (400, 8192),
        "scaleway": (55, 200),
    }


class DatabaseParameters(Parameters, frozen=True, kw_only=True):
    """How large etcd's database may become."""

    quota_mib: Annotated[
        int,
        threshold(
            "The quota of etcd's database in MiB where the site knows it; 0 where it is to be told.",
            source="The site's etcd (--quota-backend-bytes), or the plan of the managed service.",
            ge=0,
        ),
    ] = 0
    max_used_percent: Annotated[
        float,
        threshold(
            "Per cent of the quota that may be used, else a warning.",
            source="No upstream number; etcd's own alert comes at 95 %, too late for a burst of jobs.",
            ge=0,
            le=100,
        ),
    ] = 70
    fail_used_percent: Annotated[
        float,
        threshold(
            "The same for a failure.",
            source="etcd's own alert etcdBackendQuotaLowSpace: critical above 95 %.",
            ge=0,
            le=100,
        ),
    ] = 95
    default_quota_mib: Annotated[
        int,
        threshold(
            "The quota in MiB of an etcd that is given none.",
            source="etcd, system limits: 2 GiB by default; at most 8 GiB are suggested.",
            ge=1,
        ),
    ] = 2048
    vendor_quotas_mib: Annotated[
        dict[str, tuple[int, ...]],
        threshold(
            "Quotas in MiB by vendor id, one per plan where the vendor's plans differ.",
            source="Documentation of Amazon EKS (8 GB; 16 GB with a provisioned control plane), AKS (8 GB), OpenShift "
            "(8 GiB), OVHcloud (400 MB Free, 8 GB Standard), Scaleway (55 MB mutualized, 200 MB dedicated).",
        ),
    ] = msgspec.field(default_factory=_vendor_quotas)


@dataclass(frozen=True, slots=True)
class _Quota:
    """What may be stored.

    Attributes:
        bytes: one quota, or one per plan that the cluster may have, ascending.
        source: how it is known.
        is_certain: whether it is the quota of this cluster for certain.
    """

    bytes: tuple[int, ...]
    source: str
    is_certain: bool = True


@check(
    "control-plane.etcd-size",
    title="etcd's database is well below its quota",
    severity=Severity.HIGH,
    reads=(raw("metrics.txt"), Pod, *HOSTING_PARTS),
    aliases=("CPL-006",),
)
def etcd_size(facts: Facts, params: DatabaseParameters) -> Iterator[Finding]:
    """There is room for the objects that data systems will make.

    ## What it checks
    The API server's metric `apiserver_storage_size_bytes` (of several etcd clusters the largest) against the quota of
    etcd. The quota is `quota_mib` of this check; or `--quota-backend-bytes` of etcd's pods, 2 GiB where they run
    without it; or what the vendor documents. Where none of these is known, a size that is well below etcd's default of
    2 GiB passes, and a larger one cannot be judged. Where a vendor's plans differ, those that are too small for what is
    stored already are left out.

    ## Why it matters
    At its quota etcd raises an alarm and takes no more writes: the cluster is read-only until somebody compacts,
    defragments and disarms it. Thousands of Spark applications, their pods, ConfigMaps and events get there quickly, as
    each change keeps its old versions until the next compaction.

    ## How to fix
    See which objects there are most of, and let them expire: `timeToLiveSeconds` of Spark applications,
    `ttlSecondsAfterFinished` of Jobs, fewer events.

        kubectl get --raw /metrics | grep -E '^apiserver_(resource|storage)_objects' | sort -g -k 2 | tail

    Then defragment etcd member by member, or raise `--quota-backend-bytes` up to 8 GiB, or choose a larger plan.

    ## References
    - [etcd: system limits](https://etcd.io/docs/v3.6/dev-guide/limit/)
    - [etcd: space quota, compaction, defragmentation](https://etcd.io/docs/v3.6/op-guide/maintenance/)
    - [Managing etcd's database size on Amazon EKS](https://aws.amazon.com/blogs/containers/managing-etcd-database-size-on-amazon-eks-clusters/)
    - [AKS: API server and etcd](https://learn.microsoft.com/en-us/troubleshoot/azure/azure-kubernetes/troubleshoot-apiserver-etcd)
    - [OVHcloud: known limits](https://docs.ovhcloud.com/en/guides/public-cloud/containers-orchestration/managed-kubernetes/managed-kubernetes-known-limits)
    - [Scaleway: control plane offers](https://www.scaleway.com/en/docs/containers/kubernetes/reference-content/kubernetes-control-plane-offers/)
    - [etcd is full, the cluster is read-only](https://github.com/kubernetes/kops/issues/4005)
    """
    sizes = [sample.value for sample in first_of(facts.text("metrics.txt"), _METRICS) if 0 < sample.value < math.inf]
    if not sizes:
        yield Finding.unknown(
            f"How large etcd's database is cannot be told: the API server's metrics lack {_METRICS[0]}.",
            fix="Ask etcd itself, or the vendor, for the size of its database.",
        )
        return
    yield _judge(max(sizes), _quota(facts, params), params)


def _quota(facts: Facts, params: DatabaseParameters) -> _Quota:
    if params.quota_mib:
        return _Quota((params.quota_mib * _MIB,), "as the site states")
    containers = [each for pod in etcd_pods(facts) for each in pod.spec.containers]
    commands = [" ".join((*(each.command or ()), *(each.args or ()))) for each in containers]
    flags = [int(match[1]) for command in commands if (match := _QUOTA_FLAG.search(command))]
    default = (params.default_quota_mib * _MIB,)
    if flags and min(flags) > 0:
        return _Quota((min(flags),), "by --quota-backend-bytes of etcd's pods")
    if any(_PLAIN.match(command) for command in commands) and not any(flags):  # 0 means the default, -1 no quota
        return _Quota(default, "etcd's default, as its pods set none")
    vendor = vendor_of(facts)
    if vendor is not None and (quotas := params.vendor_quotas_mib.get(vendor.id)):
        plans = "" if len(quotas) == 1 else ", whose plans differ"
        return _Quota(tuple(sorted(each * _MIB for each in quotas)), f"of {vendor.name}{plans}")
    return _Quota(default, "etcd's default; this etcd's own is not known", is_certain=False)


def _judge(used: float, quota: _Quota, params: DatabaseParameters) -> Finding:
    possible = [each for each in quota.bytes if each >= used] or list(quota.bytes[-1:])
    smallest, largest = possible[0], possible[-1]
    seen = f"etcd's database takes {size(used)}, {percent(used / smallest)} of {size(smallest)} ({quota.source})"
    evidence = {"bytes": used, "quota_bytes": possible, "quota": quota.source}
    expected = f"at most {params.max_used_percent:g} % were expected"
    if 100 * used <= params.max_used_percent * smallest:
        return Finding.ok(f"The size is well below the quota: {seen}.", evidence=evidence)
    if not quota.is_certain or 100 * used <= params.max_used_percent * largest:
        others = f"; it may also be {listed([size(each) for each in possible[1:]])}" if possible[1:] else ""
        return Finding.unknown(
            f"Whether there is room left cannot be told: {seen}{others}.",
            fix="Say in quota_mib of this check which quota etcd, or the plan of the managed service, has.",
            evidence=evidence,
        )
    status = Finding.fail if 100 * used > params.fail_used_percent * largest else Finding.warn
    left = "it takes no more writes at its quota"
    return status(
        f"The largest part of the quota is used: etcd's database takes {size(used)}, {percent(used / largest)} of "
        f"{size(largest)} ({quota.source}); {expected}, as {left}.",
        fix="Let finished objects expire, then defragment etcd, or raise its quota or plan.",
        command="kubectl get --raw /metrics | grep -E '^apiserver_(resource|storage)_objects' | sort -g -k 2 | tail",
        evidence=evidence,
    )
