"""The experiment itself: a set that starts, loses pods, is drained, updated and scaled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from auditor.cluster import ObjectError
from auditor.facts.kube import PersistentVolumeClaim, Pod, PodDisruptionBudget, Service, StatefulSet, StorageClass
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.stateful import DRAIN, KILL, REFUSAL, SCALE, START, UPDATE, Member, Restart
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.agent_pods import results
from auditor.sandbox.causes import cause_of

from .film import Look, created, look, most_down, replaced
from .manifests import REPLICAS, REVISION, budget, claim_name, selector, service, set_name, stateful_set

RESOLVE_SECONDS = 60.0
"""For a name to give the new address: longer than records and their absence are cached by default."""
_SETTLE_SECONDS = 15.0
_WORD_SECONDS = 10.0
"""For what a replica says to reach its log."""

_OPTIONAL = {"poddisruptionbudgets", "pods/eviction"}


class Trial:
    """One set, and what is seen of it.

    Args:
        sandbox: where it lives.
        storage_class: of its claims, if there are any.
        storage_bytes: of each claim.
    """

    def __init__(self, sandbox: Sandbox, storage_class: StorageClass | None, storage_bytes: int) -> None:
        self.sandbox = sandbox
        self.steps: list[Step] = []
        self.started: tuple[Member, ...] = ()
        self.members: dict[str, Member] = {}
        self.restarts: list[Restart] = []
        self.created: tuple[str, ...] = ()
        self.created_early: dict[str, tuple[str, ...]] = {}
        self.updated: tuple[str, ...] = ()
        self.most_down = 0
        self.kept_claims: tuple[str, ...] = ()
        self._class = storage_class
        self._bytes = storage_bytes
        self._set = set_name(sandbox)
        self._names = [f"{self._set}-{ordinal}" for ordinal in range(REPLICAS)]
        self._looks: list[Look] = []
        self._obstacle: Cause | None = None
        self._has_budget = False

    def run(self) -> None:
        """All steps, those that are still possible after one has failed."""
        try:
            self._step(START, self._start)
            self._step(KILL, self._kill)
            self._step(DRAIN, self._drain)
            if not any(step.name == REFUSAL for step in self.steps):
                self._not_done(REFUSAL, Cause(reason="Skipped", message="no pod was evicted"))
            self._step(UPDATE, self._update)
            self._step(SCALE, self._scale)
        finally:
            self._remove()

    def _step(self, name: str, do: Callable[[], dict[str, Any]]) -> None:
        """Do a step, unless the set is not whole; note how it went."""
        if self._obstacle is not None:
            self._not_done(name, self._obstacle)
            return
        started = time.monotonic()
        self._looks = []
        try:
            detail = do()
            if name != START:
                self._all_ready(f"all replicas are Ready after the step {name}")
        except (TroubleError, ObjectError) as error:
            if isinstance(error, ObjectError) and error.missing_permission:
                if error.resource not in _OPTIONAL:
                    raise
                self._not_done(name, cause_of(error))
                return
            seconds = time.monotonic() - started
            self.steps.append(Step(name=name, state=StepState.FAILED, seconds=seconds, cause=cause_of(error)))
            self._obstacle = self._not_whole(name)
            return
        self.steps.append(Step(name=name, state=StepState.OK, seconds=time.monotonic() - started, detail=detail))

    def _not_done(self, name: str, cause: Cause) -> None:
        self.steps.append(Step(name=name, state=StepState.NOT_DONE, cause=cause))

    def _not_whole(self, step: str) -> Cause | None:
        """Why nothing further can be done; None where the set is whole in spite of all."""
        down = [name for name in self._names if not self._is_ready(name)]
        if not down:
            return None
        return Cause(reason="Skipped", message=f"the step {step} left {', '.join(down)} not Ready")

    def _start(self) -> dict[str, Any]:
        self.sandbox.create(service(self.sandbox))
        self._create_budget()
        self.sandbox.create(stateful_set(self.sandbox, self._class, self._bytes))
        try:
            for name in self._names:
                self._ready(name)
        finally:
            self.created, self.created_early = created(self._looks, self._names)
        self.members = {name: self._member(name) for name in self._names}
        self.started = tuple(self.members.values())
        return {}

    def _create_budget(self) -> None:
        """Without one a set lives as well; only the refusal of a second eviction cannot be seen."""
        try:
            self.sandbox.create(budget(self.sandbox))
        except ObjectError as error:
            self._not_done(REFUSAL, cause_of(error))
        else:
            self._has_budget = True

    def _kill(self) -> dict[str, Any]:
        victim, observer = self._names[1], self._names[0]
        self._lose(KILL, victim, observer, lambda: self.sandbox.delete(Pod.api.kind, victim))
        return {}

    def _drain(self) -> dict[str, Any]:
        """Evict the pods of the node that has the last replica, one after another."""
        node = self.members[self._names[-1]].node
        victims = [name for name in reversed(self._names) if self.members[name].node == node]
        for number, victim in enumerate(victims):
            self._budget_allows()
            observer = next(name for name in self._names if name != victim)
            other = next(name for name in reversed(self._names) if name != victim)
            self._lose(DRAIN, victim, observer, lambda v=victim, o=other, n=number: self._evict(v, o, second=n == 0))  # type: ignore[misc]
        return {"node": node, "pods": len(victims)}

    def _evict(self, victim: str, other: str, *, second: bool) -> None:
        """Evict one, and ask for the eviction of another at once."""
        self._eviction(victim)
        if not (second and self._has_budget):
            return
        try:
            self._eviction(other)
        except ObjectError as error:
            refused = error.status == HTTPStatus.TOO_MANY_REQUESTS
            state = StepState.OK if refused else StepState.NOT_DONE
            self.steps.append(
                Step(
                    name=REFUSAL, state=state, cause=None if refused else cause_of(error), detail={"said": error.reason}
                )
            )
        else:
            cause = Cause(reason="Admitted", message=f"{other} was evicted while {victim} was not back")
            self.steps.append(Step(name=REFUSAL, state=StepState.FAILED, cause=cause))

    def _eviction(self, name: str) -> None:
        self.sandbox.objects.evict(Pod.api, name, namespace=self.sandbox.namespace)

    def _budget_allows(self) -> None:
        if self._has_budget:
            self.sandbox.wait_for(
                f"the disruption budget {self._set} allows an eviction",
                lambda: True if self._allowed() else None,
                concerning=(PodDisruptionBudget.api.kind, self._set),
            )

    def _allowed(self) -> int:
        found = self.sandbox.get(PodDisruptionBudget.api.kind, self._set) or {}
        return int(found.get("status", {}).get("disruptionsAllowed", 0))

    def _update(self) -> dict[str, Any]:
        before = dict(self.members)
        uids = {name: member.uid for name, member in before.items()}
        change = {"spec": {"template": {"metadata": {"annotations": {REVISION: "2"}}}}}
        self.sandbox.patch(StatefulSet.api.kind, self._set, change)
        try:
            for name in reversed(self._names):
                self._ready(name, not_uid=uids[name])
        finally:
            self.updated = replaced(self._looks, uids)
            self.most_down = most_down(self._looks, self._names)
        for name in self._names:
            self.members[name] = self._member(name)
            self.restarts.append(Restart(step=UPDATE, before=before[name], after=self.members[name]))
        return {}

    def _scale(self) -> dict[str, Any]:
        last = self._names[-1]

        def down_and_up() -> None:
            self.sandbox.patch(StatefulSet.api.kind, self._set, {"spec": {"replicas": REPLICAS - 1}})
            gone = f"pod {last} is gone after scaling down"
            self.sandbox.wait_for(gone, lambda: None if last in self._look() else True, concerning=("Pod", last))
            self.kept_claims = tuple(
                name for n in range(REPLICAS) if self._claim_uid(name := claim_name(self.sandbox, n))
            )
            self.sandbox.patch(StatefulSet.api.kind, self._set, {"spec": {"replicas": REPLICAS}})

        self._lose(SCALE, last, "", down_and_up)
        return {}

    def _lose(self, step: str, victim: str, observer: str, do: Callable[[], object]) -> None:
        """Let a replica go, and follow it until it is back and its name gives its new address."""
        before, started = self.members[victim], time.monotonic()
        do()
        restart = Restart(step=step, before=before, observer=observer)
        try:
            self._ready(victim, not_uid=before.uid)
            ready_seconds = time.monotonic() - started
            after = self.members[victim] = self._member(victim)
            restart = msgspec.structs.replace(restart, after=after, ready_seconds=ready_seconds)
            if observer and self._sees(observer, after):
                restart = msgspec.structs.replace(restart, resolved_seconds=time.monotonic() - started)
        finally:
            self.restarts.append(restart)

    def _sees(self, observer: str, member: Member) -> bool:
        """Whether a replica comes to resolve the name of another to its present address."""
        try:
            self.sandbox.wait_for(
                f"{observer} resolves {member.name}",
                lambda: True if set(self._resolved(observer, member.name)) & set(member.addresses) else None,
                seconds=RESOLVE_SECONDS,
            )
        except TroubleError:
            return False
        return True

    def _resolved(self, observer: str, name: str) -> Sequence[str]:
        said = [each for each in self._said(observer) if each.get("what") == "peer" and each.get("name") == name]
        return said[-1]["addresses"] if said else ()

    def _ready(self, name: str, *, not_uid: str = "") -> None:
        """Wait until a replica is Ready.

        Raises:
            TroubleError: it was not in time.
        """

        def there() -> bool | None:
            seen = self._look().get(name)
            return True if seen and seen.is_ready and seen.uid != not_uid else None

        started = time.monotonic()
        what = f"replica {name} is Ready"
        try:
            self.sandbox.wait_for(what, there)
        except TroubleError as error:
            exists = self.sandbox.get(Pod.api.kind, name) is not None
            about = (Pod.api.kind, name) if exists else (StatefulSet.api.kind, self._set)
            raise TroubleError(self.sandbox.trouble(what, time.monotonic() - started, about)) from error

    def _all_ready(self, what: str) -> None:
        self.sandbox.wait_for(
            what, lambda: True if all(map(self._is_ready, self._names)) else None, seconds=_SETTLE_SECONDS
        )

    def _is_ready(self, name: str) -> bool:
        seen = self._look().get(name)
        return seen is not None and seen.is_ready

    def _look(self) -> Look:
        found = look(self.sandbox.list(Pod.api.kind, labels=selector(self.sandbox)))
        if not self._looks or self._looks[-1] != found:
            self._looks.append(found)
        return found

    def _member(self, name: str) -> Member:
        """A replica as it is now."""
        pod = self.sandbox.get(Pod.api.kind, name) or {"metadata": {"uid": ""}}
        said = self._words(name)
        identity, names = said.get("identity", {}), said.get("names", {})
        status = pod.get("status", {})
        return Member(
            name=name,
            uid=pod["metadata"]["uid"],
            node=pod.get("spec", {}).get("nodeName", ""),
            addresses=tuple(each["ip"] for each in status.get("podIPs") or ()),
            claim_uid=self._claim_uid(claim_name(self.sandbox, self._names.index(name))) if self._class else "",
            hostname=identity.get("hostname", ""),
            marker=identity.get("marker", ""),
            written_by=identity.get("written_by", ""),
            starts=identity.get("starts", 0),
            names_seconds=names.get("seconds"),
            unresolved=names.get("unresolved", {}),
        )

    def _words(self, name: str) -> dict[str, dict[str, Any]]:
        """What a replica says of itself; what reaches the log in time."""

        def said() -> dict[str, dict[str, Any]] | None:
            found = {each["what"]: each for each in self._said(name)}
            return found if {"identity", "names"} <= found.keys() else None

        try:
            return self.sandbox.wait_for(f"{name} says who it is", said, seconds=_WORD_SECONDS)
        except TroubleError:
            return {each["what"]: each for each in self._said(name)}

    def _said(self, name: str) -> list[dict[str, Any]]:
        try:
            return results(self.sandbox.log(name))
        except ObjectError as error:
            if error.missing_permission:
                raise
            return []

    def _claim_uid(self, name: str) -> str:
        found = self.sandbox.get(PersistentVolumeClaim.api.kind, name)
        return "" if found is None or "deletionTimestamp" in found["metadata"] else str(found["metadata"]["uid"])

    def _remove(self) -> None:
        """Give the volumes back early; what is left goes with the sandbox."""
        own = [(kind, self._set) for kind in (StatefulSet.api.kind, PodDisruptionBudget.api.kind, Service.api.kind)]
        claims = [(PersistentVolumeClaim.api.kind, claim_name(self.sandbox, n)) for n in range(REPLICAS)]
        for kind, name in own + (claims if self._class else []):
            try:
                self.sandbox.delete(kind, name)
            except ObjectError:
                continue
