"""Running probes: what they will cost, side by side within the budget, and what became of each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from auditor.bundle import BundleWriter
from auditor.cluster import ApiServer, Connection, Limits, ObjectError, Objects, RequestError, discover
from auditor.cluster.requests import unreachable
from auditor.errors import ClusterError, UsageError
from auditor.facts.kube import Node, PersistentVolumeClaim, StorageClass
from auditor.facts.kube.meta import KubeObject
from auditor.facts.observations import Observations
from auditor.facts.parts import OK, Part, PartState, PartStatus
from auditor.registry import Registry
from auditor.sandbox import Sandbox, SandboxSettings, TroubleError, labels
from auditor.sandbox.clean import Removal, remove_run
from auditor.sandbox.kinds import KINDS
from auditor.sandbox.scope import ProbeOptions, Scope
from auditor.sandbox.signals import shielded
from auditor.sandbox.space import StoppedError, housing
from auditor.units.probe import Manifest, Probe, ProbePlan

LIMITS = Limits(requests_per_second=200, parallel_requests=32)
"""Probes wait for many pods at once; their own pace is what is measured."""

_SPARE_PODS = 10
_REMOVAL_SECONDS = 180.0
_SECOND_LOOK_SECONDS = 10.0
"""For what was left after that: it may just have gone."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_OWN_KINDS = ("VolumeSnapshot", "VolumeSnapshotClass", "VolumeAttributesClass", "EndpointSlice", "Lease")

DRY_RUN_ID = "0" * 10
"""Stands in the names of objects that are only shown; they expired long ago, should somebody apply them."""

K = TypeVar("K", bound=KubeObject)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run of probes will create and cost.

    Attributes:
        housing: the namespace and its quota.
        probes: the plan of each probe.
    """

    housing: list[Manifest]
    probes: Mapping[str, ProbePlan]

    @property
    def storage_bytes(self) -> int:
        """That all claims ask for together."""
        return sum(plan.storage_bytes for plan in self.probes.values())

    @property
    def objects(self) -> int:
        """That are created, not counting what controllers make of them."""
        return len(self.housing) + sum(each.count for plan in self.probes.values() for each in plan.objects)

    def seconds(self, pods_at_once: int) -> float:
        """That it takes on a healthy cluster: the longest probe, or what the budget of pods makes of all."""
        longest = max((plan.seconds for plan in self.probes.values()), default=0.0)
        pod_seconds = sum(plan.seconds * min(plan.pods_at_once, pods_at_once) for plan in self.probes.values())
        return max(longest, pod_seconds / max(pods_at_once, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known before a run: its plan, or why there can be none.

    Attributes:
        scope: what the probes know of the cluster.
        plan: what the run will create and cost.
        refusal: what kept the account from looking around.
    """

    scope: Scope | None = None
    plan: RunPlan | None = None
    refusal: ObjectError | None = None

    def plan_or_error(self) -> RunPlan:
        """The plan.

        Raises:
            ClusterError: there is none; it says why.
        """
        if self.plan is None:
            raise ClusterError(
                f"The probes cannot be planned: {self.refusal}.", next_step="Grant it; see: auditor rbac --probes"
            )
        return self.plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcome:
    """What became of one probe: its observations, or why there are none."""

    probe: Probe
    status: PartStatus
    observations: Observations | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What became of a run.

    Attributes:
        run_id: its id.
        probes: what became of each probe.
        removal: what became of what they made; None where nothing could be made.
        namespace: in which they were.
    """

    run_id: str
    probes: tuple[ProbeOutcome, ...]
    removal: Removal | None
    namespace: str = ""


@dataclass(slots=True)
class ProbeProgress:
    """How far a run of probes is, as its threads say."""

    running: dict[str, float] = field(default_factory=dict)
    done: dict[str, ProbeOutcome] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def wanted_probes(probes: Registry[Probe], parts: Iterable[Part], patterns: Sequence[str] = ()) -> list[Probe]:
    """The probes that globs name, whatever checks read; without globs those whose observations checks read.

    Args:
        probes: all of them.
        parts: that the selected checks read.
        patterns: globs of ids.

    Raises:
        UnknownIdError: a glob matches no probe.
        UsageError: there is none.
    """
    if patterns:
        return probes.matching(patterns)
    read = {part.id for part in parts}
    wanted = [probe for probe in probes if probe.document.part_id in read]
    if not wanted:
        raise UsageError(
            "No selected check reads what a probe observes.",
            next_step="Select other checks, or name probes with --probe; see: auditor list probes",
        )
    return wanted


class ProbeRun:
    """One run of probes against one cluster.

    Args:
        connection: the cluster.
        probes: the experiments, in their order.
        settings: what the site decides about pods.
        options: what it decides about probes.
        now: when the run begins.
        dry_run: whether its plan is only shown, so that names and expiry are the same each time.
    """

    def __init__(
        self,
        connection: Connection,
        probes: Sequence[Probe],
        *,
        settings: SandboxSettings,
        options: ProbeOptions,
        now: datetime,
        dry_run: bool = False,
    ) -> None:
        self.probes = tuple(probes)
        self.objects = Objects(ApiServer(connection, LIMITS))
        self._connection = connection
        self._options = options
        self._stop = threading.Event()
        self.sandbox = Sandbox(
            self.objects,
            settings,
            run_id=DRY_RUN_ID if dry_run else labels.new_run_id(),
            expires_at=_EPOCH if dry_run else labels.expires_after(settings.expiry_minutes, now=now),
            stop=self._stop,
        )

    def prepare(self) -> Prepared:
        """Look around and plan; a right that the account lacks is an outcome.

        Raises:
            ClusterUnreachableError: the API server does not answer, or not to this account.
            ClusterError: it did not say what was asked.
        """
        try:
            scope = self.look_around()
        except ObjectError as error:
            if error.missing_permission:
                return Prepared(refusal=error)
            raise ClusterError(f"The probes cannot be planned: {error}.", cause=error.cause or "") from error
        return Prepared(scope=scope, plan=self.plan(scope))

    def look_around(self) -> Scope:
        """What the probes must know before they begin.

        Raises:
            ClusterUnreachableError: the API server does not answer, or not to this account.
            ObjectError: nodes or classes may not be read.
        """
        wanted = [KINDS[kind] for kind in _OWN_KINDS]
        try:
            served = discover(self.objects.server, wanted)
        except RequestError as error:
            raise unreachable(self._connection.server, error) from error
        return Scope(
            nodes=self._views(Node),
            classes=self._views(StorageClass),
            classes_used=self._classes_used(),
            versions=served.versions,
            options=self._options,
        )

    def plan(self, scope: Scope) -> RunPlan:
        """What the run will create and cost."""
        plans = {probe.id: probe.plan(self.sandbox.for_probe(probe.id), scope) for probe in self.probes}
        own = housing(
            self.sandbox,
            storage_bytes=sum(plan.storage_bytes for plan in plans.values()),
            pods=self.sandbox.settings.pods_at_once + _SPARE_PODS,
            load_balancers=sum(plan.load_balancers for plan in plans.values()),
        )
        return RunPlan(housing=own, probes=plans)

    @contextmanager
    def housed(self, plan: RunPlan) -> Iterator[Callable[[], Removal]]:
        """The sandbox's namespace, while the block runs; whatever happens, it is removed and everything in it.

        Yields a function that removes it, for callers that want to know what could not be removed. The block's end
        removes what that left.
        """
        removal: list[Removal] = []

        def remove() -> Removal:
            run_id, namespace = self.sandbox.run_id, self.sandbox.settings.namespace
            if not removal or removal[-1].left:
                seconds = _SECOND_LOOK_SECONDS if removal else _REMOVAL_SECONDS
                with shielded(log.warning, remedy=f"auditor clean --run {run_id}"):
                    removal.append(remove_run(self.objects, run_id, namespace=namespace, seconds=seconds))
            return removal[-1]

        try:
            self.sandbox.begin(plan.housing)
            yield remove
        finally:
            self._stop.set()
            remove()

    def conduct(self, prepared: Prepared, progress: ProbeProgress | None = None) -> RunOutcome:
        """The whole of it: the sandbox, all probes in it, its removal. What the cluster refuses is an outcome."""
        if prepared.scope is None or prepared.plan is None:
            return self._refused(prepared.refusal)
        begun = False
        try:
            with self.housed(prepared.plan) as remove:
                begun = True
                outcomes = self.run(prepared.scope, prepared.plan, progress)
                removal = remove()
        except ObjectError as error:
            if begun:
                raise
            return self._refused(error)
        sandbox = self.sandbox
        return RunOutcome(run_id=sandbox.run_id, probes=tuple(outcomes), removal=removal, namespace=sandbox.namespace)

    def _refused(self, error: ObjectError | None) -> RunOutcome:
        """The outcome of a run for which the cluster refused what all probes need."""
        status = _status(error) if error is not None else PartStatus(state=PartState.FAILED)
        outcomes = tuple(ProbeOutcome(probe=probe, status=status) for probe in self.probes)
        return RunOutcome(run_id=self.sandbox.run_id, probes=outcomes, removal=None)

    def run(self, scope: Scope, plan: RunPlan, progress: ProbeProgress | None = None) -> list[ProbeOutcome]:
        """All probes side by side, as the budget of pods allows; one that fails does not stop the others."""
        progress = progress or ProbeProgress()
        with ThreadPoolExecutor(max_workers=max(1, len(self.probes))) as pool:
            futures = [pool.submit(self._one, probe, scope, plan.probes[probe.id], progress) for probe in self.probes]
            try:
                return [future.result() for future in futures]
            except BaseException:  # Ctrl-C: let the threads see it, and do not wait for probes that have not begun
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _one(self, probe: Probe, scope: Scope, plan: ProbePlan, progress: ProbeProgress) -> ProbeOutcome:
        view = self.sandbox.for_probe(probe.id)
        with view.budget.taken(plan.pods_at_once):
            started = time.monotonic()
            with progress.lock:
                progress.running[probe.id] = started
            outcome = _outcome(probe, view, scope)
        with progress.lock:
            del progress.running[probe.id]
            progress.done[probe.id] = outcome
        return outcome

    def _classes_used(self) -> frozenset[str]:
        try:
            claims = self._views(PersistentVolumeClaim)
        except ObjectError as error:
            if not error.missing_permission:
                raise
            log.warning("classes that claims use are not known: the account may not %s", error.missing_permission)
            return frozenset()
        return frozenset(name for claim in claims if (name := claim.spec.storage_class_name))

    def _views(self, view: type[K]) -> list[K]:
        return [msgspec.convert(found, view) for found in self.objects.list(view.api)]


def write_outcomes(writer: BundleWriter, run: RunOutcome) -> None:
    """Put the observations into a bundle, and the reason where there are none."""
    for outcome in run.probes:
        path = outcome.probe.document.part_id
        if outcome.observations is not None:
            encoded = msgspec.json.format(msgspec.json.encode(outcome.observations), indent=1)
            writer.file(path, encoded)
        else:
            writer.file_unavailable(path, outcome.status.state, reason=outcome.status.reason)
    if run.removal is not None:
        seen = run.removal.observations(run.run_id, namespace=run.namespace)
        writer.file(seen.part_id, msgspec.json.format(msgspec.json.encode(seen), indent=1))


def _outcome(probe: Probe, view: Sandbox, scope: Scope) -> ProbeOutcome:
    started = time.monotonic()
    observations, status = None, OK
    try:
        observations = probe.function(view, scope)
    except ObjectError as error:
        status = _status(error)
    except TroubleError as error:
        status = PartStatus(state=PartState.FAILED, reason=str(error))
    except StoppedError:
        status = PartStatus(state=PartState.FAILED, reason="the run was ended before the probe was done")
    except Exception as error:  # one probe's mistake must not cost the others
        log.exception("probe %s", probe.id)
        status = PartStatus(state=PartState.FAILED, reason=f"the probe crashed: {type(error).__name__}: {error}")
    return ProbeOutcome(probe=probe, status=status, observations=observations, seconds=time.monotonic() - started)


def _status(error: ObjectError) -> PartStatus:
    """Of observations that a refusal kept from being made."""
    if lacks := error.missing_permission:
        return PartStatus(state=PartState.FORBIDDEN, reason=f"the account may not {lacks}")
    return PartStatus(state=PartState.FAILED, reason=str(error))
