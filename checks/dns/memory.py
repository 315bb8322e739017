"""Does CoreDNS have the memory to know the whole cluster?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, check, threshold
from auditor.facts.dns import COREFILE_PARTS, ClusterDns, find_dns
from auditor.facts.kube import Pod, Service
from auditor.facts.quantity import quantity_bytes

from .._wording import counted
from ._corefile import Reading, no_service, read_corefile

_SCALING = "CoreDNS' guide Scaling_CoreDNS.md, a fit of measurements on clusters of up to 158,200 pods and Services."
_MEGABYTE = 10**6


class MemoryParameters(Parameters, frozen=True, kw_only=True):
    """How much memory CoreDNS needs for a cluster of some size."""

    base_megabytes: Annotated[
        float,
        threshold("Megabytes that CoreDNS needs with full caches and load, without objects.", source=_SCALING, ge=1),
    ] = 54
    objects_per_megabyte: Annotated[
        float, threshold("Pods and Services whose knowledge takes one megabyte.", source=_SCALING, ge=1)
    ] = 1000
    base_megabytes_with_pods: Annotated[
        float, threshold("The same base where CoreDNS watches pods (autopath, pods verified).", source=_SCALING, ge=1)
    ] = 56
    objects_per_megabyte_with_pods: Annotated[
        float, threshold("The same share where CoreDNS watches pods (autopath, pods verified).", source=_SCALING, ge=1)
    ] = 250

    def needed_bytes(self, objects: int, *, watches_pods: bool) -> float:
        """Bytes that CoreDNS needs for so many pods and Services."""
        if watches_pods:
            return (self.base_megabytes_with_pods + objects / self.objects_per_megabyte_with_pods) * _MEGABYTE
        return (self.base_megabytes + objects / self.objects_per_megabyte) * _MEGABYTE


@check(
    "dns.memory-limit",
    title="CoreDNS may use the memory that the cluster's size asks for",
    severity=Severity.HIGH,
    reads=(Service, Pod, *COREFILE_PARTS),
    aliases=("DNS-005",),
)
def memory_limit(facts: Facts, params: MemoryParameters) -> Iterator[Finding]:
    """CoreDNS keeps every Service and its backends in memory, and is killed when they no longer fit.

    ## What it checks
    The memory limit of the CoreDNS containers is at least what CoreDNS' own guide asks for: 54 MB and one more for each
    1,000 pods and Services. Where the Corefile makes CoreDNS watch pods too (`autopath`, `pods verified`) it is 56 MB
    and one for each 250. Pods that have ended do not count. A container without a limit meets it.

    The older kube-dns and Corefiles that GKE hides are not judged.

    ## Why it matters
    All replicas know the same objects and so are killed together, out of memory, when the cluster has grown beyond the
    limit, and again while they start: DNS is gone for everybody. The usual limit of 170 MiB bears some 120,000 pods and
    Services, but with `autopath` less than 31,000, which a cluster of many short Spark executors reaches.

    ## How to fix
    Raise the limit, and the request with it:

        kubectl --namespace kube-system set resources deployment coredns --limits=memory=512Mi --requests=memory=256Mi

    ## References
    - [Scaling CoreDNS in Kubernetes clusters](https://github.com/coredns/deployment/blob/master/kubernetes/Scaling_CoreDNS.md)
    - [CoreDNS: autopath](https://coredns.io/plugins/autopath/)
    - [CoreDNS autoscaling and memory on AKS](https://learn.microsoft.com/azure/aks/coredns-autoscale)
    """
    dns = find_dns(facts)
    if dns is None:
        yield no_service()
        return
    if not dns.servers:
        yield Finding.skip("No CoreDNS container is visible in this cluster, so no limit can be judged.")
        return
    limits = _limits(dns)
    objects = sum(not pod.is_finished for pod in facts.list(Pod)) + len(facts.list(Service))
    if free := limits.pop(None, []):
        yield Finding.ok(
            f"CoreDNS has no memory limit in {counted(len(free), 'pod')}.", subjects=[pod.subject for pod in free]
        )
    least = params.needed_bytes(objects, watches_pods=False)
    most = max(least, params.needed_bytes(objects, watches_pods=True))
    undecided = {}
    for limit, pods in sorted(limits.items(), key=lambda one: str(one[0])):
        allowed = quantity_bytes(limit or "0")
        if allowed < least:
            yield _finding(Status.FAIL, dns, pods, limit or "", objects, least, watches_pods=False)
        elif allowed >= most:
            yield _finding(Status.OK, dns, pods, limit or "", objects, most, watches_pods=True)
        else:
            undecided[limit or ""] = pods
    if undecided:
        yield from _by_corefile(facts, dns, undecided, objects, params)


def _limits(dns: ClusterDns) -> dict[str | None, list[Pod]]:
    """The pods by the limit of their CoreDNS container."""
    limits: defaultdict[str | None, list[Pod]] = defaultdict(list)
    for pod, container in dns.servers:
        limits[((container.resources and container.resources.limits) or {}).get("memory")].append(pod)
    return dict(limits)


def _by_corefile(
    facts: Facts, dns: ClusterDns, limits: dict[str, list[Pod]], objects: int, params: MemoryParameters
) -> Iterator[Finding]:
    """What is enough depends on whether CoreDNS watches pods, which only the Corefile tells."""
    reading = read_corefile(facts)
    if isinstance(reading, Finding):
        yield reading
        return
    watches_pods = _watches_pods(reading)
    if not watches_pods and reading.corefile.missing:
        yield Finding.unknown(
            "Whether CoreDNS watches pods, which takes more memory than the limit allows, cannot be told: the Corefile "
            f"imports {reading.unknown_imports}.",
            subjects=[pod.subject for pods in limits.values() for pod in pods],
            fix="Look whether the imported files hold the plugin autopath or the option pods verified.",
        )
        return
    needed = params.needed_bytes(objects, watches_pods=watches_pods)
    for limit, pods in limits.items():
        status = Status.FAIL if watches_pods else Status.OK
        yield _finding(status, dns, pods, limit, objects, needed, watches_pods=watches_pods)


def _watches_pods(reading: Reading) -> bool:
    verified = any(
        option.name == "pods" and option.args == ("verified",)
        for _, directive in reading.corefile.plugins("kubernetes")
        for option in directive.options
    )
    return verified or any(reading.corefile.plugins("autopath"))


def _finding(
    status: Status, dns: ClusterDns, pods: Sequence[Pod], limit: str, objects: int, needed: float, *, watches_pods: bool
) -> Finding:
    megabytes = round(needed / _MEGABYTE)
    subjects = [pod.subject for pod in pods]
    how = ", even if it watched pods" if status is Status.OK and watches_pods else ""
    if status is Status.OK:
        return Finding.ok(
            f"CoreDNS may use {limit} of memory in {counted(len(pods), 'pod')}; {megabytes} MB are needed for "
            f"{objects} pods and Services{how}.",
            subjects=subjects,
        )
    kind, name = dns.workload or ("", "")
    reason = ", since it watches pods (autopath or pods verified)" if watches_pods else ""
    return Finding.fail(
        f"CoreDNS may use {limit} of memory in {counted(len(pods), 'pod')}, at least {megabytes} MB were expected for "
        f"{objects} pods and Services{reason}: it will be killed out of memory.",
        subjects=subjects,
        fix=f"Raise the memory limit of CoreDNS to {megabytes} MB at least, with room to grow.",
        command=(
            f"kubectl --namespace {dns.namespace} set resources {kind.lower()} {name} --limits=memory={2 * megabytes}M"
            if name and not dns.is_openshifts
            else None
        ),
        evidence={"limit": limit, "needed_megabytes": megabytes, "objects": objects},
    )
