"""A StatefulSet as data systems have it: three replicas with claims, watched while they come and go."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from auditor import Planned, ProbePlan, probe, rights
from auditor.facts.observations.stateful import StatefulObservations
from auditor.sandbox import Sandbox
from auditor.sandbox.scope import Scope

from .manifests import REPLICAS, budget, choose_class, is_node_bound, service, stateful_set
from .trial import Trial

__all__ = ["plan", "stateful"]

_SECONDS = 90.0


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """A headless Service, a disruption budget, and the set with a claim per replica."""
    chosen = choose_class(scope)
    manifests = (
        service(sandbox),
        budget(sandbox),
        stateful_set(sandbox, chosen, scope.options.storage_bytes),
    )
    return ProbePlan(
        objects=tuple(Planned(manifest=manifest) for manifest in manifests),
        pods_at_once=REPLICAS,
        storage_bytes=REPLICAS * scope.options.storage_bytes if chosen else 0,
        seconds=_SECONDS,
        notes=(
            f"The replicas' claims are of the class {chosen.name}."
            if chosen
            else "No class makes volumes by itself: the replicas have no claims, and what they keep is not proven.",
        ),
    )


@probe(
    "stateful",
    title="Whether a StatefulSet keeps names, claims and order while its pods come and go",
    yields=StatefulObservations,
    needs=(
        *rights("create get patch delete", "statefulsets", group="apps"),
        *rights("create delete", "services"),
        *rights("get list delete", "pods"),
        *rights("get", "pods/log"),
        *rights("get delete", "persistentvolumeclaims"),
        *rights("create get delete", "poddisruptionbudgets", group="policy", optional=True),
        *rights("create", "pods/eviction", optional=True),
        *rights("list", "events", optional=True),
    ),
    plan=plan,
)
def stateful(sandbox: Sandbox, scope: Scope) -> StatefulObservations:
    """Start the set, delete a pod, drain a node of the set's pods, change the template, scale down and up."""
    started_at, started = datetime.now(UTC), time.monotonic()
    chosen = choose_class(scope)
    trial = Trial(sandbox, chosen, scope.options.storage_bytes)
    trial.run()
    return StatefulObservations(
        started_at=started_at,
        took_seconds=time.monotonic() - started,
        storage_class=chosen.name if chosen else "",
        node_bound=chosen is not None and is_node_bound(chosen),
        replicas=REPLICAS,
        steps=tuple(trial.steps),
        created=trial.created,
        created_early=trial.created_early,
        members=trial.started,
        restarts=tuple(trial.restarts),
        updated=trial.updated,
        most_down=trial.most_down,
        kept_claims=trial.kept_claims,
    )
