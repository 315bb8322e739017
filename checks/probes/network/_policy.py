"""Whether NetworkPolicies do what they say: deny what comes in and goes out, allow what they name, leave DNS alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Pod
from auditor.facts.observations import Cause, Step, StepState
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.agent_pods import agent_pod, results
from auditor.sandbox.causes import cause_of
from auditor.sandbox.kinds import NETWORK_POLICY

from ._balancing import said
from ._peers import PORT, ROLE, Peer, ready, server_pod

EFFECT_SECONDS = 20.0
"""In which a policy must be seen to work; agents of network plugins take one or two seconds, rarely ten."""

BEFORE, INGRESS_DENIED, INGRESS_ALLOWED = "reached-before", "ingress-denied", "ingress-allowed"
EGRESS_DENIED, NAMES = "egress-denied", "names-resolved"
STEPS = (BEFORE, INGRESS_DENIED, INGRESS_ALLOWED, EGRESS_DENIED, NAMES)

GUARDED, STRANGER, FRIEND, BOUND = "net-guarded", "net-stranger", "net-friend", "net-bound"
"""The server; a client that is denied, one that is allowed, and one that may only resolve names."""
WATCHERS = (STRANGER, FRIEND, BOUND)
PODS = 1 + len(WATCHERS)

_TO_GUARDED, _TO_OPEN, _TO_NAME = "guarded", "open", "name"
_NAME = "kubernetes.default.svc"

_LOOK_SECONDS = 0.5
_SUCCESSES = 2
"""Answers after a policy that show that names still resolve: the first may have been under way before."""


def objects(sandbox: Sandbox) -> list[Manifest]:
    """The server, its watchers and the policies."""
    watchers = [_watcher(sandbox, role, "address", "address") for role in WATCHERS]
    return [_guarded(sandbox), *watchers, *(make(sandbox) for make in (_deny_ingress, _deny_egress, _allow_ingress))]


def tried(sandbox: Sandbox, open_peer: Peer | None) -> tuple[Step, ...]:
    """Make policies, and see what becomes of connections that worked before.

    Args:
        sandbox: where the pods live.
        open_peer: a server that no policy concerns.

    Raises:
        ObjectError: the account lacks a permission for pods.
    """
    steps: dict[str, Step] = {}
    try:
        _try(sandbox, open_peer, steps)
    except ObjectError as error:
        if error.missing_permission and error.resource != NETWORK_POLICY.plural:
            raise
        _fill(steps, cause_of(error))
    except TroubleError as error:
        _fill(steps, cause_of(error))
    return tuple(steps[name] for name in STEPS)


def _fill(steps: dict[str, Step], cause: Cause) -> None:
    for name in STEPS:
        steps.setdefault(name, Step(name=name, state=StepState.NOT_DONE, cause=cause))


def _try(sandbox: Sandbox, open_peer: Peer | None, steps: dict[str, Step]) -> None:
    sandbox.create(_guarded(sandbox))
    address = ready(sandbox, sandbox.name(GUARDED))
    for role in WATCHERS:
        sandbox.create(_watcher(sandbox, role, address, open_peer.address if open_peer else ""))
    view = _View(sandbox)
    expected = {STRANGER: _TO_GUARDED, FRIEND: _TO_GUARDED, **({BOUND: _TO_OPEN} if open_peer else {})}
    started = time.monotonic()
    for role, target in expected.items():
        sandbox.wait_for(
            f"pod {sandbox.name(role)} reaches its target before there is a policy",
            lambda role=role, target=target: view.state(role, target) or None,  # type: ignore[misc]
            concerning=(Pod.api.kind, sandbox.name(role)),
        )
    steps[BEFORE] = Step(name=BEFORE, state=StepState.OK, seconds=time.monotonic() - started)
    if open_peer is None:
        why = Cause(reason="NoTarget", message="there is no other pod to talk to")
        steps[EGRESS_DENIED] = Step(name=EGRESS_DENIED, state=StepState.NOT_DONE, cause=why)
    _deny(sandbox, view, steps)
    steps[INGRESS_ALLOWED] = _allow(sandbox, view, steps[INGRESS_DENIED])
    steps[NAMES] = _names(sandbox, view, steps[EGRESS_DENIED])


def _deny(sandbox: Sandbox, view: _View, steps: dict[str, Step]) -> None:
    """Both policies at once: they concern different pods, and where nobody enforces them, one wait is enough."""
    lost: dict[str, Callable[[], bool]] = {
        INGRESS_DENIED: lambda: all(view.state(role, _TO_GUARDED) is False for role in (STRANGER, FRIEND)),
        EGRESS_DENIED: lambda: view.state(BOUND, _TO_OPEN) is False,
    }
    pending = [name for name in lost if name not in steps]
    sandbox.create(_deny_ingress(sandbox))
    sandbox.create(_deny_egress(sandbox))
    started = time.monotonic()
    while pending and time.monotonic() - started < EFFECT_SECONDS:
        sandbox.pause(_LOOK_SECONDS)
        for name in [name for name in pending if lost[name]()]:
            steps[name] = Step(name=name, state=StepState.OK, seconds=time.monotonic() - started)
            pending.remove(name)
    for name in pending:
        message = f"{EFFECT_SECONDS:.0f} s after a policy had denied it, a connection still came about"
        steps[name] = _failed(name, "NotEnforced", message)


def _allow(sandbox: Sandbox, view: _View, denied: Step) -> Step:
    name = INGRESS_ALLOWED
    if denied.state is not StepState.OK:
        return _nothing_denied(name)
    sandbox.create(_allow_ingress(sandbox))
    seconds = _seconds_until(sandbox, lambda: view.state(FRIEND, _TO_GUARDED) is True)
    if seconds is None:
        return _failed(
            name, "NotAllowed", f"{EFFECT_SECONDS:.0f} s after a policy had allowed it, a pod is not reached"
        )
    if view.state(STRANGER, _TO_GUARDED) is not False:
        return _failed(name, "TooWide", "a policy that allows one pod let another one in as well")
    return Step(name=name, state=StepState.OK, seconds=seconds)


def _names(sandbox: Sandbox, view: _View, denied: Step) -> Step:
    if denied.state is not StepState.OK:
        return _nothing_denied(NAMES)
    before = view.successes(BOUND, _TO_NAME)
    if not before:
        why = Cause(reason="NoNames", message=f"{_NAME} did not resolve without a policy either")
        return Step(name=NAMES, state=StepState.NOT_DONE, cause=why)
    seconds = _seconds_until(sandbox, lambda: view.successes(BOUND, _TO_NAME) >= before + _SUCCESSES)
    if seconds is None:
        return _failed(NAMES, "NamesLost", f"with port 53 allowed and all else denied, {_NAME} no longer resolves")
    return Step(name=NAMES, state=StepState.OK, seconds=seconds)


def _seconds_until(sandbox: Sandbox, look: Callable[[], bool]) -> float | None:
    started = time.monotonic()
    while time.monotonic() - started < EFFECT_SECONDS:
        if look():
            return time.monotonic() - started
        sandbox.pause(_LOOK_SECONDS)
    return None


def _failed(name: str, reason: str, message: str) -> Step:
    cause = Cause(reason=reason, message=message)
    return Step(name=name, state=StepState.FAILED, seconds=EFFECT_SECONDS, cause=cause)


def _nothing_denied(name: str) -> Step:
    why = Cause(reason="NothingDenied", message="no policy was seen to deny anything")
    return Step(name=name, state=StepState.NOT_DONE, cause=why)


class _View:
    """What the watchers have said so far."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def state(self, role: str, target: str) -> bool | None:
        """Whether a watcher reaches a target, by its latest word; None before its first."""
        told = self._told(role, target)
        return told[-1] if told else None

    def successes(self, role: str, target: str) -> int:
        """How often it said so."""
        return sum(self._told(role, target))

    def _told(self, role: str, target: str) -> list[bool]:
        log = said(self._sandbox, self._sandbox.name(role))
        return [bool(each["reached"]) for each in results(log) if each.get("target") == target]


def _guarded(sandbox: Sandbox) -> Manifest:
    return server_pod(sandbox, sandbox.name(GUARDED), role=GUARDED)


def _watcher(sandbox: Sandbox, role: str, guarded: str, open_address: str) -> Manifest:
    targets: list[dict[str, Any]] = [{"name": _TO_GUARDED, "address": guarded, "port": PORT}]
    if role == BOUND:
        to_open = {"name": _TO_OPEN, "address": open_address, "port": PORT}
        targets = [*([to_open] if open_address else []), {"name": _TO_NAME, "resolve": _NAME}]
    arguments = {
        "targets": targets,
        "every_seconds": _LOOK_SECONDS,
        "timeout_seconds": 1.0,
        "seconds": sandbox.settings.patience_seconds + 4 * EFFECT_SECONDS,
    }
    return agent_pod(sandbox, "watch", arguments, name=sandbox.name(role), labels={ROLE: role})


def _deny_ingress(sandbox: Sandbox) -> Manifest:
    return _policy(sandbox, "net-deny-ingress", GUARDED, policyTypes=["Ingress"])


def _deny_egress(sandbox: Sandbox) -> Manifest:
    names = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return _policy(sandbox, "net-deny-egress", BOUND, policyTypes=["Egress"], egress=[{"ports": names}])


def _allow_ingress(sandbox: Sandbox) -> Manifest:
    rule = {"from": [{"podSelector": {"matchLabels": {ROLE: FRIEND}}}], "ports": [{"port": PORT, "protocol": "TCP"}]}
    return _policy(sandbox, "net-allow-ingress", GUARDED, policyTypes=["Ingress"], ingress=[rule])


def _policy(sandbox: Sandbox, stem: str, role: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": NETWORK_POLICY.kind,
        "metadata": {"name": sandbox.name(stem)},
        "spec": {"podSelector": {"matchLabels": {ROLE: role}}, **spec},
    }
