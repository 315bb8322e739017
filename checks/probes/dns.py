"""Names as pods ask for them, in each zone: new and reverse ones, large answers, many at once, outside the cluster."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, TypeVar

import msgspec

from auditor import Planned, ProbePlan, probe, rights
from auditor.cluster import Manifest, ObjectError
from auditor.facts.dns import DNS_PORT, KUBE_SYSTEM, OPENSHIFT_NAMESPACE, OPENSHIFT_SERVICE
from auditor.facts.kube import EndpointSlice, Node, Pod
from auditor.facts.kube.discovery import SERVICE_NAME_LABEL
from auditor.facts.observations import Cause, Latencies, Step, StepState
from auditor.facts.observations.dns import LARGE, SERVERS, TARGET, DnsObservations, Server, View
from auditor.facts.observations.nodes import LeftOut
from auditor.sandbox import Sandbox, TroubleError
from auditor.sandbox.agent_pods import agent_pod, finished, results, started
from auditor.sandbox.causes import cause_of
from auditor.sandbox.labels import PROBE, RUN
from auditor.sandbox.scope import Scope

from .nodes import choose

T = TypeVar("T")

VIEWS = 6
AT_LEAST = 3
"""Views, also where there are fewer zones."""

FRESH_NAMES = 16
"""That one view can ask for; an EndpointSlice carries 100 ports."""
LARGE_ADDRESSES = 60
"""Of 16 bytes each: more than 512 bytes hold, less than the 1,232 that EDNS commonly allows."""
VISIBLE_SECONDS = 45.0
"""From the new pod's start: longer than what does not exist is kept by the caches of kubeadm's and AKS' Corefiles."""
BURST_SECONDS = 2.0

BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.5, 5.5, 9.5, 10.5)
_AROUND_TIMEOUT = (5.5, 10.5)
"""Upper bounds of the buckets around 5 s and 10 s."""

_HOSTNAME = "target"
_APP = "app"
_LISTENING_PORT = 19053
_FIRST_PORT = 20_000
_ADDRESSES = "AUDITOR_ADDRESSES"
_ASKED_SECONDS = 20.0
_TASK_SECONDS = 300.0
_EXAMPLES = 10
_SERVICES = ("kube-dns", "coredns", "rke2-coredns-rke2-coredns", OPENSHIFT_SERVICE)


def plan(sandbox: Sandbox, scope: Scope) -> ProbePlan:
    """A pod in each zone that asks, a pod to be asked for, and two headless Services."""
    nodes, left_out = views(scope, sandbox.settings.tolerations)
    asking = [observer(sandbox, scope, number, node, []) for number, node in enumerate(nodes[:1])]
    others = (service(sandbox, len(nodes)), large_service(sandbox), large_slice(sandbox), target(sandbox, []))
    name = scope.options.external_name
    outside = f"Pods ask for {name}, outside the cluster." if name else "No name outside the cluster is asked for."
    return ProbePlan(
        objects=(
            *(Planned(manifest=manifest, count=len(nodes)) for manifest in asking),
            *(Planned(manifest=manifest) for manifest in others),
        ),
        pods_at_once=len(nodes) + 1,
        seconds=30 + scope.options.lookups / 200,
        notes=(outside, *(f"{each.count} of the nodes get no pod: {each.reason}." for each in left_out)),
    )


@probe(
    "dns",
    title="How soon pods know new names, and how fast and surely names resolve, from a node of each zone",
    yields=DnsObservations,
    needs=(
        *rights("create get list delete", "pods"),
        *rights("get", "pods/log"),
        *rights("create", "services"),
        *rights("create", EndpointSlice.api.plural, group=EndpointSlice.api.group, optional=True),
        *rights("list", EndpointSlice.api.plural, group=EndpointSlice.api.group, cluster_wide=True, optional=True),
        *rights("list", "events", optional=True),
    ),
    plan=plan,
)
def dns(sandbox: Sandbox, scope: Scope) -> DnsObservations:
    """Have pods ask for a name before it is there; then let it be, and ask for much more."""
    started_at, begun = datetime.now(UTC), time.monotonic()
    nodes, left_out = views(scope, sandbox.settings.tolerations)
    try:
        servers, ports, servers_step = _servers(sandbox)
        large_step = _large(sandbox)
        sandbox.create(service(sandbox, len(nodes)))
        asked = [{"address": address, "port": ports[address]} for address in servers]
        pods = {_name(sandbox, number): node for number, node in enumerate(nodes)}
        manifests = [
            observer(sandbox, scope, number, node, asked, large=large_step.state is StepState.OK)
            for number, node in enumerate(nodes)
        ]
        found, failed, target_step = _watched(sandbox, manifests)
    finally:
        _remove_pods(sandbox)
    return DnsObservations(
        started_at=started_at,
        took_seconds=time.monotonic() - begun,
        views={pods[name].name: view_of(said, pods[name].zone or "") for name, said in found.items()},
        failed={pods[name].name: cause for name, cause in failed.items()},
        left_out=tuple(left_out),
        servers=servers,
        large_addresses=LARGE_ADDRESSES if large_step.state is StepState.OK else 0,
        steps=(target_step, large_step, servers_step),
    )


def views(scope: Scope, tolerations: Sequence[Mapping[str, Any]]) -> tuple[list[Node], list[LeftOut]]:
    """A node of each zone, more where there are few zones; and the nodes from which nobody asks."""
    usable, left_out = choose(scope, tolerations)
    zones: defaultdict[str, list[Node]] = defaultdict(list)
    for node in usable:
        zones[node.zone or ""].append(node)
    in_turn = [n for round_ in zip_longest(*(zones[zone] for zone in sorted(zones))) for n in round_ if n is not None]
    chosen = in_turn[: min(max(len(zones), AT_LEAST), VIEWS)]
    if rest := sorted(node.name for node in in_turn[len(chosen) :]):
        why = f"a node of each zone is enough, and {AT_LEAST} to {VIEWS} of all"
        left_out = [*left_out, LeftOut(reason=why, count=len(rest), examples=tuple(rest[:_EXAMPLES]))]
    return chosen, left_out


def service(sandbox: Sandbox, observers: int) -> Manifest:
    """The headless Service of the new pod; each of its ports has a name that is asked for once."""
    name = _service_name(sandbox)
    ports = [
        {"name": port, "port": _FIRST_PORT + number * FRESH_NAMES + index}
        for number in range(max(observers, 1))
        for index, port in enumerate(_fresh(number))
    ]
    spec = {"clusterIP": "None", "selector": {_APP: name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def large_service(sandbox: Sandbox) -> Manifest:
    """A headless Service whose addresses are written by hand."""
    spec = {"clusterIP": "None", "ports": [{"name": "peer", "port": _FIRST_PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": _large_name(sandbox)}, "spec": spec}


def large_slice(sandbox: Sandbox) -> Manifest:
    """Its addresses, of the range for documentation, at which nobody is."""
    name = _large_name(sandbox)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": EndpointSlice.api.kind,
        "metadata": {"name": name, "labels": {SERVICE_NAME_LABEL: name}},
        "addressType": "IPv4",
        "ports": [{"name": "peer", "port": _FIRST_PORT, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [f"192.0.2.{number}"], "conditions": {"ready": True}}
            for number in range(1, LARGE_ADDRESSES + 1)
        ],
    }


def observer(
    sandbox: Sandbox, scope: Scope, number: int, node: Node, servers: Sequence[Mapping[str, Any]], *, large: bool = True
) -> Manifest:
    """A pod that asks."""
    arguments = {
        "namespace": sandbox.namespace,
        "service": _service_name(sandbox),
        "hostname": _HOSTNAME,
        "fresh": _fresh(number),
        "port": _LISTENING_PORT,
        "wait_seconds": sandbox.settings.patience_seconds + _ASKED_SECONDS,
        "visible_seconds": VISIBLE_SECONDS,
        "large": _large_name(sandbox) if large else "",
        "lookups": scope.options.lookups,
        "servers": list(servers),
        "external": scope.options.external_name,
        "burst_seconds": BURST_SECONDS,
    }
    return agent_pod(sandbox, "dns", arguments, name=_name(sandbox, number), node=node.name)


def target(sandbox: Sandbox, observers: Sequence[str]) -> Manifest:
    """The new pod; it has no readiness probe, so that it is ready as soon as it runs."""
    name = _service_name(sandbox)
    arguments = {
        "observers": list(observers),
        "port": _LISTENING_PORT,
        "addresses_variable": _ADDRESSES,
        "seconds": sandbox.settings.expiry_minutes * 60,
    }
    made = agent_pod(
        sandbox,
        "announce",
        arguments,
        name=sandbox.name("dns-target"),
        labels={_APP: name},
        hostname=_HOSTNAME,
        subdomain=name,
    )
    [container] = made["spec"]["containers"]
    own = {"name": _ADDRESSES, "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}
    return {**made, "spec": {**made["spec"], "containers": [{**container, "env": [*container["env"], own]}]}}


def _name(sandbox: Sandbox, number: int) -> str:
    return sandbox.name(f"dns-{number}")


def _service_name(sandbox: Sandbox) -> str:
    return sandbox.name("dns-new")


def _large_name(sandbox: Sandbox) -> str:
    return sandbox.name("dns-large")


def _fresh(number: int) -> list[str]:
    return [f"p{number}-{index}" for index in range(FRESH_NAMES)]


def _servers(sandbox: Sandbox) -> tuple[dict[str, Server], dict[str, int], Step]:
    """Who answers behind the cluster's DNS Service, and on which port."""
    servers: dict[str, Server] = {}
    ports: dict[str, int] = {}
    selector = f"{SERVICE_NAME_LABEL} in ({','.join(_SERVICES)})"
    try:
        found = [
            msgspec.convert(each, EndpointSlice)
            for namespace in (KUBE_SYSTEM, OPENSHIFT_NAMESPACE)
            for each in sandbox.objects.list(EndpointSlice.api, namespace=namespace, labels=selector)
        ]
    except ObjectError as error:
        return {}, {}, Step(name=SERVERS, state=StepState.NOT_DONE, cause=cause_of(error))
    for each in found:
        port = next((p.port for p in each.ports or () if p.protocol == "UDP" and p.port), DNS_PORT)
        for endpoint in each.endpoints or ():
            pod = endpoint.target_ref.name if endpoint.target_ref else ""
            service_name = f"{each.namespace}/{each.labels.get(SERVICE_NAME_LABEL, '')}"
            for address in endpoint.addresses[:1]:
                servers[address] = Server(
                    service=service_name, pod=pod or "", node=endpoint.node_name or "", ready=endpoint.is_ready
                )
                ports[address] = port
    return dict(sorted(servers.items())), ports, Step(name=SERVERS, state=StepState.OK)


def _large(sandbox: Sandbox) -> Step:
    """Make the Service with many addresses; not every account may write addresses by hand."""
    try:
        sandbox.create(large_service(sandbox))
        sandbox.create(large_slice(sandbox))
    except ObjectError as error:
        if error.missing_permission and error.resource != EndpointSlice.api.plural:
            raise
        return Step(name=LARGE, state=StepState.NOT_DONE, cause=cause_of(error))
    return Step(name=LARGE, state=StepState.OK)


def _watched(
    sandbox: Sandbox, manifests: Sequence[Manifest]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Cause], Step]:
    """What the observers say, why some say nothing, and whether there was a new pod to ask for."""
    names = [manifest["metadata"]["name"] for manifest in manifests]
    failed: dict[str, Cause] = {}

    def listening(manifest: Manifest) -> str | Cause:
        return _or_cause(lambda: _listening(sandbox, manifest))

    def said(name: str) -> list[dict[str, Any]] | Cause:
        return _or_cause(lambda: finished(sandbox, name, seconds=_TASK_SECONDS))

    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        addresses = dict(zip(names, pool.map(listening, manifests), strict=True))
        failed |= {name: each for name, each in addresses.items() if isinstance(each, Cause)}
        waiting = {name: each for name, each in addresses.items() if isinstance(each, str)}
        step = _announced(sandbox, sorted(waiting.values()))
        outcomes = dict(zip(waiting, pool.map(said, waiting), strict=True))
    failed |= {name: each for name, each in outcomes.items() if isinstance(each, Cause)}
    return {name: each for name, each in outcomes.items() if not isinstance(each, Cause)}, failed, step


def _or_cause(do: Callable[[], T]) -> T | Cause:
    """What was done, or the cause why not.

    Raises:
        ObjectError: the account lacks a permission.
    """
    try:
        return do()
    except TroubleError as error:
        return cause_of(error)
    except ObjectError as error:
        if error.missing_permission:
            raise
        return cause_of(error)


def _listening(sandbox: Sandbox, manifest: Manifest) -> str:
    """The address of an observer, once it has asked for the name that is not there."""
    name = manifest["metadata"]["name"]
    concerning = (Pod.api.kind, name)
    sandbox.create(manifest)
    started(sandbox, name)
    sandbox.wait_for(
        f"pod {name} asks its first question",
        lambda: True if any("before" in each for each in results(sandbox.log(name))) else None,
        seconds=_ASKED_SECONDS,
        concerning=concerning,
    )
    status = (sandbox.get(*concerning) or {}).get("status", {})
    return str(status.get("podIP", ""))


def _announced(sandbox: Sandbox, observers: Sequence[str]) -> Step:
    """Let the new pod come to be."""
    if not observers:
        cause = Cause(reason="Skipped", message="no pod was there to ask for it")
        return Step(name=TARGET, state=StepState.NOT_DONE, cause=cause)
    manifest = target(sandbox, observers)
    begun = time.monotonic()

    def start() -> Step:
        sandbox.create(manifest)
        started(sandbox, manifest["metadata"]["name"])
        return Step(name=TARGET, state=StepState.OK, seconds=time.monotonic() - begun)

    outcome = _or_cause(start)
    if isinstance(outcome, Step):
        return outcome
    return Step(name=TARGET, state=StepState.FAILED, seconds=time.monotonic() - begun, cause=outcome)


def view_of(said: Sequence[Mapping[str, Any]], zone: str) -> View:
    """One observer's results, as the document has them."""
    merged: dict[str, Any] = {"zone": zone, "servers": {}}
    for each in said:
        for key, value in each.items():
            if key == "before":
                merged |= {"before": value["error"], "denied_seconds": value.get("denied_seconds")}
            elif key == "server":
                merged["servers"][value["address"]] = _summary(value)
            elif key == "external":
                merged[key] = {name: _summary(part) for name, part in value.items()}
            else:
                merged[key] = _summary(value)
    return msgspec.convert(merged, View)


def _summary(value: Any) -> Any:
    """Look-ups with their samples made a summary; anything else as it is."""
    if not isinstance(value, Mapping) or "microseconds" not in value:
        return value
    samples = [microseconds / 1e6 for microseconds in value["microseconds"]]
    buckets = histogram(samples)
    return {
        **{key: each for key, each in value.items() if key not in ("microseconds", "address")},
        "latencies": msgspec.to_builtins(Latencies.of(samples)) if samples else None,
        "buckets": buckets,
        "around_timeout": sum(buckets.get(f"{bound:g}", 0) for bound in _AROUND_TIMEOUT),
    }


def histogram(samples_seconds: Sequence[float]) -> dict[str, int]:
    """How many samples lie in each bucket; those without any are left out."""
    counts: defaultdict[str, int] = defaultdict(int)
    for sample in sorted(samples_seconds):
        bound = next((bound for bound in BUCKETS_SECONDS if sample <= bound), None)
        counts["more" if bound is None else f"{bound:g}"] += 1
    return dict(counts)


def _remove_pods(sandbox: Sandbox) -> None:
    """They would count for the namespace's quota while other probes run; what is left goes with the sandbox."""
    with suppress(ObjectError):
        for pod in sandbox.list(Pod.api.kind, labels=f"{RUN}={sandbox.run_id},{PROBE}={sandbox.probe}"):
            sandbox.delete(Pod.api.kind, pod["metadata"]["name"], grace_seconds=0)
