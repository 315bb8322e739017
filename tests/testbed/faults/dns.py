"""Faults of DNS: CoreDNS itself, its upstream, and the packets on their way to it."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from tests.testbed import processes
from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults import dns_upstream, packet_delay
from tests.testbed.faults.changes import healthy_afterwards, patched, scaled
from tests.testbed.faults.journal import fault
from tests.testbed.layout import (
    CONTROL_PLANE_ADDRESS,
    CONTROL_PLANE_NETNS,
    DNS_SERVICE_ADDRESS,
    NODES,
    NodeLayout,
)
from tests.testbed.shell import run

NAMESPACE = "kube-system"
PODS = "k8s-app=kube-dns"
UPSTREAM_PORT = 5300
_QUEUE = "53"
_IPTABLES = ("iptables", "--wait", "5", "--table", "mangle")
_REFRESH = "testbed.auditor/refresh"
_UNKNOWN = "unknown"
_CONFIGURATION_HASH = re.compile(r'^coredns_reload_version_info\{.*value="(\w+)"', re.MULTILINE)


@fault
def coredns_single(cluster: Cluster) -> Iterator[None]:
    """CoreDNS has one pod only."""
    with healthy_afterwards(cluster), scaled(cluster, "coredns", namespace=NAMESPACE, replicas=1):
        wait_for("one CoreDNS pod", lambda: len(_pods(cluster)) == 1)
        yield


@fault
def coredns_crashing(cluster: Cluster) -> Iterator[None]:
    """CoreDNS crashes at every start, because of an option that its Corefile has and it does not know."""
    with healthy_afterwards(cluster), ExitStack() as stack:
        stack.callback(_replace_pods, cluster)
        stack.enter_context(_corefile(cluster, lambda text: text.replace("errors", "no-such-plugin", 1)))
        _replace_pods(cluster)
        wait_for("CoreDNS to have crashed", lambda: _all_crashed(cluster))
        yield


@fault
def coredns_without_endpoints(cluster: Cluster) -> Iterator[None]:
    """CoreDNS runs with ``noendpoints``: names of headless Services and of their pods do not resolve."""
    option = "pods insecure\n        noendpoints"
    with _reloaded_corefile(cluster, lambda text: text.replace("pods insecure", option, 1)):
        yield


@fault
def slow_dns_upstream(cluster: Cluster, *, delay_seconds: float = 1.5, drop_share: float = 0.0) -> Iterator[None]:
    """Names outside the cluster take a while, or fail for a share of the questions.

    CoreDNS asks a server of the test bed's own, which knows every name. CoreDNS itself gives up after 2 s per try.
    """
    address = f"{CONTROL_PLANE_ADDRESS}:{UPSTREAM_PORT}"
    settings = [f"--delay-seconds={delay_seconds}", f"--drop-share={drop_share}"]
    with (
        _program("dns-upstream", dns_upstream.__file__, f"--listen={address}", *settings, netns=CONTROL_PLANE_NETNS),
        _reloaded_corefile(cluster, lambda text: re.sub(r"forward \. \S+", f"forward . {address}", text)),
    ):
        yield


@fault
def dns_packets_dropped(cluster: Cluster, *, share: float = 1.0, node: str | None = None) -> Iterator[None]:
    """A share of the pods' packets to the DNS Service is lost, on one node or on all of them."""
    loss = ["-m", "statistic", "--mode", "random", "--probability", str(share), "-j", "DROP"]
    with ExitStack() as stack:
        for each in _nodes(node):
            stack.enter_context(_dns_packets(each, *loss))
        yield


@fault
def dns_packets_delayed(cluster: Cluster, *, delay_seconds: float = 0.2, node: str | None = None) -> Iterator[None]:
    """The pods' packets to the DNS Service arrive late, on one node or on all of them."""
    hold = ["-j", "NFQUEUE", "--queue-num", _QUEUE, "--queue-bypass"]
    settings = [f"--queue={_QUEUE}", f"--delay-seconds={delay_seconds}"]
    with ExitStack() as stack:
        for each in _nodes(node):
            name = f"packet-delay-{each.name}"
            stack.enter_context(_program(name, packet_delay.__file__, *settings, netns=each.netns))
            wait_for(f"the packet queue on {each.name}", partial(_has_queue, each), poll_seconds=0.1)
            stack.enter_context(_dns_packets(each, *hold))
        yield


@contextmanager
def _corefile(cluster: Cluster, change: Callable[[str], str]) -> Iterator[None]:
    before = cluster.core.read_namespaced_config_map("coredns", NAMESPACE).data["Corefile"]
    after = change(before)
    assert after != before, f"the Corefile is not what this fault expects:\n{before}"
    with patched(cluster, "ConfigMap", "coredns", {"data": {"Corefile": after}}, namespace=NAMESPACE):
        yield


@contextmanager
def _reloaded_corefile(cluster: Cluster, change: Callable[[str], str]) -> Iterator[None]:
    """A Corefile that the running CoreDNS pods have read."""
    before = _configurations(cluster)
    with ExitStack() as afterwards, _corefile(cluster, change):
        _reload(cluster, old=before)
        afterwards.callback(_reload, cluster, old=_configurations(cluster))
        yield


def _reload(cluster: Cluster, *, old: set[str]) -> None:
    """Have the kubelets project the ConfigMap at once, not within their minute: a change to the pod makes them look."""

    def is_done() -> bool:
        _annotate_pods(cluster, uuid.uuid4().hex)
        now = _configurations(cluster)
        return _UNKNOWN not in now and now.isdisjoint(old)

    try:
        wait_for("CoreDNS to read its Corefile", is_done, poll_seconds=1)
    finally:
        _annotate_pods(cluster, None)


def _annotate_pods(cluster: Cluster, value: str | None) -> None:
    for pod in _pods(cluster):
        change = {"metadata": {"annotations": {_REFRESH: value}}}
        cluster.core.patch_namespaced_pod(pod.metadata.name, NAMESPACE, change)


def _configurations(cluster: Cluster) -> set[str]:
    """The hashes of the configurations that the CoreDNS pods run with; unknown before a pod's first reload."""
    metrics = f"/api/v1/namespaces/{NAMESPACE}/pods/{{}}:9153/proxy/metrics"
    texts = [cluster.get(metrics.format(pod.metadata.name)) for pod in _pods(cluster)]
    found = [_CONFIGURATION_HASH.search(text) for text in texts]
    return {match[1] if match else _UNKNOWN for match in found}


def _pods(cluster: Cluster) -> list[Any]:
    pods: list[Any] = cluster.core.list_namespaced_pod(NAMESPACE, label_selector=PODS).items
    return pods


def _replace_pods(cluster: Cluster) -> None:
    old = {pod.metadata.uid for pod in _pods(cluster)}
    cluster.core.delete_collection_namespaced_pod(NAMESPACE, label_selector=PODS, grace_period_seconds=1)
    wait_for("new CoreDNS pods", lambda: old.isdisjoint(pod.metadata.uid for pod in _pods(cluster)))


def _all_crashed(cluster: Cluster) -> bool:
    statuses = [status for pod in _pods(cluster) for status in pod.status.container_statuses or ()]
    return bool(statuses) and all(status.restart_count > 0 and not status.ready for status in statuses)


@contextmanager
def _dns_packets(node: NodeLayout, *fate: str) -> Iterator[None]:
    """What becomes of the pods' packets to the DNS Service, before kube-proxy's rules see them."""
    mine = ["-m", "comment", "--comment", "auditor-testbed-fault"]
    with ExitStack() as stack:
        for protocol in ("udp", "tcp"):
            rule = ["PREROUTING", "-p", protocol, "-d", DNS_SERVICE_ADDRESS, "--dport", "53", *mine, *fate]
            run(*_IPTABLES, "-I", *rule, netns=node.netns)
            stack.callback(run, *_IPTABLES, "-D", *rule, netns=node.netns)
        yield


@contextmanager
def _program(name: str, file: str, *settings: str, netns: str) -> Iterator[None]:
    """A program of this package; -P keeps its neighbours from hiding modules of the standard library."""
    try:
        processes.start(name, [sys.executable, "-P", file, *settings], netns=netns)
        yield
    finally:
        processes.forget(name)


def _has_queue(node: NodeLayout) -> bool:
    queues = run("cat", "/proc/net/netfilter/nfnetlink_queue", netns=node.netns).splitlines()
    return any(queue.split()[0] == _QUEUE for queue in queues)


def _nodes(name: str | None) -> list[NodeLayout]:
    return [node for node in NODES if name in (None, node.name)]
