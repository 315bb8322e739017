"""What the storage checks share: which classes count, who needs them, and how findings speak of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Status, Workload
from auditor.facts.kube import PersistentVolumeClaim, StatefulSet, StorageClass
from auditor.facts.kube.storage import DEFAULT_CLASS_ANNOTATIONS

from .._provisioners import OBJECT_STORES, SHARED_FILE_SYSTEMS, WITHOUT_VOLUMES, matches
from .._wording import listed

WORKLOADS_WITH_VOLUMES = (*STATEFUL_WORKLOADS, Workload.SPARK)
"""Those that keep state in volumes, and Spark, whose drivers and executors shuffle through them."""

_LEGACY_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class Need(StrEnum):
    """Why a class matters: what is wrong with one that nobody needs is a warning only."""

    DEFAULT = "default"
    USED = "in use"
    UNUSED = "not in use"

    @property
    def status(self) -> Status:
        """What a class that does not meet a condition comes to."""
        return Status.WARN if self is Need.UNUSED else Status.FAIL


def volume_classes(facts: Facts) -> list[StorageClass]:
    """The classes that make volumes, by name; those that hand out buckets or certificates are left out."""
    classes = (cls for cls in facts.list(StorageClass) if not matches(cls.provisioner, WITHOUT_VOLUMES))
    return sorted(classes, key=lambda cls: cls.name)


def no_classes() -> Finding:
    """The finding of every check but the one that asks for a default class."""
    return Finding.skip("The cluster has no StorageClass that makes volumes, so there is none to judge.")


def by_need(facts: Facts, classes: Sequence[StorageClass]) -> Iterator[tuple[Need, list[StorageClass]]]:
    """The classes grouped by who needs them, those first for which the fewest parts must be readable."""
    yield from _non_empty(Need.DEFAULT, [cls for cls in classes if cls.is_default])
    rest = [cls for cls in classes if not cls.is_default]
    for names_used in (_claimed, _in_templates):
        if not rest:
            return
        used = names_used(facts)
        yield from _non_empty(Need.USED, [cls for cls in rest if cls.name in used])
        rest = [cls for cls in rest if cls.name not in used]
    yield from _non_empty(Need.UNUSED, rest)


def _non_empty(need: Need, classes: list[StorageClass]) -> Iterator[tuple[Need, list[StorageClass]]]:
    if classes:
        yield need, classes


def _claimed(facts: Facts) -> set[str | None]:
    return {class_of(claim) for claim in facts.list(PersistentVolumeClaim)}


def _in_templates(facts: Facts) -> set[str | None]:
    return {
        template.spec.storage_class_name
        for stateful_set in facts.list(StatefulSet)
        for template in stateful_set.spec.volume_claim_templates or ()
    }


def class_of(claim: PersistentVolumeClaim) -> str | None:
    """The class that a claim names; the deprecated annotation wins over the field, as in Kubernetes itself."""
    return claim.annotations.get(_LEGACY_CLASS_ANNOTATION, claim.spec.storage_class_name)


def parameter(cls: StorageClass, *names: str) -> str | None:
    """The first of these parameters that the class sets; provisioners do not mind the case of a name."""
    given = {key.lower(): value for key, value in (cls.parameters or {}).items()}
    return next((given[name.lower()] for name in names if name.lower() in given), None)


def file_system_of(cls: StorageClass) -> str | None:
    """The file system that the class asks for, by the parameter of today or those of older provisioners."""
    return parameter(cls, "csi.storage.k8s.io/fstype", "fstype")


def is_shared(cls: StorageClass) -> bool:
    """Whether the class hands out a shared file system or a mounted object store, as far as it is known."""
    if (file_system_of(cls) or "").startswith("nfs"):
        return True
    return matches(cls.provisioner, (*SHARED_FILE_SYSTEMS, *OBJECT_STORES))


def create_copy(cls: StorageClass, name: str, **changes: object) -> str:
    """The command that creates a class like this one, under another name and with some fields changed."""
    manifest: dict[str, object] = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": cls.provisioner,
        "volumeBindingMode": cls.volume_binding_mode,
        "allowVolumeExpansion": cls.allow_volume_expansion,
        "parameters": cls.parameters,
        "reclaimPolicy": cls.reclaim_policy,
        "mountOptions": cls.mount_options,
        "allowedTopologies": msgspec.to_builtins(cls.allowed_topologies),
        **changes,
    }
    text = json.dumps({key: value for key, value in manifest.items() if value is not None})
    return f"echo {shlex.quote(text)} | kubectl create -f -"


def described(classes: Sequence[StorageClass], need: Need | None = None) -> str:
    """The classes as a message names them: ``the default StorageClass gp2``, ``StorageClasses a and b (in use)``."""
    noun = "StorageClass" if len(classes) == 1 else "StorageClasses"
    text = f"{noun} {listed([cls.name for cls in classes])}"
    if need is None:
        return text
    return f"the default {text}" if need is Need.DEFAULT else f"{text} ({need})"


def mark_as_default(cls: StorageClass, value: Literal["true", "false"]) -> str:
    """The command that sets or takes the mark of the default class, in the forms that the class carries."""
    keys = [key for key in DEFAULT_CLASS_ANNOTATIONS if key in cls.annotations] or [DEFAULT_CLASS_ANNOTATIONS[0]]
    marks = " ".join(f"{key}={value}" for key in keys)
    return f"kubectl annotate storageclass {shlex.quote(cls.name)} {marks} --overwrite"
