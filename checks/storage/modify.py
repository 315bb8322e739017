"""Can the attributes of a volume be changed while it is in use?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Parameters, Severity, check, if_served, threshold
from auditor.facts.kube import PersistentVolumeClaim, StatefulSet, StorageClass
from auditor.facts.kube.storage import VolumeAttributesClass

from .._provisioners import MIGRATED_TO, MODIFIES_VOLUMES, NO_PROVISIONER, WITHOUT_CSI_DRIVER, driver_of, matches
from .._wording import counted, examples, full_name, full_names, listed
from ._classes import Need, by_need, described, no_classes, parameter, volume_classes

_GOOGLE = ("pd.csi.storage.gke.io",)
_FIRST_MINOR = 34
"""VolumeAttributesClass is served without a feature gate since Kubernetes 1.34 (KEP-3751)."""


class ModifyParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its drivers."""

    modifying_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners whose driver can change a volume's attributes while it is in use.",
            source="The site's own drivers; those of Amazon EBS, Azure Disk, Google Hyperdisk and others are known.",
        ),
    ] = ()


@check(
    "storage.volume-attributes",
    title="Performance of a volume can be changed while it is in use",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageClass, if_served(VolumeAttributesClass), PersistentVolumeClaim, StatefulSet),
    aliases=("STO-013",),
)
def volume_attributes(facts: Facts, params: ModifyParameters) -> Iterator[Finding]:
    """A VolumeAttributesClass gives a mounted volume more IOPS or throughput, without touching pod or node.

    ## What it checks
    - The API `storage.k8s.io/volumeattributesclasses` is served, as far as there is a driver that could make use of it;
      it is by default since Kubernetes 1.34.
    - For the driver of each StorageClass that is the default or in use there is a VolumeAttributesClass whose
      `driverName` is that driver. Where none is there, drivers known to implement ControllerModifyVolume bring a
      warning: EBS, Azure Disk, Google Hyperdisk (not Persistent Disk), Alibaba Cloud disks, HPE Data Fabric, and those
      in `modifying_provisioners`. So does an in-tree name (`kubernetes.io/aws-ebs` …), whose volumes are no CSI
      volumes. Others are named, and not judged.
    - No bound claim asks for attributes that were refused (`Infeasible`), or that wait for a class which does not exist
      (`Pending`): these fail. A claim that names a class which nothing has taken up is a warning: a driver without the
      feature ignores the field silently.

    That a driver really changes a volume in use is proved by a probe.

    ## Why it matters
    The load of a broker at the end of the year is not the one it was sized for. Without this, more IOPS mean new
    volumes and a copy of all data, or a change behind Kubernetes' back that the next reconciliation does not know of.

    ## How to fix
    Upgrade the driver and its external-resizer, then create one VolumeAttributesClass per tier:

        kubectl get volumeattributesclasses
        kubectl patch pvc NAME --patch '{"spec": {"volumeAttributesClassName": "fast"}}'

    Clouds limit how often: EBS takes four modifications of a volume in 24 hours.

    ## References
    - [Volume attributes classes](https://kubernetes.io/docs/concepts/storage/volume-attributes-classes/)
    - [KEP-3751: VolumeAttributesClass](https://github.com/kubernetes/enhancements/issues/3751)
    - [Amazon EBS CSI driver: volume modification](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/modify-volume.md)
    - [Azure Disk CSI driver: ControllerModifyVolume](https://github.com/kubernetes-sigs/azuredisk-csi-driver/pull/2344)
    - [Google Persistent Disk CSI driver: ControllerModifyVolume](https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver/pull/1801)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    driven = [cls for cls in classes if not matches(cls.provisioner, (NO_PROVISIONER, *WITHOUT_CSI_DRIVER))]
    if not driven:
        yield Finding.skip(f"Volumes of {described(classes)} are made without a CSI driver, which alone could do it.")
        return
    yield from _judge_claims(facts.list(PersistentVolumeClaim))
    if facts.served(VolumeAttributesClass):
        yield from _judge_classes(facts, driven, params)
    else:
        yield _not_served(facts.origin.server_version, driven, params)


def _not_served(server_version: str, classes: Sequence[StorageClass], params: ModifyParameters) -> Finding:
    if not any(_is_able(cls, params) or cls.provisioner in MIGRATED_TO for cls in classes):
        return Finding.skip(
            f"The API server does not serve VolumeAttributesClasses, and that {_provisioners(classes)} could change "
            f"volumes of {described(classes)} while they are in use is not known.",
            subjects=[cls.subject for cls in classes],
        )
    minor = re.match(r"v?1\.(\d+)", server_version)
    if minor is None:
        seen = "it is by default since Kubernetes 1.34"
    elif int(minor[1]) < _FIRST_MINOR:
        seen = f"the server is {server_version}, and 1.34 is the first version that serves it by default"
    else:
        seen = f"although {server_version} does by default"
    return Finding.warn(
        f"The API server does not serve VolumeAttributesClasses ({seen}): the performance of a volume cannot be "
        "changed while it is in use.",
        fix="Upgrade to Kubernetes 1.34 or later, with the VolumeAttributesClass feature gate left on.",
    )


def _judge_classes(facts: Facts, classes: Sequence[StorageClass], params: ModifyParameters) -> Iterator[Finding]:
    drivers = {attributes.driver_name for attributes in facts.list(VolumeAttributesClass)}
    in_tree = [cls for cls in classes if cls.provisioner in MIGRATED_TO]
    if covered := [cls for cls in classes if cls.provisioner in drivers]:
        yield Finding.ok(
            f"Volumes of {described(covered)} can change: their driver has a VolumeAttributesClass.",
            subjects=[cls.subject for cls in covered],
        )
    rest = [cls for cls in classes if cls not in covered and cls not in in_tree]
    able = [cls for cls in rest if _is_able(cls, params)]
    if others := [cls for cls in rest if cls not in able]:
        yield Finding.skip(
            f"That {_provisioners(others)} could change volumes of {described(others)} while they are in use is not "
            "known.",
            subjects=[cls.subject for cls in others],
        )
    for need, group in by_need(facts, [*able, *in_tree]):
        if named := [cls for cls in group if cls in able]:
            yield _without_attributes(need, named)
        if unchangeable := [cls for cls in group if cls in in_tree]:
            yield _in_tree(need, unchangeable)


def _provisioners(classes: Sequence[StorageClass]) -> str:
    return listed(sorted({cls.provisioner for cls in classes}))


def _is_able(cls: StorageClass, params: ModifyParameters) -> bool:
    """Whether the driver is known to change volumes of this class; Google's does so for Hyperdisk only."""
    if matches(cls.provisioner, params.modifying_provisioners):
        return True
    if matches(cls.provisioner, _GOOGLE):
        return (parameter(cls, "type") or "").startswith("hyperdisk")
    return matches(cls.provisioner, MODIFIES_VOLUMES)


def _in_tree(need: Need, classes: Sequence[StorageClass]) -> Finding:
    drivers = sorted({driver_of(cls.provisioner) for cls in classes})
    speak = Finding.skip if need is Need.UNUSED else Finding.warn
    return speak(
        f"Volumes of {described(classes, need)} cannot change while they are in use, since volumes made under an "
        f"in-tree name are no CSI volumes; a class that names {listed(drivers)} was expected.",
        subjects=[cls.subject for cls in classes],
        fix=f"Create a class whose provisioner is {listed(drivers)}, and let new claims name it.",
        evidence=examples({cls.name: {"provisioner": cls.provisioner} for cls in classes}),
    )


def _without_attributes(need: Need, classes: Sequence[StorageClass]) -> Finding:
    drivers = sorted({cls.provisioner for cls in classes})
    speak = Finding.skip if need is Need.UNUSED else Finding.warn
    return speak(
        f"No VolumeAttributesClass is for the driver {listed(drivers)} of {described(classes, need)}, one per tier was "
        "expected: the driver could change volumes in use, and nobody can ask it to.",
        subjects=[cls.subject for cls in classes],
        fix="Create a VolumeAttributesClass for each tier that the driver offers.",
        evidence={"drivers": drivers},
    )


def _judge_claims(claims: Sequence[PersistentVolumeClaim]) -> Iterator[Finding]:
    """What became of claims that ask for attributes."""
    asking = sorted(
        (c for c in claims if c.spec.volume_attributes_class_name and c.status.phase == "Bound"), key=full_name
    )
    refused = [claim for claim in asking if _state(claim) in ("Infeasible", "Pending")]
    if refused:
        yield Finding.fail(
            f"The attributes that {counted(len(refused), 'claim')} ask for were not applied ({full_names(refused)}): "
            "the driver refused them, or their VolumeAttributesClass does not exist.",
            subjects=[claim.subject for claim in refused],
            fix="Name a VolumeAttributesClass that exists and that the driver accepts for this volume.",
            command=f"kubectl describe pvc -n {refused[0].namespace} {refused[0].name}",
            evidence=_asked(refused),
        )
    ignored = [c for c in asking if _state(c) == "" and _current(c) != c.spec.volume_attributes_class_name]
    if ignored:
        yield Finding.warn(
            f"Nothing has taken up the VolumeAttributesClass of {counted(len(ignored), 'claim')} "
            f"({full_names(ignored)}); a driver or resizer without the feature ignores it silently.",
            subjects=[claim.subject for claim in ignored],
            fix="Upgrade the CSI driver and its external-resizer to versions that implement ControllerModifyVolume.",
            evidence=_asked(ignored),
        )


def _state(claim: PersistentVolumeClaim) -> str:
    modification = claim.status.modify_volume_status
    return modification.status if modification else ""


def _current(claim: PersistentVolumeClaim) -> str | None:
    return claim.status.current_volume_attributes_class_name


def _asked(claims: Sequence[PersistentVolumeClaim]) -> dict[str, object]:
    return examples(
        {
            full_name(claim): {
                "asked": claim.spec.volume_attributes_class_name,
                "current": _current(claim),
                "state": _state(claim) or "not taken up",
            }
            for claim in claims
        }
    )
