"""Until when each Kubernetes is supported, upstream and by vendors who sell more. As of October 2026."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from auditor.facts.vendor_marks import AKS, EKS, GKE, OPENSHIFT, Platform

END_OF_LIFE = {
    19: date(2021, 10, 28),
    20: date(2022, 2, 28),
    21: date(2022, 6, 28),
    22: date(2022, 12, 8),
    23: date(2023, 2, 28),
    24: date(2023, 7, 28),
    25: date(2023, 10, 28),
    26: date(2024, 2, 28),
    27: date(2024, 7, 16),
    28: date(2024, 10, 22),
    29: date(2025, 2, 28),
    30: date(2025, 7, 15),
    31: date(2025, 11, 11),
    32: date(2026, 2, 28),
    33: date(2026, 6, 28),
    34: date(2026, 10, 27),
    35: date(2027, 2, 28),
    36: date(2027, 6, 28),
    37: date(2027, 10, 28),
}
"""The last day of upstream's patches of Kubernetes 1.x, by x: https://kubernetes.io/releases/patch-releases/."""

NEWEST = max(END_OF_LIFE)
OLDEST = min(END_OF_LIFE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongerSupport:
    """A vendor that patches a version longer than upstream, for those who ask or pay for it.

    Attributes:
        platform: whose.
        plan: what the vendor calls it.
        months: how long after upstream's end it may last, the vendor's later release included.
        source: where the vendor says so.
    """

    platform: Platform
    plan: str
    months: int
    source: str


LONGER_SUPPORT = (
    LongerSupport(
        platform=EKS,
        plan="extended support",
        months=14,
        source="https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html",
    ),
    LongerSupport(
        platform=AKS,
        plan="long-term support (Premium tier)",
        months=14,
        source="https://learn.microsoft.com/en-us/azure/aks/long-term-support",
    ),
    LongerSupport(
        platform=GKE,
        plan="the Extended release channel",
        months=14,
        source="https://cloud.google.com/kubernetes-engine/versioning",
    ),
    LongerSupport(
        platform=OPENSHIFT,
        plan="extended update support",
        months=26,
        source="https://access.redhat.com/support/policy/updates/openshift",
    ),
)


def months_later(day: date, months: int) -> date:
    """The day that many months later; the 28th at most, which every month has."""
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, min(day.day, 28))
