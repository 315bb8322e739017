"""Several claims at once, as executors of one Spark job make them: does the provisioner keep up?"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from auditor.cluster import Manifest, ObjectError
from auditor.facts.observations import Cause, Latencies
from auditor.facts.observations.storage import BurstObservation
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.agent_pods import started
from auditor.sandbox.causes import cause_of

from . import _objects as objects
from ._choice import Chosen
from ._life import CLAIM, POD, quietly


def manifests(sandbox: Sandbox, chosen: Chosen, claims: int) -> list[tuple[Manifest, Manifest]]:
    """The claims, each with its pod."""
    made = []
    for number in range(claims):
        name = sandbox.name(f"storage-burst-{number}")
        claim = objects.claim(sandbox, chosen.cls, name, size_bytes=chosen.bytes)
        made.append((claim, objects.holder(sandbox, name, name)))
    return made


def burst(sandbox: Sandbox, chosen: Chosen, claims: int) -> BurstObservation:
    """Make all at once, and wait for each pod."""
    made = manifests(sandbox, chosen, claims)
    since = time.monotonic()
    with ThreadPoolExecutor(max_workers=claims) as pool:
        outcomes = list(pool.map(lambda pair: _one(sandbox, pair, since), made))
    for claim, pod in made:
        quietly(lambda n=pod["metadata"]["name"]: sandbox.delete(POD, n))  # type: ignore[misc]
        quietly(lambda n=claim["metadata"]["name"]: sandbox.delete(CLAIM, n))  # type: ignore[misc]
    seconds = [outcome for outcome in outcomes if isinstance(outcome, float)]
    causes = [outcome for outcome in outcomes if isinstance(outcome, Cause)]
    more: dict[str, Any] = {"mounted": Latencies.of(seconds)} if seconds else {}
    return BurstObservation(
        class_name=chosen.cls.name, claims=claims, failed=len(causes), cause=causes[0] if causes else None, **more
    )


def _one(sandbox: Sandbox, pair: tuple[Manifest, Manifest], since: float) -> float | Cause:
    claim, pod = pair
    try:
        sandbox.create(claim)
        sandbox.create(pod)
        started(sandbox, pod["metadata"]["name"])
    except TroubleError as error:
        return cause_of(error)
    except ObjectError as error:
        if error.missing_permission:
            raise
        return cause_of(error)
    return time.monotonic() - since
