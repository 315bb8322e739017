"""The pod network as data systems use it: pod to pod, through Services, under policies, to the API server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import ObjectError
from auditor.facts.observations.network import NetworkObservations
from auditor.sandbox import Sandbox
from auditor.sandbox.kinds import NETWORK_POLICY
from auditor.sandbox.labels import RUN
from auditor.sandbox.scope import Scope

from ._balancing import BACKENDS, LoadBalancer, balance, balance_objects
from ._mesh import client, mesh, measured, measured_routes
from ._peers import PeerSet, sample, server, service
from ._policy import EFFECT_SECONDS, guarded, policies, watch, watcher

_START_SECONDS = 10.0
_JOB_SECONDS = 2.5


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """A pod and a Service on each sampled node, clients beside them, and those of policies and balancing."""
    nodes, left_out = sample(scope, sandbox.settings.tolerations)
    routes = measured_routes(nodes)
    objects = [
        *(Planned(manifest=each, count=len(nodes)) for node in nodes[:1] for each in (server(sandbox, 0, node), service(sandbox, 0))),
        *(Planned(manifest=client(sandbox, "mesh", 0, node, []), count=len(nodes)) for node in nodes[:1]),
        *(Planned(manifest=client(sandbox, "speed", 0, nodes[0], []), count=len(routes)) for _ in routes[:1]),
        Planned(manifest=guarded(sandbox)),
        *(Planned(manifest=watcher(sandbox, role, "address", "address")) for role in ("stranger", "friend")),
        *(Planned(manifest=each, version="v1") if False else Planned(manifest=each) for each in policies(sandbox)),
        *balance_objects(sandbox, nodes, with_load_balancer=scope.options.load_balancer),
    ]
    return ProbePlan(
        objects=tuple(objects),
        pods_at_once=2 * len(nodes) + BACKENDS + 4,
        seconds=3 * _START_SECONDS + EFFECT_SECONDS + len(routes) * (scope.options.throughput_seconds + _JOB_SECONDS),
        load_balancers=int(scope.options.load_balancer),
        notes=tuple(f"{each.count} of the nodes get no pod: {each.reason}." for each in left_out),
    )
