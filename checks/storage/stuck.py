"""Is anything stuck between a claim and the disk at its pod's node?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, check, threshold
from auditor.facts.kube import Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass
from auditor.facts.kube.storage import VolumeAttachment
from auditor.facts.times import age_at_collection

from .._wording import counted, examples, full_name, full_names, listed
from ._ages import ageless, by_age
from ._classes import WORKLOADS_WITH_VOLUMES
from ._pending import judge_pending


class StuckParameters(Parameters, frozen=True, kw_only=True):
    """How long something may take before it counts as stuck."""

    stuck_minutes: Annotated[
        int,
        threshold(
            "Minutes after which a claim with a pod, an attachment or a detachment counts as stuck.",
            source="No upstream number; Kubernetes detaches by force after 6 minutes, and this leaves some more.",
            ge=1,
        ),
    ] = 10

    @property
    def limit(self) -> timedelta:
        """The same as a span of time."""
        return timedelta(minutes=self.stuck_minutes)


@check(
    "storage.stuck-volumes",
    title="No claim, volume or attachment is stuck",
    severity=Severity.HIGH,
    workloads=WORKLOADS_WITH_VOLUMES,
    reads=(PersistentVolume, VolumeAttachment, Node, PersistentVolumeClaim, Pod, StorageClass),
    aliases=("STO-018",),
)
def stuck_volumes(facts: Facts, params: StuckParameters) -> Iterator[Finding]:
    """What storage does not finish today, it will not finish for a broker tomorrow.

    ## What it checks
    - No PersistentVolume is in the phase Failed, and no claim in the phase Lost.
    - No VolumeAttachment reports an error for longer than `stuck_minutes`; a younger one is a warning, since a volume
      that moves may be refused until its old node has let go.
    - No VolumeAttachment has been waiting to be deleted for longer than `stuck_minutes`, and none that is older belongs
      to a node that does not exist (a warning, since it takes Kubernetes minutes to notice).
    - No claim that a pod wants is Pending for longer than `stuck_minutes`, counted from the younger of claim and pod. A
      claim whose class waits for its first pod counts once the scheduler has chosen a node for it, or has said that
      volumes are why it finds none; a pod that waits for CPU, a quota or a gate is no matter of storage.

    Claims that no running or waiting pod wants are left alone. Volumes in the phase Released, kept by their policy
    after their claim was deleted, are told as information.

    ## Why it matters
    A claim that stays Pending, or a disk that stays with a machine that is gone, is a broker or DataNode that does not
    come back: the partition has one replica less until somebody looks. It is also the sign that a driver, its quota or
    its credentials are broken for everybody who comes next.

    ## How to fix
    The events name the reason: quota of the cloud, no driver, no room, a disk that is still attached elsewhere.

        kubectl describe pvc -n NAMESPACE NAME
        kubectl get volumeattachments

    Delete a VolumeAttachment of a node that is gone only when its machine is surely off.

    ## References
    - [Persistent volumes: lifecycle](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#lifecycle-of-a-volume-and-claim)
    - [Non-graceful node shutdown](https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown)
    - [Amazon EBS: 6-minute delays in attaching volumes](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/faq.md)
    - [Longhorn: attachments of a node that is gone](https://github.com/longhorn/longhorn/issues/5345)
    """
    calm = True
    for finding in _judge(facts, params):
        calm = calm and finding.status in (Status.OK, Status.SKIP)
        yield finding
    if calm:
        yield Finding.ok(
            f"Nothing is stuck among {counted(len(facts.list(PersistentVolume)), 'volume')}, "
            f"{counted(len(facts.list(PersistentVolumeClaim)), 'claim')} and "
            f"{counted(len(facts.list(VolumeAttachment)), 'attachment')}."
        )


def _judge(facts: Facts, params: StuckParameters) -> Iterator[Finding]:
    yield from _judge_volumes(facts.list(PersistentVolume))
    yield from _judge_attachments(facts, params)
    claims = sorted(facts.list(PersistentVolumeClaim), key=full_name)
    yield from _judge_lost([claim for claim in claims if claim.status.phase == "Lost"])
    yield from judge_pending(facts, claims, params.limit)


def _judge_volumes(volumes: Sequence[PersistentVolume]) -> Iterator[Finding]:
    if failed := sorted((v for v in volumes if v.status.phase == "Failed"), key=full_name):
        yield Finding.fail(
            f"In the phase Failed: {counted(len(failed), 'PersistentVolume')} ({full_names(failed)}), whose disk could "
            "not be removed.",
            subjects=[volume.subject for volume in failed],
            fix="Look at the events of the volume and at its disk, remove the disk, then delete the volume.",
            command=f"kubectl describe pv {failed[0].name}",
            evidence=examples({v.name: v.status.message or v.status.reason or "no reason given" for v in failed}),
        )
    if released := sorted((v for v in volumes if v.status.phase == "Released"), key=full_name):
        yield Finding.ok(
            f"In the phase Released: {counted(len(released), 'PersistentVolume')} ({full_names(released)}), kept by "
            "the reclaim policy after the claim was deleted; for information only.",
            subjects=[volume.subject for volume in released],
        )


def _judge_attachments(facts: Facts, params: StuckParameters) -> Iterator[Finding]:
    attachments = sorted(facts.list(VolumeAttachment), key=full_name)
    leaving = [each for each in attachments if each.metadata.deletion_timestamp is not None]
    staying = [each for each in attachments if each.metadata.deletion_timestamp is None]
    yield from _judge_refused(facts, [each for each in staying if each.status.attach_error], params)
    yield from _judge_leaving(facts, leaving, params)
    orphans = [each for each in staying if facts.get(Node, each.spec.node_name) is None]
    yield from _judge_orphans(facts, orphans, params)


def _judge_refused(facts: Facts, refused: list[VolumeAttachment], params: StuckParameters) -> Iterator[Finding]:
    """Attachments that report an error. One that is attached has left its error behind."""
    aged = by_age(((each, _age(facts, each)) for each in refused if not each.status.attached), params.limit)
    for speak, some in ((Finding.fail, aged.old), (Finding.warn, aged.young)):
        if some:
            yield speak(
                f"{_volumes_of(some)} cannot be attached: the driver reports an error.",
                subjects=[each.subject for each in some],
                fix="Look at the error: detach the volume from its old node, or raise the limit that it names.",
                command=f"kubectl describe volumeattachment {some[0].name}",
                evidence=_seen(some),
            )
    if aged.ageless:
        yield ageless("stayed unattached", aged.ageless)


def _judge_leaving(facts: Facts, leaving: list[VolumeAttachment], params: StuckParameters) -> Iterator[Finding]:
    aged = by_age(
        ((each, age_at_collection(facts, each.metadata.deletion_timestamp)) for each in leaving), params.limit
    )
    if aged.old:
        yield Finding.fail(
            f"{_volumes_of(aged.old)} has been waiting to be detached for more than "
            f"{counted(params.stuck_minutes, 'minute')}: no other node can attach it.",
            subjects=[each.subject for each in aged.old],
            fix="Look at the log of the driver's controller; where the machine is surely off, taint its node "
            "node.kubernetes.io/out-of-service.",
            command=f"kubectl describe volumeattachment {aged.old[0].name}",
            evidence=_seen(aged.old),
        )
    if aged.ageless:
        yield ageless("waited to be detached", aged.ageless)


def _judge_orphans(facts: Facts, orphans: list[VolumeAttachment], params: StuckParameters) -> Iterator[Finding]:
    """Attachments to nodes that do not exist. A young one may be that of a node which joined during the collection."""
    aged = by_age(((each, _age(facts, each)) for each in orphans), params.limit)
    if aged.old:
        yield Finding.warn(
            f"{_volumes_of(aged.old)} is still attached although its node does not exist: no other node can attach it.",
            subjects=[each.subject for each in aged.old],
            fix="Wait the 6 minutes of a forced detachment; delete the VolumeAttachment if it stays after that and the "
            "machine is surely off.",
            command=f"kubectl describe volumeattachment {aged.old[0].name}",
            evidence=_seen(aged.old),
        )
    if aged.ageless:
        yield ageless("stayed at a node that does not exist", aged.ageless)


def _age(facts: Facts, attachment: VolumeAttachment) -> timedelta | None:
    return age_at_collection(facts, attachment.metadata.creation_timestamp)


def _judge_lost(lost: Sequence[PersistentVolumeClaim]) -> Iterator[Finding]:
    if lost:
        yield Finding.fail(
            f"In the phase Lost: {counted(len(lost), 'claim')} ({full_names(lost)}), whose volume does not exist.",
            subjects=[claim.subject for claim in lost],
            fix="Restore the volume from a backup under its old name, or delete the claim and its pod.",
            evidence=examples({full_name(claim): {"volume": claim.spec.volume_name} for claim in lost}),
        )


def _volumes_of(attachments: Sequence[VolumeAttachment]) -> str:
    """``Volume pvc-1 at node n1``, ``Each of 2 volumes (pvc-1 at node n1 and pvc-2 at node n2)``."""
    places = [
        f"{each.spec.source.persistent_volume_name or each.name} at node {each.spec.node_name}" for each in attachments
    ]
    return f"Volume {places[0]}" if len(places) == 1 else f"Each of {len(places)} volumes ({listed(places)})"


def _seen(attachments: Sequence[VolumeAttachment]) -> dict[str, object]:
    return examples(
        {
            each.name: {
                "volume": each.spec.source.persistent_volume_name,
                "node": each.spec.node_name,
                "driver": each.spec.attacher,
                "error": _error(each),
            }
            for each in attachments
        }
    )


def _error(attachment: VolumeAttachment) -> str | None:
    error = attachment.status.detach_error or attachment.status.attach_error
    return error.message if error is not None else None
