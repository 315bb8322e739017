"""The sandbox: one namespace per run, in which everything is marked, limited, waited for with reasons, and removed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar

from auditor.cluster import Manifest, ObjectError, Objects
from auditor.facts.kube import Namespace, Pod, ResourceQuota
from auditor.facts.parts import Api
from auditor.sandbox import labels
from auditor.sandbox.diagnosis import diagnose
from auditor.sandbox.kinds import KINDS
from auditor.sandbox.settings import SandboxSettings
from auditor.sandbox.trouble import Trouble, TroubleError
from auditor.sandbox.zipapp import agent_config_map

T = TypeVar("T")

_FIRST_LOOK_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_ACCOUNT_SECONDS = 15.0
"""The controller manager makes a new namespace's default account, without which no pod is admitted."""


class StoppedError(Exception):
    """The run is being ended; what waits must give up."""


class PodBudget:
    """How many pods there may be at one time over all probes."""

    def __init__(self, pods: int) -> None:
        self.pods = pods
        self._free = pods
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pods: int) -> Iterator[None]:
        """Wait until so many are free, and hold them. More than there are at all counts as all."""
        pods = min(pods, self.pods)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pods)
            self._free -= pods
        try:
            yield
        finally:
            with self._changed:
                self._free += pods
                self._changed.notify_all()


class Sandbox:
    """Where one run's probes and benchmarks live.

    Attributes:
        objects: the cluster's objects.
        settings: what the site decides about pods.
        run_id: marks everything that is created.
        namespace: where it is created.
        probe: the probe or benchmark that this view of the sandbox belongs to.
        budget: of pods, shared by all views.
    """

    def __init__(
        self,
        objects: Objects,
        settings: SandboxSettings,
        *,
        run_id: str,
        expires_at: datetime,
        stop: threading.Event | None = None,
    ) -> None:
        self.objects = objects
        self.settings = settings
        self.run_id = run_id
        self.expires_at = expires_at
        self.namespace = settings.namespace or f"auditor-{run_id}"
        self.probe = ""
        self.budget = PodBudget(settings.pods_at_once)
        self._stop = stop or threading.Event()

    def for_probe(self, probe: str) -> Self:
        """The same sandbox, as one probe sees it."""
        view = copy(self)
        view.probe = probe
        return view

    def begin(self, manifests: Sequence[Manifest]) -> None:
        """Make the namespace, its limits and the agent.

        Args:
            manifests: of :func:`housing`.

        Raises:
            ObjectError: one was refused.
        """
        for manifest in manifests:
            self.create(manifest)

    def name(self, stem: str) -> str:
        """A name of this run's own, at most 63 characters of a DNS label."""
        return f"{stem[:50]}-{self.run_id}"

    def marks(self) -> dict[str, str]:
        """The labels of everything that is created."""
        return labels.marks(self.run_id, expires_at=self.expires_at, probe=self.probe)

    def stamped(self, manifest: Manifest) -> Manifest:
        """The manifest as it is sent: marked, and in the sandbox's namespace where its kind has one."""
        api = KINDS.get(manifest["kind"])
        metadata: dict[str, Any] = dict(manifest.get("metadata", {}))
        metadata["labels"] = {**metadata.get("labels", {}), **self.marks()}
        if api is None or api.namespaced:
            metadata.setdefault("namespace", self.namespace)
        return {**manifest, "metadata": metadata}

    def create(self, manifest: Manifest, *, api: Api | None = None, version: str | None = None) -> Manifest:
        """Make an object. What pods of templates get is the template's own business; see :meth:`marks`.

        Args:
            manifest: with a name; labels and namespace are added.
            api: where its kind is served, for kinds that the sandbox does not know.
            version: where it is not the first of the api's.

        Raises:
            ObjectError: it was refused.
        """
        deadline = time.monotonic() + _ACCOUNT_SECONDS
        stamped = self.stamped(manifest)
        while True:
            self.check()
            try:
                return self.objects.create(api or KINDS[manifest["kind"]], stamped, version=version)
            except ObjectError as error:
                if "error looking up service account" not in error.reason or time.monotonic() > deadline:
                    raise
                time.sleep(_FIRST_LOOK_SECONDS)

    def get(self, kind: str, name: str) -> Manifest | None:
        """An object by kind and name, in the sandbox's namespace where its kind has one."""
        api = KINDS[kind]
        return self.objects.get(api, name, namespace=self.namespace if api.namespaced else None)

    def list(self, kind: str, *, labels: str = "", fields: str = "") -> Sequence[Manifest]:
        """Objects of a kind in the sandbox's namespace, those of other runs and owners included."""
        return self.objects.list(KINDS[kind], namespace=self.namespace, labels=labels, fields=fields)

    def patch(self, kind: str, name: str, change: Mapping[str, Any], *, subresource: str = "") -> Manifest:
        """Change an object, as a merge patch."""
        api = KINDS[kind]
        namespace = self.namespace if api.namespaced else None
        return self.objects.patch(api, name, change, namespace=namespace, subresource=subresource)

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> bool:
        """Remove an object; False where it is gone already."""
        api = KINDS[kind]
        namespace = self.namespace if api.namespaced else None
        return self.objects.delete(api, name, namespace=namespace, grace_seconds=grace_seconds)

    def log(self, pod: str, *, tail_lines: int | None = None) -> str:
        """What a pod has written so far."""
        return self.objects.log(Pod.api, pod, namespace=self.namespace, tail_lines=tail_lines)

    def check(self) -> None:
        """Give up if the run is being ended.

        Raises:
            StoppedError: it is.
        """
        if self._stop.is_set():
            raise StoppedError

    def pause(self, seconds: float) -> None:
        """Sleep, unless the run is being ended.

        Raises:
            StoppedError: it is.
        """
        if self._stop.wait(seconds):
            raise StoppedError

    def wait_for(
        self,
        what: str,
        look: Callable[[], T | None],
        *,
        seconds: float | None = None,
        concerning: tuple[str, str] | None = None,
    ) -> T:
        """Look again and again until there is something.

        Args:
            what: is waited for, as a message says it: "the claim data-x is bound".
            look: gives what was waited for, or None; it may raise :class:`TroubleError` to give up at once.
            seconds: the deadline; the settings' patience where it is not given.
            concerning: kind and name of the object whose state explains a delay.

        Raises:
            TroubleError: the deadline passed; it says why.
            ObjectError: looking was refused.
            StoppedError: the run is being ended.
        """
        seconds = self.settings.patience_seconds if seconds is None else seconds
        started = time.monotonic()
        pause_seconds = _FIRST_LOOK_SECONDS
        while True:
            found = look()
            if found is not None:
                return found
            waited = time.monotonic() - started
            if waited >= seconds:
                raise TroubleError(self.trouble(what, waited, concerning))
            self.pause(min(pause_seconds, max(seconds - waited, 0.01)))
            pause_seconds = min(1.5 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def trouble(self, what: str, waited_seconds: float, concerning: tuple[str, str] | None = None) -> Trouble:
        """Why something did not come about in time."""
        expected = f"{what}: not within {waited_seconds:.0f} s"
        if concerning is None:
            return Trouble(reason="Timeout", message=expected, seconds=waited_seconds)
        return diagnose(self, expected, waited_seconds, *concerning)


def housing(sandbox: Sandbox, *, storage_bytes: int, pods: int, load_balancers: int = 0) -> list[Manifest]:
    """The namespace and its quota, unless an existing namespace is used, and the agent that pods run.

    Args:
        sandbox: whose.
        storage_bytes: that all claims may ask for together.
        pods: that there may be at one time.
        load_balancers: Services of that type.
    """
    agent = agent_config_map(sandbox)
    if sandbox.settings.namespace:
        return [agent]
    own = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    hard = {
        "pods": str(pods),
        "requests.storage": str(storage_bytes),
        "services.loadbalancers": str(load_balancers),
        "services.nodeports": str(load_balancers * 4),
    }
    return [
        {
            "apiVersion": "v1",
            "kind": Namespace.api.kind,
            "metadata": {"name": sandbox.namespace, "labels": own},
        },
        {
            "apiVersion": "v1",
            "kind": ResourceQuota.api.kind,
            "metadata": {"name": "auditor"},
            "spec": {"hard": hard},
        },
        agent,
    ]


def is_conflict(error: ObjectError) -> bool:
    """Whether there is an object of that name already, or it changed meanwhile."""
    return error.status == HTTPStatus.CONFLICT
