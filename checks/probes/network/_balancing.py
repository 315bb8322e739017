"""How a Service spreads connections over its backends, and what clients feel when one of them goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Node, Pod
from auditor.facts.observations import Cause, Step, StepState
from auditor.facts.observations.network import Loss, Spread
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.agent_pods import agent_pod, finished, results
from auditor.sandbox.causes import cause_of

from ._peers import PORT, ROLE, permitted, ready, server_pod, service_of

BACKENDS = 3
PODS = BACKENDS + 1
BACKEND = "net-backend"
CONNECTIONS = 3000
STEADY_SECONDS = 12.0
"""Twice the time in which errors should be over."""
EVERY_SECONDS = 0.02

_COUNT_SECONDS = 120.0
_BEFORE_SECONDS = 1.0

Outcome = tuple[tuple[Step, ...], Spread | None, Loss | None]


def objects(sandbox: Sandbox, nodes: Sequence[Node]) -> list[Manifest]:
    """The backends, their Service, and its client, which asks for an address that is not known yet."""
    return [*_backends(sandbox, nodes), _service(sandbox), _client(sandbox, "address")]


def tried(sandbox: Sandbox, nodes: Sequence[Node]) -> Outcome:
    """Count, then remove a backend under steady requests.

    Raises:
        ObjectError: the account lacks a permission.
    """
    backends = _backends(sandbox, nodes)
    names = [each["metadata"]["name"] for each in backends]
    try:
        for manifest in backends:
            sandbox.create(manifest)
        address = sandbox.create(_service(sandbox))["spec"]["clusterIP"]
        for name in names:
            ready(sandbox, name)
        return _measured(sandbox, _client(sandbox, address), names)
    except ObjectError as error:
        return _not_done(cause_of(permitted(error)))
    except TroubleError as error:
        return _not_done(cause_of(error))


def _measured(sandbox: Sandbox, client: Manifest, backends: Sequence[str]) -> Outcome:
    name = client["metadata"]["name"]
    sandbox.create(client)

    def counted() -> bool | None:
        return True if any("steady" in each for each in results(said(sandbox, name))) else None

    sandbox.wait_for(
        "connections have been counted",
        counted,
        seconds=sandbox.settings.patience_seconds + _COUNT_SECONDS,
        concerning=(Pod.api.kind, name),
    )
    sandbox.pause(_BEFORE_SECONDS)
    sandbox.delete(Pod.api.kind, backends[0])
    _, counts, _, felt = finished(sandbox, name, seconds=STEADY_SECONDS + _COUNT_SECONDS)
    spread = Spread(
        backends=tuple(backends), connections=counts["shares"], failed=counts["failed"], errors=counts["errors"]
    )
    loss = Loss(
        removed=backends[0],
        answered=felt["answered"],
        failed=felt["failed"],
        error_seconds=felt["error_seconds"],
        errors=felt["errors"],
    )
    steps = (
        Step(name="spread", state=StepState.OK, seconds=counts["seconds"]),
        Step(name="loss", state=StepState.OK, seconds=felt["seconds"]),
    )
    return steps, spread, loss


def said(sandbox: Sandbox, pod: str) -> str:
    """The log of a pod so far; empty before its container runs.

    Raises:
        ObjectError: the account may not read it.
    """
    try:
        return sandbox.log(pod)
    except ObjectError as error:
        permitted(error)
        return ""


def _not_done(cause: Cause) -> Outcome:
    return tuple(Step(name=name, state=StepState.NOT_DONE, cause=cause) for name in ("spread", "loss")), None, None


def _backends(sandbox: Sandbox, nodes: Sequence[Node]) -> list[Manifest]:
    """Over the nodes in turn."""
    return [
        server_pod(
            sandbox,
            sandbox.name(f"{BACKEND}-{number}"),
            role=BACKEND,
            node=nodes[number % len(nodes)].name if nodes else None,
        )
        for number in range(BACKENDS)
    ]


def _service(sandbox: Sandbox) -> Manifest:
    return service_of(sandbox.name("net-balanced"), role=BACKEND)


def _client(sandbox: Sandbox, address: str) -> Manifest:
    arguments: dict[str, Any] = {
        "address": address,
        "port": PORT,
        "backends": BACKENDS,
        "connections": CONNECTIONS,
        "steady_seconds": STEADY_SECONDS,
        "every_seconds": EVERY_SECONDS,
        "timeout_seconds": 1.0,
    }
    return agent_pod(sandbox, "balance", arguments, name=sandbox.name("net-balance"), labels={ROLE: "net-balance"})
