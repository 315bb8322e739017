"""The pod network as data systems use it: pod to pod, through Services, under policies, to the API server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import ObjectError
from auditor.facts.kube import Pod
from auditor.facts.observations.network import NetworkObservations
from auditor.sandbox import Sandbox
from auditor.sandbox.kinds import NETWORK_POLICY
from auditor.sandbox.labels import PROBE, RUN
from auditor.sandbox.scope import Scope

from . import _balancing, _mesh, _peers, _policy
from ._external import LOAD_BALANCER_SECONDS, address_granted, external_service

_START_SECONDS = 10.0


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """A pod and a Service on each sampled node, clients beside them, and those of policies and balancing."""
    nodes, left_out = _peers.sample(scope, sandbox.settings.tolerations)
    routes = _mesh.measured_routes(nodes)
    several = [_peers.server(sandbox, 0, node) for node in nodes[:1]]
    several += [_peers.service(sandbox, 0) for _ in nodes[:1]]
    several += [_mesh.client(sandbox, "mesh", 0, node, []) for node in nodes[:1]]
    once = [*_policy.objects(sandbox), *_balancing.objects(sandbox, nodes)]
    if scope.options.load_balancer:
        once.append(external_service(sandbox))
    speeds = [_mesh.client(sandbox, "speed", 0, route[0], []) for route in routes[:1]]
    each_seconds = scope.options.throughput_seconds + _mesh.ROUND_TRIP_SECONDS
    return ProbePlan(
        objects=(
            *(Planned(manifest=manifest, count=len(nodes)) for manifest in several),
            *(Planned(manifest=manifest) for manifest in once),
            *(Planned(manifest=manifest, count=len({a.name for a, _ in routes})) for manifest in speeds),
        ),
        pods_at_once=2 * len(nodes) + _policy.PODS + _balancing.PODS,
        seconds=3 * _START_SECONDS + _policy.EFFECT_SECONDS + len(routes) * each_seconds,
        load_balancers=int(scope.options.load_balancer),
        notes=tuple(f"{each.count} of the nodes get no pod: {each.reason}." for each in left_out),
    )


@probe(
    "network",
    title="Whether pods reach each other, Services and the API server, how fast, and whether policies are enforced",
    yields=NetworkObservations,
    needs=(
        *rights("create get delete", "pods"),
        *rights("get", "pods/log"),
        *rights("create", "services"),
        *rights("list", "pods", optional=True),
        *rights("get", "services", optional=True),
        *rights("create list", NETWORK_POLICY.plural, group=NETWORK_POLICY.group, optional=True),
        *rights("list", "events", optional=True),
    ),
    plan=plan,
)
def network(sandbox: Sandbox, scope: Scope) -> NetworkObservations:
    """Connect everybody with everybody; meanwhile try policies and balancing; then measure, one pair at a time."""
    started_at, started = datetime.now(UTC), time.monotonic()
    nodes, left_out = _peers.sample(scope, sandbox.settings.tolerations)
    try:
        peers, failed = _peers.raised(sandbox, nodes)
        with ThreadPoolExecutor(max_workers=3) as pool:
            policy = pool.submit(_policy.tried, sandbox, next(iter(peers), None))
            balancing = pool.submit(_balancing.tried, sandbox, nodes)
            external = pool.submit(address_granted, sandbox, wanted=scope.options.load_balancer)
            reached = _mesh.reached(sandbox, peers)
            steps, spread, loss = balancing.result()
            policy_steps = policy.result()
            speeds = _mesh.speeds(sandbox, peers, scope.options.throughput_seconds)
            granted = external.result()
        return NetworkObservations(
            started_at=started_at,
            took_seconds=time.monotonic() - started,
            peers={peer.node: peer.zone for peer in peers},
            failed=failed | reached.failed,
            left_out=tuple(left_out),
            foreign_policies=_foreign_policies(sandbox),
            connections=tuple(reached.connections),
            paths=tuple(reached.paths),
            speeds=tuple(speeds),
            api_server=reached.api_server,
            policy=policy_steps,
            balancing=steps,
            spread=spread,
            loss=loss,
            load_balancer=granted,
        )
    finally:
        _remove_pods(sandbox)


def _foreign_policies(sandbox: Sandbox) -> tuple[str, ...]:
    """What a site puts into every new namespace, or has in the one that is given; none where it may not be seen."""
    try:
        found = sandbox.list(NETWORK_POLICY.kind)
    except ObjectError:
        return ()
    names = (each["metadata"] for each in found)
    return tuple(sorted(each["name"] for each in names if (each.get("labels") or {}).get(RUN) != sandbox.run_id))


def _remove_pods(sandbox: Sandbox) -> None:
    """They would count for the namespace's quota while other probes run; what is left goes with the sandbox."""
    with suppress(ObjectError):
        for pod in sandbox.list(Pod.api.kind, labels=f"{RUN}={sandbox.run_id},{PROBE}={sandbox.probe}"):
            sandbox.delete(Pod.api.kind, pod["metadata"]["name"], grace_seconds=0)


__all__ = ["LOAD_BALANCER_SECONDS", "network", "plan"]
