"""Do volumes change owner quickly?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, check, threshold
from auditor.facts.kube import CSIDriver, PersistentVolume, PersistentVolumeClaim, Pod
from auditor.facts.quantity import quantity_bytes

from .._provisioners import OBJECT_STORES, matches
from .._wording import EXAMPLES_AT_MOST, full_name
from ._replicas import Replicas, owners_named, replica_sets
from ._sets import ScopeParameters

_GIB = 2**30


class OwnershipParameters(ScopeParameters, frozen=True, kw_only=True):
    """Which volumes are large, and which drivers change owners themselves."""

    large_volume_gib: Annotated[
        int,
        threshold(
            "Volumes of at least this size in GiB may hold so many files that walking them is felt.",
            source="No upstream number; the time depends on the files, which the API does not count.",
            ge=0,
        ),
    ] = 100
    delegating_drivers: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of CSI drivers that set the group while they mount, without walking the files.",
            source="Drivers with the capability VOLUME_MOUNT_GROUP, which the API does not show; SMB and blob drivers.",
        ),
    ] = ("smb.csi.k8s.io", "file.csi.azure.com", *OBJECT_STORES)


@dataclass(frozen=True, slots=True)
class Walked:
    """A set whose volumes are walked at every start.

    Attributes:
        replicas: the set.
        claim: its largest claim.
        gib: the size of the volume, in GiB.
        fs_group: the group that the files are given.
    """

    replicas: Replicas
    claim: str
    gib: float
    fs_group: int


@check(
    "stateful.fs-group-change",
    title="Large volumes are not walked file by file at every start of their pod",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(Pod, PersistentVolumeClaim, PersistentVolume, CSIDriver),
    aliases=("STS-007",),
)
def fs_group_change(facts: Facts, params: OwnershipParameters) -> Iterator[Finding]:
    """The kubelet should not change the owner of every file on a large volume each time its pod starts.

    ## What it checks
    Running pods of StatefulSets and StrimziPodSets with `securityContext.fsGroup` and a volume of `large_volume_gib` or
    more have `fsGroupChangePolicy: OnRootMismatch`. The pods are judged and not their templates, because OpenShift and
    operators add `fsGroup` themselves.

    Volumes that the kubelet does not walk are left out: raw block devices, drivers whose `fsGroupPolicy` is `None`,
    drivers with the default policy on shared volumes or on volumes without a file system type, drivers that set the
    group while they mount, host paths, NFS.

    It is a warning: how long it takes depends on the number of files, which is not known here.

    ## Why it matters
    Without the field, or with `Always`, the kubelet calls chown and chmod on every file before the first container
    starts. With a million files that takes minutes, on network disks and DataNodes hours have been seen; each restart
    and each rolling update pays for it, and the pod looks stuck in ContainerCreating.

    ## How to fix
    Set it in the chart or custom resource (Bitnami: `podSecurityContext.fsGroupChangePolicy`; Strimzi:
    `template.pod.securityContext` of Kafka and its node pools), in the pod template's security context:

        securityContext:
          fsGroup: 1001
          fsGroupChangePolicy: OnRootMismatch

    The files are then walked only where the volume's root folder has another owner, as on a new volume.

    ## References
    - [Volume permission and ownership change policy](https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods)
    - [CSI drivers and fsGroup](https://kubernetes-csi.github.io/docs/support-fsgroup.html)
    - [Slow mounts with fsGroup](https://github.com/kubernetes/kubernetes/issues/69699)
    - [fsGroup and large volumes](https://github.com/kubernetes/kubernetes/issues/130192)
    """
    sets = [each for each in replica_sets(facts, params) if any(pod.claim_names for pod in each.pods)]
    if not sets:
        yield Finding.skip("No running pod of a set outside the platform's namespaces mounts a claim.")
        return
    walked = [found for each in sets if (found := _walked(facts, each, params)) is not None]
    if walked:
        yield _finding(walked, params)
    names = {found.replicas.name for found in walked}
    if quick := [each for each in sets if each.name not in names]:
        yield Finding.ok(
            f"{owners_named(quick)}: no volume of {params.large_volume_gib} GiB or more is walked at each start.",
            subjects=[each.owner for each in quick],
        )


def _walked(facts: Facts, replicas: Replicas, params: OwnershipParameters) -> Walked | None:
    """The largest volume of the set that is walked at each start, if there is one."""
    found = [
        Walked(replicas, full_name(claim), gib, context.fs_group)
        for pod in replicas.pods
        if (context := pod.spec.security_context) is not None
        and context.fs_group is not None
        and context.fs_group_change_policy != "OnRootMismatch"
        for claim, gib in _large_volumes(facts, pod, params)
    ]
    return max(found, key=lambda each: (each.gib, each.claim), default=None)


def _large_volumes(
    facts: Facts, pod: Pod, params: OwnershipParameters
) -> Iterator[tuple[PersistentVolumeClaim, float]]:
    for name in pod.claim_names:
        claim = facts.get(PersistentVolumeClaim, name, namespace=pod.namespace)
        if claim is None or claim.spec.volume_mode == "Block" or not claim.spec.volume_name:
            continue
        gib = _gib(claim)
        if gib < params.large_volume_gib:
            continue
        volume = facts.get(PersistentVolume, claim.spec.volume_name)
        if volume is not None and _is_walked(facts, volume, params):
            yield claim, gib


def _gib(claim: PersistentVolumeClaim) -> float:
    asked = claim.spec.resources.requests if claim.spec.resources is not None else None
    size = (claim.status.capacity or {}).get("storage") or (asked or {}).get("storage") or "0"
    return quantity_bytes(size) / _GIB


def _is_walked(facts: Facts, volume: PersistentVolume, params: OwnershipParameters) -> bool:
    """Whether the kubelet applies fsGroup to the files of a volume, as its CSI plugin decides it."""
    csi, for_one_node = volume.spec.csi, "ReadWriteOnce" in (volume.spec.access_modes or ())
    if csi is None:
        return for_one_node and volume.spec.host_path is None and volume.spec.nfs is None
    if _delegates(csi.driver, params.delegating_drivers):
        return False
    driver = facts.get(CSIDriver, csi.driver)
    policy = driver.spec.fs_group_policy if driver is not None else None
    if policy in ("None", "File"):
        return policy == "File"
    return bool(csi.fs_type) and for_one_node


@lru_cache(maxsize=256)
def _delegates(driver: str, delegating: tuple[str, ...]) -> bool:
    """Remembered, since tens of thousands of volumes share a handful of drivers."""
    return matches(driver, delegating)


def _finding(walked: Sequence[Walked], params: OwnershipParameters) -> Finding:
    largest = max(walked, key=lambda each: (each.gib, each.claim))
    return Finding.warn(
        f"{owners_named([each.replicas for each in walked])}: the kubelet walks all files of volumes of "
        f"{params.large_volume_gib} GiB or more (the largest: {largest.claim} with {largest.gib:.0f} GiB) at each "
        "start of a pod; fsGroupChangePolicy: OnRootMismatch was expected beside fsGroup.",
        subjects=[each.replicas.owner for each in walked],
        fix="Set fsGroupChangePolicy: OnRootMismatch in the security context of the pod template.",
        evidence={
            each.replicas.name: {"claim": each.claim, "gib": round(each.gib, 1), "fsGroup": each.fs_group}
            for each in walked[:EXAMPLES_AT_MOST]
        },
    )
