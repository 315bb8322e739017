"""Are the disks of a tier that data systems can live on?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import PersistentVolumeClaim, StatefulSet, StorageClass

from .._wording import examples, listed
from ._classes import WORKLOADS_WITH_VOLUMES, Need, by_need, described, no_classes, volume_classes
from ._tiers import Pace, Tier, tier_of


class TierParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of the tiers of its disks."""

    sufficient_tiers: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of tiers that suffice here, such as `StandardSSD_*`; case does not matter.",
            source="The site's own measurements; the tiers of the large clouds are known.",
        ),
    ] = ()
    slow_tiers: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further tiers that are too slow; case does not matter.",
            source="The site's own measurements; the tiers of the large clouds are known.",
        ),
    ] = ()


@check(
    "storage.performance-tier",
    title="Volumes are of a performance tier made for data",
    severity=Severity.HIGH,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(StorageClass, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-006",),
)
def performance_tier(facts: Facts, params: TierParameters) -> Iterator[Finding]:
    """The default disk of a cloud is made for small servers, and some are hard disks to this day.

    ## What it checks
    The tier that the parameters of a StorageClass name, or that its driver takes when they name none, is none of these:

    - Amazon EBS: `gp2`, `st1`, `sc1`, `standard` (the CSI driver's default is gp3);
    - Google Persistent Disk: `pd-standard` (the driver's default);
    - Azure Disk: `Standard_LRS`, `StandardSSD_LRS`, `StandardSSD_ZRS` (the driver's default, and that of AKS);
    - Alibaba Cloud: `cloud`, `cloud_efficiency`; of a list the first entry counts;
    - Huawei Cloud: `SATA`, `SAS`; Oracle Cloud: `vpusPerGB: "0"`; IBM Cloud classic: `iopsPerGB: "2"`.

    A default class, or one that a claim or a StatefulSet template names, fails; any other is a warning. Provisioners
    whose parameters name no tier (Ceph, vSphere, Cinder, local disks …) are not judged here: a measurement tells.

    ## Why it matters
    Brokers, JournalNodes and state backends wait for `fsync`; a disk of 500 IOPS, or one that lives on burst credits,
    turns a rebalance or a recovery into hours. Burst credits hide it in every short test: gp2 of 100 GiB runs at 3,000
    IOPS for half an hour and at 300 afterwards.

    ## How to fix
    Parameters of a class cannot be changed. Create a class of a better tier, make it the default or name it in the
    storage section of each system; change the tier of volumes that exist with a VolumeAttributesClass where the driver
    can. On AKS name `managed-csi-premium`, since edits of the built-in `default` are set back.

    ## References
    - [Amazon EBS volume types](https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html)
    - [Amazon EBS CSI driver: parameters](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/parameters.md)
    - [Google Persistent Disk performance](https://cloud.google.com/compute/docs/disks/performance)
    - [Azure managed disk types](https://learn.microsoft.com/azure/virtual-machines/disks-types)
    - [AKS storage concepts](https://learn.microsoft.com/azure/aks/concepts-storage)
    - [Alibaba Cloud block storage performance](https://www.alibabacloud.com/help/en/ecs/user-guide/block-storage-performance)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    tiers: dict[str, Tier] = {}
    for cls in classes:
        if tier := tier_of(cls, slow=params.slow_tiers, sufficient=params.sufficient_tiers):
            tiers[cls.name] = tier
    if untold := [cls for cls in classes if cls.name not in tiers]:
        yield _without_tiers(untold)
    rated = [cls for cls in classes if cls.name in tiers]
    if sufficient := [cls for cls in rated if tiers[cls.name].pace is Pace.SUFFICIENT]:
        names = sorted({tiers[cls.name].name for cls in sufficient})
        yield Finding.ok(
            f"Volumes of {described(sufficient)} are of a tier made for data ({listed(names)}).",
            subjects=[cls.subject for cls in sufficient],
        )
    yield from _judge_others(facts, [cls for cls in rated if cls not in sufficient], tiers)


def _without_tiers(classes: Sequence[StorageClass]) -> Finding:
    provisioners = sorted({cls.provisioner for cls in classes})
    return Finding.skip(
        f"Parameters of {described(classes)} name no performance tier ({listed(provisioners)}): "
        "what stands behind these volumes has to be measured.",
        subjects=[cls.subject for cls in classes],
    )


def _judge_others(facts: Facts, classes: Sequence[StorageClass], tiers: dict[str, Tier]) -> Iterator[Finding]:
    for need, needed in by_need(facts, classes):
        groups: defaultdict[Tier, list[StorageClass]] = defaultdict(list)
        for cls in needed:
            groups[tiers[cls.name]].append(cls)
        for tier, group in groups.items():
            yield _slow(need, group, tier) if tier.pace is Pace.SLOW else _not_told(need, group, tier)


def _slow(need: Need, classes: Sequence[StorageClass], tier: Tier) -> Finding:
    how = "by the driver's default" if tier.is_default else "by their parameters"
    return Finding.of(
        need.status,
        f"Volumes of {described(classes, need)} have {tier.name} {how}: {tier.limits}; "
        "a tier made for databases was expected.",
        subjects=[cls.subject for cls in classes],
        fix=f"Create a class with {tier.better}, and let data systems name it.",
        evidence=_seen(classes, tier),
    )


def _not_told(need: Need, classes: Sequence[StorageClass], tier: Tier) -> Finding:
    speak = Finding.skip if need is Need.UNUSED else Finding.unknown
    return speak(
        f"Whether {tier.name} of {described(classes, need)} suffices for data cannot be told: "
        "the tier is none of those that are known.",
        subjects=[cls.subject for cls in classes],
        fix="Name the tier in sufficient_tiers or slow_tiers of this check.",
        evidence=_seen(classes, tier),
    )


def _seen(classes: Sequence[StorageClass], tier: Tier) -> dict[str, object]:
    return examples({cls.name: {"provisioner": cls.provisioner, "tier": tier.name} for cls in classes})
