"""Running pods by the set that they belong to, whether Kubernetes or Strimzi makes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from auditor import Facts, Subject
from auditor.facts.kube import Pod

from .._roles import Role, role_of
from .._wording import counted, listed
from ._sets import ScopeParameters

_SET_KINDS = frozenset({"StatefulSet", "StrimziPodSet"})


@dataclass(frozen=True, slots=True)
class Replicas:
    """The pods of one set.

    Attributes:
        owner: the set.
        role: what its pods do, None where it is not known.
        pods: those that run or are about to, by name.
    """

    owner: Subject
    role: Role | None
    pods: tuple[Pod, ...]

    @property
    def name(self) -> str:
        """``namespace/name`` of the set."""
        return f"{self.owner.namespace}/{self.owner.name}"


def replica_sets(facts: Facts, params: ScopeParameters) -> list[Replicas]:
    """The sets that keep data, with their pods, by name. Pods that are finished or on their way out do not count."""
    pods_of: defaultdict[tuple[str, str, str], list[Pod]] = defaultdict(list)
    for pod in facts.list(Pod):
        owner = owner_of(pod)
        if owner is None or pod.is_finished or pod.metadata.deletion_timestamp is not None:
            continue
        pods_of[pod.namespace or "", owner.name, owner.kind].append(pod)
    found = []
    for (namespace, name, kind), pods in sorted(pods_of.items()):
        pods.sort(key=lambda pod: pod.name)
        if params.leave_out(namespace, pods[0].labels):
            continue
        role = role_of(pods[0])
        if (role is not None and role.keeps_data) or any(pod.claim_names for pod in pods):
            found.append(Replicas(Subject(kind=kind, name=name, namespace=namespace), role, tuple(pods)))
    return found


def owner_of(pod: Pod) -> Subject | None:
    """The StatefulSet or StrimziPodSet that a pod belongs to."""
    for reference in pod.metadata.owner_references or ():
        if reference.kind in _SET_KINDS:
            return Subject(kind=reference.kind, name=reference.name, namespace=pod.namespace)
    return None


def owners_named(sets: Sequence[Replicas]) -> str:
    """``StrimziPodSet ns/a``, ``2 sets (ns/a and ns/b)``."""
    if len(sets) == 1:
        return str(sets[0].owner)
    return f"{counted(len(sets), 'set')} ({listed([each.name for each in sets])})"
