"""Claims that are not bound although a pod wants them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from auditor import Facts, Finding
from auditor.facts.kube import PersistentVolumeClaim, Pod, StorageClass
from auditor.facts.times import age_at_collection

from .._wording import counted, examples, full_name, full_names
from ._ages import ageless, by_age
from ._claims import consumers, key_of
from ._classes import class_of

_SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The scheduler writes it on a claim that waits for its first pod when it has chosen a place: now storage is to act."""

_ABOUT_VOLUMES = (
    "persistent volume",
    "persistentvolume",
    "volume node affinity",
    "free storage",
    "pvc(s)",
    "volume zone",
    "max volume count",
)
"""Words of the scheduler's volume plugins, in lower case, when it was they who found no node."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A claim that is not bound, and the pods that want it."""

    claim: PersistentVolumeClaim
    pods: Sequence[Pod]


def judge_pending(facts: Facts, claims: Sequence[PersistentVolumeClaim], limit: timedelta) -> Iterator[Finding]:
    """What to say of the claims that are not bound; ``claims`` are all of them, by name."""
    pending = [c for c in claims if c.status.phase == "Pending" and c.metadata.deletion_timestamp is None]
    if not pending:
        return
    pods_of = consumers(facts, map(key_of, pending))
    on_storage: list[_Waiting] = []
    on_scheduler: list[PersistentVolumeClaim] = []
    for claim in pending:
        if pods := pods_of.get(key_of(claim)):
            waiting = _Waiting(claim, pods)
            if _is_up_to_storage(facts, waiting):
                on_storage.append(waiting)
            else:
                on_scheduler.append(claim)
    yield from _judge_waiting(facts, on_storage, limit)
    if on_scheduler:
        yield Finding.skip(
            f"Not bound yet: {counted(len(on_scheduler), 'claim')} ({full_names(on_scheduler)}), since the scheduler "
            "has not placed the pod for reasons other than storage.",
            subjects=[claim.subject for claim in on_scheduler],
        )


def _is_up_to_storage(facts: Facts, waiting: _Waiting) -> bool:
    """Whether the claim waits for its provisioner or for a volume, and not for its pod to be scheduled."""
    cls = _class_of(facts, waiting.claim)
    if cls is None or not cls.waits_for_consumer or _SELECTED_NODE in waiting.claim.annotations:
        return True
    return any(pod.spec.node_name or _blames_volumes(pod) for pod in waiting.pods)


def _class_of(facts: Facts, claim: PersistentVolumeClaim) -> StorageClass | None:
    name = class_of(claim)
    return facts.get(StorageClass, name) if name else None


def _blames_volumes(pod: Pod) -> bool:
    return any(
        condition.type == "PodScheduled"
        and condition.status == "False"
        and any(words in (condition.message or "").lower() for words in _ABOUT_VOLUMES)
        for condition in pod.status.conditions or ()
    )


def _judge_waiting(facts: Facts, waiting: Sequence[_Waiting], limit: timedelta) -> Iterator[Finding]:
    """One finding per class: what keeps one claim of a class keeps the others as well."""
    aged = by_age(((each.claim, _waited(facts, each)) for each in waiting), limit)
    by_class: defaultdict[str, list[PersistentVolumeClaim]] = defaultdict(list)
    for claim in aged.old:
        by_class[_why(facts, claim)].append(claim)
    for why, claims in sorted(by_class.items()):
        yield Finding.fail(
            f"Pending for more than {counted(limit // timedelta(minutes=1), 'minute')}: "
            f"{counted(len(claims), 'claim')} that pods want ({full_names(claims)}); a volume was expected within "
            f"that time, but {why}.",
            subjects=[claim.subject for claim in claims],
            fix="Look at the events of the claim and the log of the provisioner: quota, credentials, room, topology.",
            command=f"kubectl describe pvc -n {claims[0].namespace} {claims[0].name}",
            evidence=examples({full_name(claim): {"created": claim.metadata.creation_timestamp} for claim in claims}),
        )
    if aged.ageless:
        yield ageless("waited for a volume", aged.ageless)


def _waited(facts: Facts, waiting: _Waiting) -> timedelta | None:
    """How long the claim and a pod that wants it have both been there."""
    claim = age_at_collection(facts, waiting.claim.metadata.creation_timestamp)
    pods = [
        age for pod in waiting.pods if (age := age_at_collection(facts, pod.metadata.creation_timestamp)) is not None
    ]
    return min(claim, max(pods)) if claim is not None and pods else None


def _why(facts: Facts, claim: PersistentVolumeClaim) -> str:
    name = class_of(claim)
    if not name:
        return "they name no StorageClass, and no volume fits"
    cls = _class_of(facts, claim)
    if cls is None:
        return f"there is no StorageClass {name}, and no volume fits"
    return f"StorageClass {name} ({cls.provisioner}) makes none for them"
