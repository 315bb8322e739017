"""Do the DNS servers stay up?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Annotated

from auditor import Facts, Finding, Fix, Parameters, Severity, Status, check, threshold
from auditor.facts.dns import ClusterDns, find_dns
from auditor.facts.kube import Pod, Service
from auditor.facts.kube.pods import ContainerStatus, Terminated
from auditor.facts.times import age_at_collection

from .._wording import counted, examples, full_name, full_names
from ._corefile import no_service

_STARTING = ("ContainerCreating", "PodInitializing")
_OUT_OF_MEMORY = "OOMKilled"
_EXIT_OF_A_LOST_NODE = 255
"""What the kubelet says of containers that it no longer found, after the node was started again."""


class RestartsParameters(Parameters, frozen=True, kw_only=True):
    """How long ago a restart still counts."""

    window_minutes: Annotated[
        float,
        threshold(
            "Minutes before the end of the collection in which no DNS container may have restarted.",
            source="No upstream number; an hour covers the back-off of a crash loop (5 minutes) many times.",
            ge=0,
        ),
    ] = 60


@check(
    "dns.no-restarts",
    title="No DNS pod crashes or has restarted lately",
    severity=Severity.HIGH,
    reads=(Service, Pod),
    aliases=("DNS-017",),
)
def no_restarts(facts: Facts, params: RestartsParameters) -> Iterator[Finding]:
    """A DNS server that crashes now and then makes everything else fail now and then.

    ## What it checks
    No container of a DNS pod waits after a crash or for an image, and none ended with an error in the hour before the
    facts were collected. An end without error, or one that came with the restart of the node, is a warning. One that
    was killed for lack of memory is a warning however long ago it was.

    ## Why it matters
    Each restart of CoreDNS is a gap of seconds in which a share of all questions is lost, and each of them costs its
    asker five. The usual reasons: an invalid Corefile; a forwarding loop, since the node's resolv.conf names
    127.0.0.53 (systemd-resolved) and CoreDNS so asks itself, which it ends with "Loop … detected"; a memory limit that
    the cluster has outgrown.

    ## How to fix
    Read what the last container said, and mend that:

        kubectl --namespace kube-system logs --previous POD

    Against the loop, let the kubelet give pods the real file: `resolvConf: /run/systemd/resolve/resolv.conf`.

    ## References
    - [CoreDNS: loop, troubleshooting in Kubernetes](https://coredns.io/plugins/loop/#troubleshooting-loops-in-kubernetes-clusters)
    - [Debugging DNS resolution: known issues](https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/#known-issues)
    - [Container restarts](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy)
    """
    dns = find_dns(facts)
    if dns is None:
        yield no_service()
        return
    if not dns.pods:
        yield Finding.skip(
            f"Service {full_name(dns.service)} has no pods whose restarts could be judged; dns.service-endpoints "
            "judges whether it needs some."
        )
        return
    groups: defaultdict[_Trouble, list[tuple[Pod, ContainerStatus]]] = defaultdict(list)
    window = timedelta(minutes=params.window_minutes)
    for pod in dns.pods:
        for status in pod.status.container_statuses or ():
            trouble = _trouble(facts, status, window)
            if trouble is not None:
                groups[trouble].append((pod, status))
    for trouble, found in sorted(groups.items(), key=lambda one: list(_Kind).index(one[0].kind)):
        yield _finding(dns, trouble, found, params)
    if not groups:
        yield Finding.ok(
            f"{counted(len(dns.pods), 'DNS pod')}: no container crashes or has restarted in the last "
            f"{params.window_minutes:g} minutes.",
            subjects=[pod.subject for pod in dns.pods],
        )


class _Kind(Enum):
    """What is wrong with a container, with the status of its finding; the worst first."""

    WAITS = Status.FAIL, "waits"
    FAILED = Status.FAIL, "failed"
    UNKNOWN_TIME = Status.UNKNOWN, "restarted, and when cannot be told"
    ENDED = Status.WARN, "ended without error"
    OUT_OF_MEMORY = Status.WARN, "was once killed out of memory"


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What some containers have in common."""

    kind: _Kind
    reason: str
    loop: bool


def _trouble(facts: Facts, status: ContainerStatus, window: timedelta) -> _Trouble | None:
    now = status.state
    ended = (now and now.terminated) or (status.last_state and status.last_state.terminated) or None
    loop = ended is not None and "Loop" in (ended.message or "")
    if now is not None and now.waiting is not None and now.waiting.reason not in (None, *_STARTING):
        return _Trouble(_Kind.WAITS, now.waiting.reason or "", loop)
    if ended is None:
        return None
    reason = ended.reason or f"exit code {ended.exit_code}"
    age = age_at_collection(facts, ended.finished_at)
    if age is None:
        return _Trouble(_Kind.UNKNOWN_TIME, reason, loop)
    if age <= window:
        return _Trouble(_Kind.FAILED if _is_error(ended) else _Kind.ENDED, reason, loop)
    return _Trouble(_Kind.OUT_OF_MEMORY, reason, loop) if reason == _OUT_OF_MEMORY else None


def _is_error(ended: Terminated) -> bool:
    return bool(ended.exit_code) and not (ended.reason == "Unknown" and ended.exit_code == _EXIT_OF_A_LOST_NODE)


def _finding(
    dns: ClusterDns,
    trouble: _Trouble,
    found: Sequence[tuple[Pod, ContainerStatus]],
    params: RestartsParameters,
) -> Finding:
    status, _ = trouble.kind.value
    pods = list(dict.fromkeys(full_name(pod) for pod, _ in found))
    subjects = [pod for pod in dns.pods if full_name(pod) in pods]
    loop = ", its last message speaks of a forwarding loop" if trouble.loop else ""
    return Finding.of(
        status,
        f"{_said(trouble, subjects, params)}{loop}.",
        subjects=[pod.subject for pod in subjects],
        fix=_remedy(dns, trouble, subjects),
        evidence={
            "restarts": examples({f"{full_name(pod)} {one.name}": one.restart_count for pod, one in found}),
        },
    )


def _said(trouble: _Trouble, pods: Sequence[Pod], params: RestartsParameters) -> str:
    who = f"{counted(len(pods), 'DNS pod')} ({full_names(pods)})"
    has = "has" if len(pods) == 1 else "have"
    within = f"in the last {params.window_minutes:g} minutes"
    match trouble.kind:
        case _Kind.WAITS:
            return f"{who} {has} a container that does not run ({trouble.reason}), none was expected"
        case _Kind.FAILED:
            return f"{who} {has} a container that failed {within} ({trouble.reason}), none was expected"
        case _Kind.ENDED:
            return f"{who} {has} a container that ended {within} ({trouble.reason}), none was expected"
        case _Kind.OUT_OF_MEMORY:
            return f"{who} {has} a container that was killed out of memory before, none was expected"
        case _Kind.UNKNOWN_TIME:
            return f"{who} {has} a container that restarted ({trouble.reason}), and how long ago cannot be told"


def _remedy(dns: ClusterDns, trouble: _Trouble, pods: Sequence[Pod]) -> Fix:
    logs = f"kubectl --namespace {dns.namespace} logs --previous {pods[0].name}"
    if trouble.loop:
        return Fix(
            text="Give the kubelets a resolvConf without a loopback address, or name upstream servers in the Corefile.",
            command=logs,
        )
    if trouble.reason == _OUT_OF_MEMORY:
        return Fix(text="Raise the memory limit of the DNS containers; dns.memory-limit says how far.", command=logs)
    if trouble.reason in ("ImagePullBackOff", "ErrImagePull", "InvalidImageName"):
        return Fix(
            text="Make the image available to the node.",
            command=f"kubectl --namespace {dns.namespace} describe pod {pods[0].name}",
        )
    return Fix(text="Read what the last container said, and mend its reason.", command=logs)
