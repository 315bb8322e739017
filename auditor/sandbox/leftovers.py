"""What could not be removed, why, and what removes it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from auditor.cluster import ObjectError, Objects
from auditor.facts.kube import Namespace, Node, PersistentVolume, Pod
from auditor.facts.parts import CORE_GROUP, Api
from auditor.sandbox.traces import VOLUMES, Trace, claimed, is_made_for_its_claim, reclaim_policy

_ATTACHMENT = Api(
    group="storage.k8s.io", versions=("v1",), plural="volumeattachments", kind="VolumeAttachment", namespaced=False
)
_HINDRANCES = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
)
"""Conditions of a namespace that say why it does not go, the first cause first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """An object of a run that could not be removed.

    Attributes:
        kind: of the object.
        name: of the object.
        namespace: None where its kind has none.
        reason: why.
        command: that would remove it.
        missing_permission: what the account lacks, where that is why.
        is_kept: whether somebody made it before the run, to be kept.
    """

    kind: str
    name: str
    namespace: str | None
    reason: str
    command: str
    missing_permission: str = ""
    is_kept: bool = False


def leftover(objects: Objects, trace: Trace, *, run_id: str, refusal: ObjectError | None) -> Leftover:
    """Why an object is still there, as far as the cluster says, and what to do.

    Args:
        objects: the cluster's.
        trace: of the object.
        run_id: of its run.
        refusal: what the last attempt to remove it met with, if anything.
    """
    lacks = (refusal and refusal.missing_permission) or ""
    is_kept = trace.api in VOLUMES and not is_made_for_its_claim(trace) and reclaim_policy(trace) == "Retain"
    reason, command = _why(objects, trace, refusal, f"auditor clean --run {run_id}")
    return Leftover(
        kind=trace.kind,
        name=trace.name,
        namespace=trace.namespace,
        reason=reason,
        command=command,
        missing_permission=lacks,
        is_kept=is_kept and not lacks,
    )


def _why(objects: Objects, trace: Trace, refusal: ObjectError | None, again: str) -> tuple[str, str]:
    """The reason and the command."""
    if refusal is not None:
        lacks = refusal.missing_permission
        return f"the account may not {lacks}" if lacks else f"it was refused: {refusal}", kubectl_delete(trace)
    if trace.kind == Namespace.api.kind:
        return _of_namespace(trace), again
    if trace.api == PersistentVolume.api:
        return _of_volume(objects, trace, again)
    if trace.api in VOLUMES and not is_made_for_its_claim(trace) and not trace.is_going:
        return "it was there before the run, and is kept as its policy says", kubectl_delete(trace)
    if trace.kind == Pod.api.kind and node_is_gone(objects, trace):
        node = trace.spec.get("nodeName")
        force = f"{kubectl_delete(trace)} --grace-period=0 --force"
        return f"its node {node} is not ready, and does not say that the pod has ended", force
    return _of_deletion(trace), again


def kubectl_delete(trace: Trace) -> str:
    """The command that removes an object."""
    return f"kubectl delete {_target(trace)}"


def node_is_gone(objects: Objects, pod: Trace) -> bool:
    """Whether a pod's node is not there, or not ready, so that nobody says that the pod has ended."""
    name = pod.spec.get("nodeName")
    if not name:
        return False
    try:
        node = objects.get(Node.api, name)
    except ObjectError:  # who cannot tell must not force
        return False
    conditions = (node or {}).get("status", {}).get("conditions", ())
    return not any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _of_namespace(trace: Trace) -> str:
    conditions = {each["type"]: each for each in trace.status.get("conditions") or ()}
    said = [
        conditions[each]["message"]
        for each in _HINDRANCES
        if conditions.get(each, {}).get("status") == "True" and conditions[each].get("message")
    ]
    return "; ".join(said) or _of_deletion(trace)


def _of_volume(objects: Objects, trace: Trace, again: str) -> tuple[str, str]:
    phase, message = trace.status.get("phase", ""), trace.status.get("message", "")
    provisioner = (trace.spec.get("csi") or {}).get("driver") or "its provisioner"
    if not is_made_for_its_claim(trace) and reclaim_policy(trace) == "Retain":
        change = shlex.quote('[{"op": "remove", "path": "/spec/claimRef"}]')
        return (
            "it was there before the run, which a claim of the run was bound to, and is kept as its policy Retain says",
            f"kubectl patch {_target(trace)} --type=json -p {change}  # after a look at what is on it",
        )
    if nodes := _attached_to(objects, trace):
        return f"it is still attached to node {nodes}; Kubernetes detaches it from a lost node after 6 min", again
    if message:
        return f"{provisioner} did not remove it: {message}", again
    if trace.is_going:
        return _of_deletion(trace), again
    claim = f"{claimed(trace).get('namespace')}/{claimed(trace).get('name')}"
    return f"it is {phase or 'of no phase'}, its claim was {claim}, and {provisioner} has not removed it", again


def _of_deletion(trace: Trace) -> str:
    finalizers = [*(trace.metadata.get("finalizers") or ()), *(trace.spec.get("finalizers") or ())]
    if not trace.is_going:
        return "it was made again, or not yet asked to go"
    if not finalizers:
        return f"it is being deleted since {trace.metadata['deletionTimestamp']}"
    return f"it is being deleted since {trace.metadata['deletionTimestamp']}, and waits for {', '.join(finalizers)}"


def _attached_to(objects: Objects, trace: Trace) -> str:
    attachments = _quietly(lambda: objects.list(_ATTACHMENT)) or []
    nodes = [
        each["spec"]["nodeName"]
        for each in attachments
        if each["spec"].get("source", {}).get("persistentVolumeName") == trace.name
    ]
    return ", ".join(sorted(nodes))


def _target(trace: Trace) -> str:
    resource = trace.api.plural if trace.api.group == CORE_GROUP else f"{trace.api.plural}.{trace.api.group}"
    place = f" -n {trace.namespace}" if trace.namespace else ""
    return f"{resource} {trace.name}{place}"


def _quietly(ask: Callable[[], Any]) -> Any:
    """What an explanation may do without."""
    try:
        return ask()
    except ObjectError:
        return None
