"""The life of one volume: claimed, mounted, written, grown, moved to another node, deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Node, PersistentVolume, PersistentVolumeClaim, Pod
from auditor.facts.observations import Cause
from auditor.facts.observations.storage import LOST, NO_SUCH_ABILITY, NODE_BOUND, ONE_NODE
from auditor.facts.quantity import parse_quantity
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.agent_pods import finished, results, started

from ..._provisioners import NODE_LOCAL, UNLIMITED_SIZE, matches
from . import _objects as objects
from ._choice import Chosen, zone_with_company
from ._steps import Detail, FailedError, NotDoneError

CLAIM, POD = PersistentVolumeClaim.api.kind, Pod.api.kind

CHANGE_SECONDS = 180.0
"""For a volume to grow or change, and for a pod or a volume to go, at least: clouds take minutes over it."""

TASK_SECONDS = 60.0
"""For a pod's task of reading or writing a few MiB."""

_MOUNTED = "PodReadyToStartContainers"
"""True once volumes are mounted and the pod has a network; before its images are pulled."""
_STILL_MOUNTING = {"", "ContainerCreating", "PodInitializing"}


class Life:
    """One volume, its claim, and the pod that holds it.

    Args:
        sandbox: where they live.
        chosen: the class.
        nodes: on which pods may run.
    """

    def __init__(self, sandbox: Sandbox, chosen: Chosen, nodes: Sequence[Node]) -> None:
        self.sandbox = sandbox
        self.chosen = chosen
        self.cls = chosen.cls
        self.nodes = nodes
        self.claim_name = self.name("data")
        self.pod_name = self.name("holder")
        self.node = ""
        self.sha256 = ""
        self.capacity_bytes = chosen.bytes
        self._begun = time.monotonic()
        self._pod_uid = ""
        self.is_bound = False
        self._volume: PersistentVolume | None = None

    def name(self, what: str) -> str:
        """A name for one of the class's objects."""
        return self.sandbox.name(f"storage-{self.chosen.number}-{what}")

    @property
    def longest_seconds(self) -> float:
        """For changes: the site's patience, and not less than clouds need."""
        return max(CHANGE_SECONDS, self.sandbox.settings.patience_seconds)

    def manifests(self) -> list[Manifest]:
        """The claim and the pod that the life begins with."""
        zone = zone_with_company(self.nodes, self.cls)
        return [
            objects.claim(self.sandbox, self.cls, self.claim_name, size_bytes=self.chosen.bytes),
            objects.holder(self.sandbox, self.pod_name, self.claim_name, zone=zone),
        ]

    def bind(self, detail: Detail) -> float:
        """Claim a volume and give it a pod; most classes wait for one. Counted from the claim's creation."""
        detail["asked_bytes"] = self.chosen.bytes
        self._begun = time.monotonic()
        for manifest in self.manifests():
            self.sandbox.create(manifest)
        claim = bound(self.sandbox, self.claim_name, self.pod_name)
        seconds = time.monotonic() - self._begun
        self.is_bound = True
        self.capacity_bytes = capacity_of(claim)
        detail["capacity_bytes"] = self.capacity_bytes
        self._volume = self._look_at_volume(claim["spec"]["volumeName"])
        return seconds

    def mount(self, detail: Detail) -> float:
        """Wait until the pod has its volume, counted from the claim's creation."""
        pod = self.sandbox.wait_for(
            f"the volume of claim {self.claim_name} is mounted in pod {self.pod_name}",
            lambda: _with_volumes(self.sandbox.get(POD, self.pod_name)),
            concerning=(POD, self.pod_name),
        )
        seconds = time.monotonic() - self._begun
        self._pod_uid = pod["metadata"]["uid"]
        self.node = pod["spec"].get("nodeName", "")
        detail["node"] = self.node
        detail["zone"] = next((node.zone or "" for node in self.nodes if node.name == self.node), "")
        return seconds

    def write(self, detail: Detail) -> None:
        """Wait for what the pod has written and synced."""
        started(self.sandbox, self.pod_name)
        said = self._heard("the file is written", lambda each: each["event"] == "written", TASK_SECONDS)
        self.sha256 = said["sha256"]
        detail |= {"bytes": said["bytes"], "write_seconds": said["seconds"], "size_bytes": said["size_bytes"]}

    def expand(self, detail: Detail) -> None:
        """Ask for more, and wait until claim and file system have it, in the same pod."""
        if matches(self.cls.provisioner, UNLIMITED_SIZE):
            raise NotDoneError(NO_SUCH_ABILITY, "its volumes have no size")
        since, before = time.monotonic(), self._size_bytes()
        wanted = self.capacity_bytes + self.chosen.bytes
        detail |= {"asked_bytes": wanted, "capacity_bytes": self.capacity_bytes, "size_before_bytes": before}
        request = {"spec": {"resources": {"requests": {"storage": str(wanted)}}}}
        self.sandbox.patch(CLAIM, self.claim_name, request)
        claim = self.sandbox.wait_for(
            f"claim {self.claim_name} has grown from {self.capacity_bytes} to {wanted} bytes",
            lambda: _if(capacity_of(c := self._claim()) >= wanted, c),
            seconds=self.longest_seconds,
            concerning=(CLAIM, self.claim_name),
        )
        self.capacity_bytes = capacity_of(claim)
        detail |= {"capacity_bytes": self.capacity_bytes, "capacity_seconds": round(time.monotonic() - since, 3)}
        grown = self._heard(
            f"the file system in pod {self.pod_name} has grown from {before} bytes",
            lambda each: each["size_bytes"] > before,
            TASK_SECONDS,
        )
        detail |= {"size_after_bytes": grown["size_bytes"], "same_pod": self.is_same_pod()}

    def move(self, detail: Detail) -> float:
        """Remove the pod and start another on another node, which must find the bytes."""
        others = self._other_nodes()
        detail["from_node"] = self.node
        since = time.monotonic()
        self.sandbox.delete(POD, self.pod_name)
        self._await_gone(self.pod_name)
        name = self.name("mover")
        place: dict[str, Any] = {"affinity": objects.elsewhere(self.node)}
        self.sandbox.create(objects.reader(self.sandbox, name, self.claim_name, **place))
        started(self.sandbox, name, seconds=self.longest_seconds)
        seconds = time.monotonic() - since
        [said] = finished(self.sandbox, name, seconds=TASK_SECONDS)
        pod = self.sandbox.get(POD, name) or {}
        detail |= {"to_node": pod.get("spec", {}).get("nodeName", ""), "other_nodes": len(others)}
        self.compare(said, detail)
        return seconds

    def delete(self, detail: Detail) -> None:
        """Remove pods and claim, and wait until the volume is gone."""
        for pod in (self.pod_name, self.name("mover")):
            self.sandbox.delete(POD, pod)
        self.sandbox.delete(CLAIM, self.claim_name)
        if self._volume is None:
            raise NotDoneError("Unseen", "volumes cannot be read, so that nobody sees whether one is gone")
        policy = self._volume.spec.persistent_volume_reclaim_policy or "Delete"
        detail["reclaim_policy"] = policy
        if policy != "Delete":
            raise NotDoneError(NO_SUCH_ABILITY, f"its volumes are kept, says reclaimPolicy {policy}")
        volume = self._volume.name
        self.sandbox.wait_for(
            f"volume {volume} is gone after its claim",
            lambda: _if(self.sandbox.get(PersistentVolume.api.kind, volume) is None, self.claim_name),
            seconds=self.longest_seconds,
            concerning=(PersistentVolume.api.kind, volume),
        )

    def compare(self, said: dict[str, Any], detail: Detail) -> None:
        """Whether a reader has found what was written."""
        detail["same_bytes"] = said["sha256"] == self.sha256
        if not detail["same_bytes"]:
            message = f"{said['bytes']} bytes were found, and not those that were written"
            raise FailedError(Cause(reason=LOST, message=message))

    def is_same_pod(self) -> bool:
        """Whether the pod that holds the volume is the one that it was, and still runs."""
        pod = self.sandbox.get(POD, self.pod_name) or {}
        statuses = pod.get("status", {}).get("containerStatuses", ())
        restarted = any(each.get("restartCount") for each in statuses)
        running = pod.get("status", {}).get("phase") == "Running"
        return pod.get("metadata", {}).get("uid") == self._pod_uid and running and not restarted

    def let_go(self) -> None:
        """Remove pod and claim and wait for nothing; what stays goes with the sandbox."""
        for kind, name in ((POD, self.pod_name), (CLAIM, self.claim_name)):
            quietly(lambda k=kind, n=name: self.sandbox.delete(k, n))  # type: ignore[misc]

    def _claim(self) -> Manifest:
        return self.sandbox.get(CLAIM, self.claim_name) or {}

    def _heard(self, what: str, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """The first observation of the running pod that is wanted."""

        def look() -> dict[str, Any] | None:
            said = results(_log_so_far(self.sandbox, self.pod_name))
            found = next((each for each in said if wanted(each)), None)
            if found is None:
                _raise_if_ended(self.sandbox, self.pod_name, what)
            return found

        return self.sandbox.wait_for(what, look, seconds=seconds, concerning=(POD, self.pod_name))

    def _size_bytes(self) -> int:
        """The size of the file system, as the pod last saw it."""
        return int(results(_log_so_far(self.sandbox, self.pod_name))[-1]["size_bytes"])

    def _look_at_volume(self, name: str) -> PersistentVolume | None:
        found = quietly(lambda: self.sandbox.get(PersistentVolume.api.kind, name))
        return None if found is None else msgspec.convert(found, PersistentVolume)

    def _other_nodes(self) -> list[Node]:
        """Nodes to which the volume can follow its pod.

        Raises:
            NotDoneError: there are none.
        """
        affinity = self._volume.spec.node_affinity if self._volume else None
        required = affinity.required if affinity else None
        if self._volume is None and matches(self.cls.provisioner, NODE_LOCAL):
            raise NotDoneError(NODE_BOUND, "its volumes are on the disks of their nodes")
        reach = [n for n in self.nodes if required is None or required.matches(n.labels, name=n.name)]
        others = [node for node in reach if node.name != self.node]
        if others:
            return others
        rest = [n for n in self.nodes if n.name != self.node]
        zone = next((n.zone for n in self.nodes if n.name == self.node), None)
        if matches(self.cls.provisioner, NODE_LOCAL) or any(n.zone == zone for n in rest):
            raise NotDoneError(NODE_BOUND, f"its volume can be reached from node {self.node} only")
        if not rest:
            raise NotDoneError(ONE_NODE, "the pods of this site can run on one node only")
        raise NotDoneError(ONE_NODE, f"its volume can be reached from zone {zone} only, which has one node for pods")

    def _await_gone(self, pod_name: str) -> None:
        self.sandbox.wait_for(
            f"pod {pod_name} is gone",
            lambda: _if(self.sandbox.get(POD, pod_name) is None, pod_name),
            seconds=self.longest_seconds,
            concerning=(POD, pod_name),
        )


def bound(sandbox: Sandbox, claim_name: str, pod_name: str) -> Manifest:
    """Wait until a claim is bound.

    Raises:
        TroubleError: it is not; it says what keeps the claim, or the pod that it waits for.
    """
    what = f"claim {claim_name} is bound"
    begun = time.monotonic()
    try:
        return sandbox.wait_for(what, lambda: _if_bound(sandbox.get(CLAIM, claim_name)))
    except TroubleError:
        claim = sandbox.get(CLAIM, claim_name) or {}
        chosen = claim.get("metadata", {}).get("annotations", {})
        is_with_provisioner = any(key.endswith(("selected-node", "storage-provisioner")) for key in chosen)
        concerning = (CLAIM, claim_name) if is_with_provisioner else (POD, pod_name)
        raise TroubleError(sandbox.trouble(what, time.monotonic() - begun, concerning)) from None


def capacity_of(claim: Manifest) -> int:
    """Bytes that a claim's volume has, as the claim says."""
    said = claim.get("status", {}).get("capacity", {}).get("storage", "0")
    return int(parse_quantity(said))


def quietly(do: Callable[[], Any]) -> Any:
    """What a step may do without: None where it is refused."""
    try:
        return do()
    except ObjectError:
        return None


def _if(condition: bool, found: Any) -> Any:  # noqa: FBT001  read as a sentence
    return found if condition else None


def _if_bound(claim: Manifest | None) -> Manifest | None:
    return claim if claim and claim.get("status", {}).get("phase") == "Bound" else None


def _with_volumes(pod: Manifest | None) -> Manifest | None:
    """The pod, once its volumes are mounted."""
    status = (pod or {}).get("status", {})
    if any(each["type"] == _MOUNTED and each["status"] == "True" for each in status.get("conditions", ())):
        return pod
    states = [each.get("state", {}) for each in status.get("containerStatuses", ())]
    return pod if any(_is_past_mounting(state) for state in states) else None


def _is_past_mounting(state: Manifest) -> bool:
    """Whether a container runs, has run, or waits for something that comes after its volumes."""
    return bool(state) and state.get("waiting", {"reason": "started"}).get("reason", "") not in _STILL_MOUNTING


def _log_so_far(sandbox: Sandbox, pod_name: str) -> str:
    """What a pod has said; nothing where its log is not there yet."""
    try:
        return sandbox.log(pod_name)
    except ObjectError as error:
        if error.missing_permission:
            raise
        return ""


def _raise_if_ended(sandbox: Sandbox, pod_name: str, what: str) -> None:
    """Give up on a pod that has ended: it will say nothing more."""
    pod = sandbox.get(POD, pod_name)
    if pod is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        raise TroubleError(sandbox.trouble(what, 0.0, (POD, pod_name)))
