"""Pods that do nothing, where they may go, and when they got there by the observer's own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import msgspec

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Node, Pod
from auditor.facts.observations import Cause
from auditor.sandbox import Sandbox
from auditor.sandbox.causes import cause_of, refusal
from auditor.sandbox.diagnosis import diagnose
from auditor.sandbox.pods import container, pod
from auditor.sandbox.scope import Scope

from ..nodes import choose

NODES_AT_MOST = 20
"""Each gets a pod before the burst, so that its image is there."""

GROUP = "cluster-readiness-auditor/group"
"""Label of the pods of one experiment."""

_AT_ONCE = 16
_GONE_SECONDS = 60.0
_GRACE_SECONDS = 1


@dataclass(slots=True)
class Life:
    """When a pod was seen to do something, in seconds of the observer's monotonic clock.

    Attributes:
        scheduled: a node was named.
        started: all of its containers ran.
        gone: it was told to go, or was gone.
        node: that was named.
    """

    scheduled: float | None = None
    started: float | None = None
    gone: float | None = None
    node: str = ""


class Watch:
    """Notes what becomes of the pods of a group, as it happens; a context.

    Args:
        sandbox: where they live.
        group: the value of their label.
        seconds: after which it ends by itself.
    """

    def __init__(self, sandbox: Sandbox, group: str, seconds: float) -> None:
        self._sandbox = sandbox
        self._group = group
        self._seconds = seconds
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._lives: dict[str, Life] = {}
        self._error: ObjectError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._sandbox.pause(0.2)  # let it begin before the first pod is there
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()  # the next event, or the deadline, ends the thread

    def life(self, name: str) -> Life:
        """What is known of a pod so far.

        Raises:
            ObjectError: the account may not watch pods.
        """
        if self._error is not None:
            raise self._error
        with self._lock:
            return replace(self._lives.get(name, Life()))

    def wait(self, names: Iterable[str], what: Callable[[Life], object], *, seconds: float) -> bool:
        """Whether something became true of all of these pods in time."""
        waiting, deadline = set(names), time.monotonic() + seconds
        while True:
            waiting = {name for name in waiting if not what(self.life(name))}
            if not waiting or time.monotonic() > deadline:
                return not waiting
            self._sandbox.pause(0.05)

    def _run(self) -> None:
        sandbox = self._sandbox
        try:
            for kind, manifest in sandbox.objects.watch(
                Pod.api, namespace=sandbox.namespace, labels=f"{GROUP}={self._group}", seconds=self._seconds
            ):
                if self._ended.is_set():
                    return
                self._note(kind, manifest, time.monotonic())
        except ObjectError as error:
            self._error = error

    def _note(self, kind: str, manifest: Manifest, now: float) -> None:
        with self._lock:
            life = self._lives.setdefault(manifest["metadata"]["name"], Life())
            if kind == "DELETED" or "deletionTimestamp" in manifest["metadata"]:
                life.gone = life.gone or now
            if kind == "DELETED":
                return
            if node := manifest["spec"].get("nodeName"):
                life.node, life.scheduled = node, life.scheduled or now
            containers = manifest.get("status", {}).get("containerStatuses", ())
            if containers and all("running" in each.get("state", {}) for each in containers):
                life.started = life.started or now


@dataclass(slots=True)
class Created:
    """When pods were asked for, and why some were refused."""

    at: dict[str, float] = field(default_factory=dict)
    refused: dict[str, Cause] = field(default_factory=dict)


def chosen_nodes(sandbox: Sandbox, scope: Scope) -> list[Node]:
    """The nodes on which the probe's pods may run: a few of each kind and zone."""
    wanted = sandbox.settings.node_selector.items()
    fitting = [node for node in scope.nodes if wanted <= node.labels.items()]
    at_most = min(NODES_AT_MOST, sandbox.settings.pods_at_once, scope.options.visited_nodes)
    few = msgspec.structs.replace(scope.options, visited_nodes=at_most)
    return choose(replace(scope, nodes=fitting, options=few), sandbox.settings.tolerations)[0]


def only_on(names: Iterable[str]) -> Manifest:
    """Affinity to any of these nodes, by their names: no node autoscaler can make another of that name."""
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]} for name in names]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def sleeper(
    sandbox: Sandbox,
    name: str,
    group: str,
    nodes: Sequence[str],
    *,
    millicores: int = 1,
    priority_class: str = "",
    labels: Mapping[str, str] | None = None,
    affinity: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """A pod that does nothing.

    Args:
        sandbox: where it will live.
        name: before the run's id.
        group: of the experiment.
        nodes: on which it may run.
        millicores: that it asks for.
        priority_class: in place of the site's.
        labels: beside the marks and the group's.
        affinity: in place of the one to these nodes.
        spec: what :func:`auditor.sandbox.pods.pod` takes.
    """
    images = sandbox.settings.images
    sleeping = container(
        "sleep",
        images.for_agent,
        ["sleep", "3600"],
        pull_policy=images.pull_policy,
        cpu=f"{millicores}m",
        memory="8Mi",
        cpu_limit=f"{max(millicores, 100)}m",
        memory_limit="64Mi",
    )
    if priority_class:
        spec["priorityClassName"] = priority_class
    return pod(
        sandbox,
        name=sandbox.name(name),
        containers=[sleeping],
        labels={GROUP: group, **(labels or {})},
        affinity=affinity or only_on(nodes),
        grace_seconds=_GRACE_SECONDS,
        **spec,
    )


def create_all(sandbox: Sandbox, manifests: Sequence[Manifest], *, at_once: int = _AT_ONCE) -> Created:
    """Create pods, several at a time; what admission refuses is noted.

    Raises:
        ObjectError: the account lacks the right.
    """
    created = Created()

    def one(manifest: Manifest) -> None:
        name = manifest["metadata"]["name"]
        asked = time.monotonic()
        try:
            sandbox.create(manifest)
        except ObjectError as error:
            if error.missing_permission:
                raise
            created.refused[name] = cause_of(refusal(error))
        else:
            created.at[name] = asked

    with ThreadPoolExecutor(max_workers=at_once) as pool:
        list(pool.map(one, manifests))
    return created


def remove_all(sandbox: Sandbox, names: Iterable[str], *, group: str) -> None:
    """Remove pods and wait until they are gone; what is left then goes with the sandbox."""
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        list(pool.map(lambda name: _removed(sandbox, name), names))
    deadline = time.monotonic() + _GONE_SECONDS
    while sandbox.list(Pod.api.kind, labels=f"{GROUP}={group}") and time.monotonic() < deadline:
        sandbox.pause(0.5)


def why_not(sandbox: Sandbox, name: str, waited_seconds: float) -> Cause:
    """Why a pod did not start."""
    return cause_of(diagnose(sandbox, "a pod that does nothing did not start", waited_seconds, Pod.api.kind, name))


def _removed(sandbox: Sandbox, name: str) -> None:
    try:
        sandbox.delete(Pod.api.kind, name, grace_seconds=_GRACE_SECONDS)
    except ObjectError as error:
        if error.missing_permission:
            raise
