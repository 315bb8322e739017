"""Do the claims of StatefulSets outlive them, and are they as large as their templates say?"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Severity, Status, check, threshold
from auditor.facts.kube import PersistentVolumeClaim, StatefulSet
from auditor.facts.kube.apps import ClaimRetentionPolicy
from auditor.facts.quantity import quantity_bytes

from .._roles import role_of
from .._wording import examples, full_name
from ._sets import ScopeParameters, commands, data_sets, no_data_sets, sets_named

_RETAIN = '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}'


class RetentionParameters(ScopeParameters, frozen=True, kw_only=True):
    """What is not judged, and whose claims may go."""

    scratch_sets: Annotated[
        tuple[str, ...],
        threshold(
            "Globs over namespace/name of StatefulSets whose claims hold nothing of value.",
            source="The site's own caches; Flink TaskManagers and Spark are known.",
        ),
    ] = ()


@check(
    "stateful.claim-retention",
    title="StatefulSets keep their claims when they are deleted or scaled down",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulSet,),
    aliases=("STS-004",),
)
def claim_retention(facts: Facts, params: RetentionParameters) -> Iterator[Finding]:
    r"""The claims of a data system must not go with the StatefulSet that made them.

    ## What it checks
    `whenDeleted` and `whenScaled` in `spec.persistentVolumeClaimRetentionPolicy` of every StatefulSet with claim
    templates are `Retain`, which is what they are where nobody sets them.

    `Delete` fails for systems that are known to keep data (Kafka, ZooKeeper, HDFS, Zeppelin, etcd, Cassandra) and is a
    warning for systems that are not known. Flink TaskManagers and Spark keep only what a job makes again, and are left
    out, as are the StatefulSets that `scratch_sets` names.

    ## Why it matters
    With `whenScaled: Delete` a broker's log is gone as soon as somebody scales to zero for maintenance; with
    `whenDeleted: Delete` it is gone with a chart that is removed to be installed again. Most StorageClasses then delete
    the disk too. Some charts set `Delete` without being asked.

    ## How to fix
    The policy can be changed in place; where a chart or an operator makes the StatefulSet, set it there as well:

        kubectl patch statefulset NAME -n NAMESPACE --patch \
          '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"}}}'

    ## References
    - [PersistentVolumeClaim retention](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention)
    - [KEP-1847: auto delete PVCs created by StatefulSet](https://github.com/kubernetes/enhancements/issues/1847)
    - [A chart's default deletes the volume at scale to zero](https://github.com/grafana-community/helm-charts/issues/638)
    """
    sets = [s for s in data_sets(facts, params) if s.spec.volume_claim_templates]
    if not sets:
        yield Finding.skip("No StatefulSet that keeps data has claim templates, so there is no policy to judge.")
        return
    groups: defaultdict[Status, list[StatefulSet]] = defaultdict(list)
    for stateful_set in sets:
        groups[_retention(stateful_set, params)].append(stateful_set)
    for status in (Status.FAIL, Status.WARN):
        if groups[status]:
            yield _deletes(status, groups[status])
    if kept := groups[Status.OK]:
        yield Finding.ok(
            f"{sets_named(kept)}: claims stay, or hold only what a job makes again.",
            subjects=[stateful_set.subject for stateful_set in kept],
        )


def _retention(stateful_set: StatefulSet, params: RetentionParameters) -> Status:
    if "Delete" not in _policy(stateful_set).values():
        return Status.OK
    role = role_of(stateful_set)
    if role is not None and role.is_scratch:
        return Status.OK
    if any(fnmatchcase(full_name(stateful_set), glob) for glob in params.scratch_sets):
        return Status.OK
    return Status.FAIL if role is not None and role.keeps_data else Status.WARN


def _policy(stateful_set: StatefulSet) -> dict[str, str]:
    policy = stateful_set.spec.persistent_volume_claim_retention_policy or ClaimRetentionPolicy()
    return {"whenDeleted": policy.when_deleted or "Retain", "whenScaled": policy.when_scaled or "Retain"}


def _deletes(status: Status, sets: Sequence[StatefulSet]) -> Finding:
    occasions = {"whenDeleted": "deleted", "whenScaled": "scaled down"}
    occasion = " or ".join(verb for key, verb in occasions.items() if any(_policy(s)[key] == "Delete" for s in sets))
    hint = "" if status is Status.FAIL else ", or name it in scratch_sets if its claims hold nothing of value"
    return Finding.of(
        status,
        f"{sets_named(sets)}: the claims go when the StatefulSet is {occasion}; Retain was expected for both.",
        subjects=[stateful_set.subject for stateful_set in sets],
        fix=Fix(
            text=f"Set the retention policy to Retain where the StatefulSet is defined{hint}.",
            command=commands(f"kubectl patch statefulset {_in_namespace(s)} --patch '{_RETAIN}'" for s in sets),
        ),
        evidence=examples({full_name(s): _policy(s) for s in sets}),
    )


def _in_namespace(obj: StatefulSet | PersistentVolumeClaim) -> str:
    return f"{shlex.quote(obj.name)} -n {shlex.quote(obj.namespace or 'default')}"


class Drift(StrEnum):
    """How claims differ from the template that they were made from."""

    LARGER = "larger"
    SMALLER = "smaller"


@dataclass(frozen=True, slots=True)
class Drifted:
    """A claim of another size than its template.

    Attributes:
        stateful_set: whose claim it is.
        claim: the claim.
        asked: the claim's size.
        template: the template's size.
    """

    stateful_set: StatefulSet
    claim: PersistentVolumeClaim
    asked: str
    template: str

    @property
    def drift(self) -> Drift:
        """In which direction."""
        return Drift.LARGER if quantity_bytes(self.asked) > quantity_bytes(self.template) else Drift.SMALLER


@check(
    "stateful.claim-size",
    title="Claims of StatefulSets are as large as their templates say",
    severity=Severity.MEDIUM,
    workloads=STATEFUL_WORKLOADS,
    reads=(StatefulSet, PersistentVolumeClaim),
    aliases=("STS-005",),
)
def claim_size(facts: Facts, params: ScopeParameters) -> Iterator[Finding]:
    """A claim template is what the next pod gets, so it must be as large as the claims that exist.

    ## What it checks
    `spec.resources.requests.storage` of every claim of a StatefulSet's present pods equals the size in the entry of
    `volumeClaimTemplates` that it was made from, in either direction. Claims are found by their names,
    `template-statefulset-ordinal`; those of pods that were scaled away are not judged.

    For a StatefulSet of one pod a larger claim is a warning: there is no next pod, until the claim has to be made anew.

    ## Why it matters
    Templates cannot be changed, so disks are grown claim by claim and the template keeps the old size. The next broker
    or DataNode that is added, or the one whose claim is made anew, gets a disk that its share of the data does not fit
    on. Claims smaller than the template were forgotten when the StatefulSet was made again: the first full disk stops
    its pod while the others have room.

    ## How to fix
    To correct the template, delete the StatefulSet without its pods and create it again with the right size:

        kubectl get statefulset NAME -n NAMESPACE -o yaml > statefulset.yaml
        kubectl delete statefulset NAME -n NAMESPACE --cascade=orphan
        kubectl apply -f statefulset.yaml   # after the storage size in it was changed

    Where an operator or a chart makes the StatefulSet, set the size there. To grow a claim, patch its request; its
    StorageClass must allow expansion.

    ## References
    - [StatefulSet: volume claim templates](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#volume-claim-templates)
    - [Volume expansion for StatefulSets](https://github.com/kubernetes/kubernetes/issues/68737)
    - [Stackable HDFS: scaling and storage](https://docs.stackable.tech/home/stable/hdfs/usage-guide/scaling/)
    - [Expanding persistent volume claims](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims)
    """
    sets = data_sets(facts, params)
    if not sets:
        yield no_data_sets()
        return
    judged, drifted = _compared(facts, sets)
    groups: defaultdict[tuple[Status, Drift], list[Drifted]] = defaultdict(list)
    for found in drifted:
        alone = found.drift is Drift.LARGER and found.stateful_set.replicas <= 1
        groups[Status.WARN if alone else Status.FAIL, found.drift].append(found)
    for (status, drift), group in sorted(groups.items(), key=lambda item: item[0]):
        yield _of_other_size(status, drift, group)
    faulty = {full_name(found.stateful_set) for found in drifted}
    others = [s for s in judged if full_name(s) not in faulty]
    if others:
        yield Finding.ok(
            f"{sets_named(others)}: every claim is as large as its template says.",
            subjects=[stateful_set.subject for stateful_set in others],
        )
    elif not judged:
        yield Finding.skip("No StatefulSet that keeps data has claims made from a template with a size.")


def _compared(facts: Facts, sets: Sequence[StatefulSet]) -> tuple[list[StatefulSet], list[Drifted]]:
    """The StatefulSets of which claims were found, and the claims that differ."""
    judged: dict[str, StatefulSet] = {}
    drifted = []
    for stateful_set in sets:
        for claim, asked, template in _sizes(facts, stateful_set):
            judged[full_name(stateful_set)] = stateful_set
            if quantity_bytes(asked) != quantity_bytes(template):
                drifted.append(Drifted(stateful_set, claim, asked, template))
    return list(judged.values()), drifted


def _sizes(facts: Facts, stateful_set: StatefulSet) -> Iterator[tuple[PersistentVolumeClaim, str, str]]:
    """Each claim of the present pods, its size, and the size in its template."""
    for template in stateful_set.spec.volume_claim_templates or ():
        for pod in stateful_set.pod_names:
            name = stateful_set.claim_name(template, pod)
            claim = facts.get(PersistentVolumeClaim, name, namespace=stateful_set.namespace)
            if claim is None or claim.spec.resources is None or template.spec.resources is None:
                continue
            asked = (claim.spec.resources.requests or {}).get("storage")
            wanted = (template.spec.resources.requests or {}).get("storage")
            if asked is not None and wanted is not None:
                yield claim, asked, wanted


def _of_other_size(status: Status, drift: Drift, found: Sequence[Drifted]) -> Finding:
    sets = list({full_name(each.stateful_set): each.stateful_set for each in found}.values())
    first = found[0]
    size = f"{full_name(first.claim)} asks for {first.asked}, its template for {first.template}"
    if drift is Drift.LARGER:
        message = (
            f"{sets_named(sets)}: claims are larger than their template ({size}); the next claim will be too small."
        )
        fix = Fix(text="Delete the StatefulSet with --cascade=orphan and create it again with the claims' size.")
    else:
        message = f"{sets_named(sets)}: claims are smaller than their template ({size}); equal sizes were expected."
        fix = Fix(
            text="Let the claims grow to the template's size.",
            command=commands(_growth(each) for each in found),
        )
    sizes = {full_name(each.claim): {"claim": each.asked, "template": each.template} for each in found}
    return Finding.of(
        status,
        message,
        subjects=[stateful_set.subject for stateful_set in sets],
        fix=fix,
        evidence={"claims": len(found), "examples": examples(sizes)},
    )


def _growth(found: Drifted) -> str:
    patch = f'{{"spec":{{"resources":{{"requests":{{"storage":"{found.template}"}}}}}}}}'
    return f"kubectl patch persistentvolumeclaim {_in_namespace(found.claim)} --patch {shlex.quote(patch)}"
