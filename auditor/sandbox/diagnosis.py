"""Why a pod does not run or a claim is not bound, told from events, conditions and last log lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Pod
from auditor.sandbox.kinds import EVENT, KINDS
from auditor.sandbox.trouble import Trouble

if TYPE_CHECKING:
    from auditor.sandbox.space import Sandbox

_SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""An annotation of claims that wait for their first pod, written by the scheduler."""

_EVENTS_AT_MOST = 8
_LOG_LINES = 10

_REASON_OF_EVENT = {
    "FailedScheduling": "Unschedulable",
    "ProvisioningFailed": "UnboundClaim",
    "ExternalProvisioning": "UnboundClaim",
    "WaitForFirstConsumer": "UnboundClaim",
    "FailedMount": "Mount",
    "FailedAttachVolume": "Attach",
    "Failed": "Container",
    "BackOff": "Container",
    "Evicted": "Evicted",
    "FailedCreate": "Refused",
    "FailedCreatePodSandBox": "PodNetwork",
    "VolumeResizeFailed": "Resize",
    "VolumeModifyFailed": "Modify",
    "SnapshotCreationFailed": "Snapshot",
}
_REASON_OF_WAITING = {
    "ImagePullBackOff": "ImagePull",
    "ErrImagePull": "ImagePull",
    "ErrImageNeverPull": "ImagePull",
    "InvalidImageName": "ImagePull",
    "CrashLoopBackOff": "Crashed",
    "CreateContainerConfigError": "Container",
    "CreateContainerError": "Container",
    "RunContainerError": "Container",
}


def diagnose(sandbox: Sandbox, expected: str, waited_seconds: float, kind: str, name: str) -> Trouble:
    """What the cluster says of an object that did not get where it should.

    Args:
        sandbox: where it lives.
        expected: what was waited for.
        waited_seconds: for how long.
        kind: of the object.
        name: of the object.
    """
    found = _quietly(lambda: sandbox.get(kind, name))
    events = _events(sandbox, name)
    if found is None:
        reason, said = "Missing", f"there is no {kind} {name}"
    elif kind == Pod.api.kind:
        reason, said = _pod(sandbox, found)
    else:
        reason, said = _other(found)
    if not said and events:
        last = events[-1]
        reason, said = _REASON_OF_EVENT.get(last["reason"], reason), last.get("message", "")
    return Trouble(
        reason=reason or "Timeout",
        message=f"{expected}; {said}" if said else expected,
        seconds=waited_seconds,
        events=tuple(f"{event.get('reason')}: {event.get('message', '')}" for event in events),
        log_tail=_log_tail(sandbox, name) if kind == Pod.api.kind and found is not None else (),
    )


def _pod(sandbox: Sandbox, pod: Manifest) -> tuple[str, str]:
    status = pod.get("status", {})
    for container in _containers(status):
        state = container.get("state", {})
        waiting = state.get("waiting", {})
        if waiting.get("reason") in _REASON_OF_WAITING:
            said = waiting.get("message") or waiting["reason"]
            return _REASON_OF_WAITING[waiting["reason"]], f"container {container['name']}: {said}"
        ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
        if ended and ended.get("exitCode"):
            reason = ended.get("reason", "Error")
            return "Crashed", f"container {container['name']} ended with {ended['exitCode']} ({reason})"
    if status.get("phase") == "Failed":
        return status.get("reason") or "Failed", status.get("message", "the pod failed")
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return _unscheduled(sandbox, pod, condition)
    if status.get("phase") == "Pending" and not status.get("conditions"):
        return _waits_for_volume(sandbox, pod) or ("Unscheduled", "no scheduler has looked at the pod")
    return "", ""


def _waits_for_volume(sandbox: Sandbox, pod: Manifest) -> tuple[str, str] | None:
    """Where the scheduler has chosen a node and waits for a volume there, which it does not write into the pod."""
    for volume in pod.get("spec", {}).get("volumes", ()):
        name = volume.get("persistentVolumeClaim", {}).get("claimName")
        claim = (_quietly(lambda claim=name: sandbox.get("PersistentVolumeClaim", claim)) if name else None) or {}
        node = (claim.get("metadata", {}).get("annotations") or {}).get(_SELECTED_NODE)
        if node and claim["status"].get("phase") != "Bound":
            said = [event["message"] for event in _events(sandbox, name) if event.get("message")]
            return "UnboundClaim", f"claim {name} has no volume on node {node} yet{': ' + said[-1] if said else ''}"
    return None


def _unscheduled(sandbox: Sandbox, pod: Manifest, condition: dict[str, Any]) -> tuple[str, str]:
    message = condition.get("message", "")
    if "unbound immediate PersistentVolumeClaims" in message or "PersistentVolumeClaim" in message:
        for volume in pod.get("spec", {}).get("volumes", ()):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            said = [event["message"] for event in _events(sandbox, claim) if event.get("message")] if claim else []
            if said:
                return "UnboundClaim", f"{message}; claim {claim}: {said[-1]}"
        return "UnboundClaim", message
    return condition.get("reason") or "Unschedulable", message


def _other(found: Manifest) -> tuple[str, str]:
    status = found.get("status", {})
    conditions = [c for c in status.get("conditions", ()) if c.get("message")]
    if conditions:
        return conditions[-1].get("reason") or conditions[-1]["type"], conditions[-1]["message"]
    error = status.get("error", {}).get("message")
    if error:
        return "Error", error
    return ("UnboundClaim" if found.get("kind") == "PersistentVolumeClaim" else ""), ""


def _containers(status: dict[str, Any]) -> Iterable[dict[str, Any]]:
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def _events(sandbox: Sandbox, name: str) -> list[Manifest]:
    """The events of an object, oldest first; none where they may not be read."""
    listed = _quietly(
        lambda: sandbox.objects.list(
            KINDS[EVENT.kind], namespace=sandbox.namespace, fields=f"involvedObject.name={name}"
        )
    )
    return sorted(listed or (), key=_when)[-_EVENTS_AT_MOST:]


def _when(event: Manifest) -> str:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return stamp or ""


def _log_tail(sandbox: Sandbox, pod: str) -> tuple[str, ...]:
    text = _quietly(lambda: sandbox.log(pod, tail_lines=_LOG_LINES))
    return tuple((text or "").splitlines())


def _quietly(ask: Any) -> Any:
    """What an explanation may do without: it must not become a second error."""
    try:
        return ask()
    except ObjectError:
        return None
