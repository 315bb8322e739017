"""What is known of the performance tiers that the parameters of a class name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase

from auditor.facts.kube import StorageClass

from .._provisioners import driver_of
from ._classes import parameter


class Pace(Enum):
    """How a tier serves data systems."""

    SUFFICIENT = auto()
    SLOW = auto()
    NOT_TOLD = auto()
    """The provisioner has tiers, and this one is not known."""


@dataclass(frozen=True, slots=True)
class Tier:
    """The tier of a class.

    Attributes:
        name: parameter and value, such as ``type gp2``.
        pace: how it serves data systems.
        limits: for a slow one, what it gives at most, in words.
        better: what to take instead, in words.
        is_default: whether the class leaves it to the driver.
    """

    name: str
    pace: Pace
    limits: str = ""
    better: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """The tiers of some provisioners.

    Attributes:
        provisioners: whose they are, by the names of the CSI drivers or of the provisioners themselves.
        parameters: that name a tier; the first one that a class sets counts.
        default: the tier of a class that names none; empty where none is documented.
        slow: names in lower case, and what the tier gives at most.
        sufficient: globs over names in lower case.
        better: what to take instead of a slow one.
    """

    provisioners: tuple[str, ...]
    parameters: tuple[str, ...]
    default: str = ""
    slow: dict[str, str] = field(default_factory=dict)
    sufficient: tuple[str, ...]
    better: str


_TIERS = (
    # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html
    # https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/parameters.md
    Tiers(
        provisioners=("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com"),
        parameters=("type",),
        default="gp3",
        slow={
            "gp2": "3 IOPS per GiB, more only while burst credits last",
            "sc1": "cold hard disks with at most 250 IOPS",
            "st1": "hard disks with at most 500 IOPS",
            "standard": "hard disks of the previous generation with 40 to 200 IOPS",
        },
        sufficient=("gp3", "io1", "io2"),
        better="type gp3, which gives 3,000 IOPS and 125 MiB/s at any size",
    ),
    # https://cloud.google.com/compute/docs/disks/performance
    # https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver#createvolume-parameters
    Tiers(
        provisioners=("pd.csi.storage.gke.io",),
        parameters=("type",),
        default="pd-standard",
        slow={"pd-standard": "hard disks with 0.75 read and 1.5 write IOPS per GiB"},
        sufficient=("pd-balanced", "pd-ssd", "pd-extreme", "hyperdisk-*", "dynamic"),
        better="type pd-ssd, pd-balanced or hyperdisk-balanced",
    ),
    # https://learn.microsoft.com/azure/virtual-machines/disks-types
    # https://github.com/kubernetes-sigs/azuredisk-csi-driver/blob/master/docs/driver-parameters.md
    Tiers(
        provisioners=("disk.csi.azure.com",),
        parameters=("skuName", "storageAccountType"),
        default="StandardSSD_LRS",
        slow={
            "standard_lrs": "hard disks with 500 IOPS up to 4 TiB",
            "standardssd_lrs": "500 IOPS up to 4 TiB, with no guarantee of latency",
            "standardssd_zrs": "500 IOPS up to 4 TiB, with no guarantee of latency",
        },
        sufficient=("premium_lrs", "premium_zrs", "premiumv2_lrs", "ultrassd_lrs"),
        better="skuName Premium_LRS (managed-csi-premium on AKS) or PremiumV2_LRS",
    ),
    # https://www.alibabacloud.com/help/en/ecs/user-guide/block-storage-performance
    # A list is tried from left to right.
    Tiers(
        provisioners=("diskplugin.csi.alibabacloud.com",),
        parameters=("type",),
        slow={
            "cloud": "hard disks of the previous generation with some hundred IOPS",
            "cloud_efficiency": "at most 5,000 IOPS and 140 MB/s",
        },
        sufficient=("cloud_ssd", "cloud_essd*", "cloud_auto", "cloud_regional_disk_auto", "elastic_*", "available"),
        better="type cloud_essd or cloud_auto",
    ),
    # https://support.huaweicloud.com/intl/en-us/productdesc-evs/evs_01_0044.html
    Tiers(
        provisioners=("everest-csi-provisioner", "disk.csi.everest.io"),
        parameters=("everest.io/disk-volume-type",),
        slow={
            "sas": "High I/O disks with at most 5,000 IOPS and 150 MB/s",
            "sata": "Common I/O hard disks with at most 2,200 IOPS and 50 MB/s",
        },
        sufficient=("ssd", "gpssd", "gpssd2", "essd", "essd2"),
        better="disk-volume-type GPSSD, SSD or ESSD",
    ),
    # https://docs.oracle.com/iaas/Content/Block/Concepts/blockvolumeperformance.htm
    Tiers(
        provisioners=("blockvolume.csi.oraclecloud.com",),
        parameters=("vpusPerGB",),
        default="10",
        slow={"0": "Lower Cost volumes with 2 IOPS per GB"},
        sufficient=("[1-9]*",),
        better="vpusPerGB 10 (Balanced) or more",
    ),
    # https://cloud.ibm.com/docs/containers?topic=containers-file_storage
    Tiers(
        provisioners=("ibm.io/ibmc-file", "ibm.io/ibmc-block"),
        parameters=("iopsPerGB",),
        slow={"2": "bronze storage with 2 IOPS per GB"},
        sufficient=("4", "10"),
        better="a gold class, which gives 10 IOPS per GB",
    ),
)


def tier_of(cls: StorageClass, *, slow: Sequence[str] = (), sufficient: Sequence[str] = ()) -> Tier | None:
    """The tier that a class names or gets by default; None where its provisioner's parameters name no tiers.

    Args:
        cls: the class.
        slow: globs over the names of tiers that a site knows to be slow; case does not matter.
        sufficient: globs over the names of tiers that a site knows to suffice.
    """
    tiers = next((t for t in _TIERS if {cls.provisioner, driver_of(cls.provisioner)} & set(t.provisioners)), None)
    if tiers is None:
        return None
    names = [name for name in tiers.parameters if parameter(cls, name) is not None] or list(tiers.parameters)
    given = parameter(cls, names[0])
    value = (given or tiers.default).partition(",")[0].strip()
    if not value:
        return None
    key = value.lower()
    if _fits(key, sufficient):
        pace = Pace.SUFFICIENT
    elif _fits(key, (*slow, *tiers.slow)):
        pace = Pace.SLOW
    else:
        pace = Pace.SUFFICIENT if _fits(key, tiers.sufficient) else Pace.NOT_TOLD
    limits = tiers.slow.get(key, "slow by slow_tiers of this check")
    return Tier(f"{names[0]} {value}", pace, limits=limits, better=tiers.better, is_default=not given)


def _fits(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(key, pattern.lower()) for pattern in patterns)
