"""Can a volume in use grow and change? Seen by the storage probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations.storage import EXPAND, INFEASIBLE, MODIFY, StorageObservations

from ._observed import (
    Outcomes,
    Seen,
    classes,
    evidence,
    failures,
    late,
    longest,
    nothing_proved,
    quoted,
    subjects,
    volumes,
)


class GrowthParameters(Parameters, frozen=True, kw_only=True):
    """How long growing may take."""

    growth_seconds: Annotated[
        float,
        threshold(
            "Seconds within which a larger claim must be a larger file system in the same pod.",
            source="No upstream number; cloud disks take 10 to 60 s.",
            ge=1,
        ),
    ] = 180


@check(
    "storage.grows-in-use",
    title="A volume in use grows without a restart of its pod",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageObservations,),
    aliases=("STO-012",),
)
def grows_in_use(facts: Facts, params: GrowthParameters) -> Iterator[Finding]:
    """A claim was made larger while a pod used it.

    ## What it checks
    The probe asks for a larger claim. The claim's capacity grows, and so does the file system that the pod sees, within
    `growth_seconds`, while it stays the same pod without a restart. A class that refuses, a driver that never answers
    and one that grows the volume only when its pod is gone fail. Slower is a warning. File systems without a size,
    such as EFS, are left out.

    `storage.volume-expansion` tells from the class what this check has seen.

    ## Why it matters
    A broker or DataNode whose disk is full stops. Growing in place takes seconds; growing with a restart is a rolling
    restart of the whole cluster, at the moment when it has no space left for the replicas to catch up.

    ## How to fix
    Set `allowVolumeExpansion: true` on the class, run the driver's resizer, and use a version of the driver that
    expands volumes online:

        kubectl patch storageclass NAME --patch '{"allowVolumeExpansion": true}'

    ## References
    - [Resizing an in-use PersistentVolumeClaim](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resizing-an-in-use-persistentvolumeclaim)
    - [CSI volume expansion](https://kubernetes-csi.github.io/docs/volume-expansion.html)
    - [Strimzi: resizing persistent volumes](https://strimzi.io/docs/operators/latest/deploying#proc-resizing-persistent-volumes-str)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    outcomes = Outcomes.of(document, EXPAND)
    fix = "Set allowVolumeExpansion, and look at the claim's events and the log of the driver's resizer."
    yield from failures(outcomes.failed, "Volumes in use do not grow", fix=fix)
    yield from _pod_changed(_other_pod(outcomes.ok), "grown")
    same = {name: pair for name, pair in outcomes.ok.items() if name not in _other_pod(outcomes.ok)}
    slow = late(same, params.growth_seconds)
    if slow:
        yield Finding.warn(
            f"Volumes of {classes(slow)} grew in {longest(slow):.0f} s, at most {params.growth_seconds:g} s were "
            "expected.",
            subjects=subjects(slow),
            fix="Look at the log of the driver's resizer, and at limits of the cloud's API.",
            evidence=evidence(slow),
        )
    if good := {name: pair for name, pair in same.items() if name not in slow}:
        yield Finding.ok(
            f"Volumes of {classes(good)} grew in {longest(good):.1f} s at most, in the same pod.",
            subjects=subjects(good),
            evidence=evidence(good),
        )
    yield from outcomes.others("volumes grow in use")


@check(
    "storage.changes-in-use",
    title="Attributes of a volume in use change without a restart of its pod",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageObservations,),
)
def changes_in_use(facts: Facts) -> Iterator[Finding]:
    """A claim was given another VolumeAttributesClass while a pod used it.

    ## What it checks
    Where a VolumeAttributesClass is for the driver of the class, the probe names it in a claim of its own:
    `status.currentVolumeAttributesClassName` follows, and the pod stays the same. A change that nothing takes up, or
    that does not end, fails. One that the driver refuses for such a small volume is a warning: at most three classes
    are tried. Where no VolumeAttributesClass is for the driver, `storage.volume-attributes` judges that.

    ## Why it matters
    More IOPS for a broker under load, without moving a byte: drivers that are too old ignore the field silently, and
    the claim looks as if the change had been made.

    ## How to fix
    Upgrade the CSI driver and its resizer to versions with ControllerModifyVolume (Amazon EBS: 1.35 or newer), and
    create classes whose parameters are valid for small volumes, too.

    ## References
    - [Volume attributes classes](https://kubernetes.io/docs/concepts/storage/volume-attributes-classes/)
    - [CSI volume attributes](https://kubernetes-csi.github.io/docs/volume-attributes-class.html)
    - [Amazon EBS: requests for volume modifications](https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    outcomes = Outcomes.of(document, MODIFY)
    refused = {name: pair for name, pair in outcomes.failed.items() if _reason(pair[1].cause) == INFEASIBLE}
    for name, (observation, step) in refused.items():
        yield Finding.warn(
            f"The attributes of volumes of {classes([name])} were not changed: "
            f"{quoted(step.cause.message) if step.cause else 'the driver refused'}.",
            subjects=subjects([name]),
            fix="Create a VolumeAttributesClass whose parameters fit the volumes of the class, also small ones.",
            evidence=evidence({name: (observation, step)}),
        )
    failed = {name: pair for name, pair in outcomes.failed.items() if name not in refused}
    fix = "Upgrade the CSI driver and its external-resizer to versions that implement ControllerModifyVolume."
    yield from failures(failed, "Attributes of volumes in use do not change", fix=fix)
    other = _other_pod(outcomes.ok)
    yield from _pod_changed(other, "changed")
    if good := {name: pair for name, pair in outcomes.ok.items() if name not in other}:
        yield Finding.ok(
            f"Attributes of volumes of {classes(good)} changed in use, in the same pod.",
            subjects=subjects(good),
            evidence=evidence(good),
        )
    yield from outcomes.others("attributes of volumes change in use")


def _other_pod(seen: Seen) -> Seen:
    """Those whose pod did not survive the change."""
    return {name: pair for name, pair in seen.items() if pair[1].detail.get("same_pod") is False}


def _pod_changed(seen: Seen, word: str) -> Iterator[Finding]:
    if seen:
        yield Finding.fail(
            f"The pod did not outlast that its volume was {word}, of {classes(seen)}; the same pod without a restart "
            "was expected.",
            subjects=subjects(seen),
            fix="Use a driver that changes volumes in use.",
            evidence=evidence(seen),
        )


def _reason(cause: object) -> str:
    return getattr(cause, "reason", "")
