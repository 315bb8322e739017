"""Whether a Service of type LoadBalancer gets an address."""

from __future__ import annotations

import time

from auditor.cluster import Manifest, ObjectError
from auditor.facts.observations import Cause, Step, StepState
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.causes import cause_of

from ._balancing import BACKEND
from ._peers import service_of

LOAD_BALANCER_SECONDS = 300.0
"""Clouds take one to three minutes."""

_NOBODY = "192.0.2.0/24"
"""A range for documentation: what asks from elsewhere is not let in, as far as the load balancer can tell."""

_STEP = "address-granted"


def external_service(sandbox: Sandbox) -> Manifest:
    """The Service, which lets nobody in."""
    return service_of(
        sandbox.name("net-external"), role=BACKEND, type="LoadBalancer", loadBalancerSourceRanges=[_NOBODY]
    )


def address_granted(sandbox: Sandbox, *, wanted: bool) -> Step:
    """Ask for an address and wait for it.

    Args:
        sandbox: where the Service lives.
        wanted: whether the site allows it.
    """
    if not wanted:
        why = Cause(reason="NotAsked", message="a load balancer may cost money; the option load_balancer allows it")
        return Step(name=_STEP, state=StepState.NOT_DONE, cause=why)
    manifest = external_service(sandbox)
    name = manifest["metadata"]["name"]
    started = time.monotonic()

    def look() -> str | None:
        found = sandbox.get("Service", name) or {}
        ingress = found.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
        address: str | None = ingress[0].get("ip") or ingress[0].get("hostname")
        return address

    try:
        sandbox.create(manifest)
        address = sandbox.wait_for(
            f"Service {name} has an address", look, seconds=LOAD_BALANCER_SECONDS, concerning=("Service", name)
        )
    except ObjectError as error:
        return Step(name=_STEP, state=StepState.FAILED, cause=cause_of(error))
    except TroubleError as error:
        return Step(name=_STEP, state=StepState.FAILED, seconds=error.trouble.seconds, cause=cause_of(error))
    seconds = time.monotonic() - started
    return Step(name=_STEP, state=StepState.OK, seconds=seconds, detail={"address": address})
