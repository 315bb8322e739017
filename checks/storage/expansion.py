"""Can volumes grow?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Parameters, Severity, check, threshold
from auditor.facts.kube import PersistentVolumeClaim, StatefulSet, StorageClass

from .._provisioners import FIXED_SIZE, NO_PROVISIONER, UNLIMITED_SIZE, matches
from ._classes import Need, by_need, described, no_classes, volume_classes


class ExpansionParameters(Parameters, frozen=True, kw_only=True):
    """What a site knows of its provisioners."""

    fixed_size_provisioners: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further provisioners that cannot grow a volume, whatever the class says.",
            source="The site's own provisioners; rancher.io/local-path and its like are known.",
        ),
    ] = ()


@check(
    "storage.volume-expansion",
    title="Volumes of every StorageClass can grow",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StorageClass, PersistentVolumeClaim, StatefulSet),
    aliases=("STO-004",),
)
def volume_expansion(facts: Facts, params: ExpansionParameters) -> Iterator[Finding]:
    """A volume that fills up can be made larger in place.

    ## What it checks
    `allowVolumeExpansion` is `true` on every StorageClass, and the provisioner behind it is able to resize. A default
    class, or one that a claim or a StatefulSet template names, fails; any other is a warning. Classes without a
    provisioner have volumes made by hand and are not judged; neither are file systems without a size, such as EFS.

    Whether the driver resizes a mounted volume in practice is proved by a probe, not here.

    ## Why it matters
    Topics, blocks and checkpoints outgrow the first estimate. Without expansion the only way out is a new claim and a
    copy of the data, broker by broker or DataNode by DataNode. The gp2 class of old EKS clusters lacks the flag, and
    local-path, the default of k3s and kind, has no resizer at all: there a larger claim waits for ever.

    ## How to fix
    The field can be changed on an existing class; volumes made earlier profit too:

        kubectl patch storageclass NAME --patch '{"allowVolumeExpansion": true}'

    Some vendors set their built-in classes back (AKS does): create a class of your own there. For a provisioner that
    cannot resize, choose a class with a CSI driver that can.

    ## References
    - [Allow volume expansion](https://kubernetes.io/docs/concepts/storage/storage-classes/#allow-volume-expansion)
    - [Expanding persistent volume claims](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims)
    - [Strimzi: resizing persistent volumes](https://strimzi.io/docs/operators/latest/deploying#proc-resizing-persistent-volumes-str)
    - [AKS storage concepts](https://learn.microsoft.com/azure/aks/concepts-storage)
    """
    classes = volume_classes(facts)
    if not classes:
        yield no_classes()
        return
    sized = [cls for cls in classes if not matches(cls.provisioner, (NO_PROVISIONER, *UNLIMITED_SIZE))]
    if not sized:
        yield Finding.skip(f"Volumes of {described(classes)} have no size that Kubernetes could change.")
    fixed = [cls for cls in sized if matches(cls.provisioner, (*FIXED_SIZE, *params.fixed_size_provisioners))]
    growing = [cls for cls in sized if cls.allow_volume_expansion and cls not in fixed]
    if growing:
        yield Finding.ok(f"Volumes of {described(growing)} can grow.", subjects=[cls.subject for cls in growing])
    for need, group in by_need(facts, [cls for cls in sized if cls not in growing]):
        if unable := [cls for cls in group if cls in fixed]:
            yield _without_resizer(need, unable)
        if switched_off := [cls for cls in group if cls not in fixed]:
            yield _switched_off(need, switched_off)


def _without_resizer(need: Need, classes: Sequence[StorageClass]) -> Finding:
    return Finding.of(
        need.status,
        f"Volumes of {described(classes, need)} cannot grow: no resizer stands behind the provisioner, "
        "whatever allowVolumeExpansion says; a class whose volumes can be made larger was expected.",
        subjects=[cls.subject for cls in classes],
        fix="Give data systems a class whose provisioner can resize; a patch of this one changes nothing.",
        evidence=_seen(classes),
    )


def _switched_off(need: Need, classes: Sequence[StorageClass]) -> Finding:
    return Finding.of(
        need.status,
        f"Volumes of {described(classes, need)} cannot grow: allowVolumeExpansion is not set, true was expected.",
        subjects=[cls.subject for cls in classes],
        fix=_patch(classes),
        evidence=_seen(classes),
    )


def _patch(classes: Sequence[StorageClass]) -> Fix:
    patch = shlex.quote('{"allowVolumeExpansion": true}')
    commands = (f"kubectl patch storageclass {shlex.quote(cls.name)} --patch {patch}" for cls in classes)
    return Fix(text="Allow expansion; the field can be changed in place.", command="\n".join(commands))


def _seen(classes: Sequence[StorageClass]) -> dict[str, object]:
    return {
        cls.name: {"provisioner": cls.provisioner, "allowVolumeExpansion": cls.allow_volume_expansion}
        for cls in classes
    }
