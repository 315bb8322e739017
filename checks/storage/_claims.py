"""Which pods want which claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from auditor import Facts
from auditor.facts.kube import PersistentVolumeClaim, Pod

ClaimKey = tuple[str | None, str]
"""Namespace and name of a claim."""


def key_of(claim: PersistentVolumeClaim) -> ClaimKey:
    """What pods and volumes name a claim by."""
    return (claim.namespace, claim.name)


def claims_of(pod: Pod) -> Iterator[str]:
    """The claims that a pod mounts, those that are made with it (generic ephemeral volumes) included."""
    for volume in pod.spec.volumes or ():
        if volume.persistent_volume_claim is not None:
            yield volume.persistent_volume_claim.claim_name
        elif volume.ephemeral is not None:
            yield f"{pod.name}-{volume.name}"


def consumers(facts: Facts, claims: Iterable[ClaimKey]) -> dict[ClaimKey, list[Pod]]:
    """The pods that want these claims: those that mount them, have not finished and are not being deleted."""
    wanted = set(claims)
    found: defaultdict[ClaimKey, list[Pod]] = defaultdict(list)
    for namespace in {namespace for namespace, _ in wanted if namespace is not None}:
        for pod in facts.in_namespace(Pod, namespace):
            if pod.spec.volumes and not pod.is_finished and pod.metadata.deletion_timestamp is None:
                for name in claims_of(pod):
                    if (namespace, name) in wanted:
                        found[namespace, name].append(pod)
    return dict(found)
