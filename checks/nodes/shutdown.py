"""Do pods get time to stop when their node shuts down?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Severity, check
from auditor.facts.durations import format_duration
from auditor.facts.kubelet import KUBELET_PARTS, KubeletConfiguration, kubelet_configuration

_FIX = Fix(text="Set shutdownGracePeriod to 45s or more and shutdownGracePeriodCriticalPods to 15s on every kubelet.")

_SYSTEM_CRITICAL = 2 * 10**9
"""The priority of system-cluster-critical; CSI drivers' node plugins have this one or a higher one."""


@check(
    "nodes.graceful-shutdown",
    title="A node that shuts down gives its pods time to stop",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=KUBELET_PARTS,
    aliases=("NOD-009",),
)
def graceful_shutdown(facts: Facts) -> Iterator[Finding]:
    """Unless it is configured to, the kubelet does nothing when its machine shuts down: pods die with it.

    ## What it checks
    The kubelet's configuration has a `shutdownGracePeriod` and, as a share of it, a
    `shutdownGracePeriodCriticalPods`, or `shutdownGracePeriodByPodPriority` in their place. The configuration is that
    of one node (`auditor collect --kubelet-config`) or kubeadm's; without either the finding is unknown.

    Both periods are 0 by default, which switches the feature off: a warning, since nodes that are drained before they
    go do not need it. Periods that leave ordinary pods no time at all are a failure, those that leave critical pods
    none a warning.

    ## Why it matters
    On a shutdown without grace a broker has no time to hand over its partitions and a DataNode none to finish blocks.
    The API does not learn that the pods are gone, so that a StatefulSet starts no replacement; when it does, the volume
    is still attached to the old node, and is taken from it by force after six minutes. Critical pods need their share
    for the same reason: the storage driver unmounts volumes after the pods that use them have stopped.

    ## How to fix
    Set it in the kubelet's configuration of every node, and let systemd wait as long (`InhibitDelayMaxSec` in
    logind.conf; the kubelet raises it by itself where it may):

        shutdownGracePeriod: 45s
        shutdownGracePeriodCriticalPods: 15s

    Give brokers and DataNodes the time that they need to stop, usually more. Drain nodes before planned work all the
    same.

    ## References
    - [Graceful node shutdown](https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#graceful-node-shutdown)
    - [Kubelet configuration](https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/)
    - [EBS CSI driver: volumes take six minutes to detach](https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/faq.md)
    """
    configuration = kubelet_configuration(facts)
    if configuration is None:
        yield Finding.unknown(
            "The kubelets' shutdown grace period was not read: the cluster has no kubelet configuration of kubeadm's, "
            "and no node was asked for its own.",
            fix=Fix(
                text="Collect one node's kubelet configuration; that needs the right to nodes/proxy.",
                command="auditor collect --kubelet-config",
            ),
        )
    else:
        yield _judge(configuration)


def _judge(configuration: KubeletConfiguration) -> Finding:
    periods = _periods(configuration)
    source, evidence = configuration.source, _seen(configuration)
    if periods is None:
        return Finding.warn(
            f"The kubelets do nothing when their node shuts down: shutdownGracePeriod is 0s in {source}, "
            "more was expected.",
            fix=_FIX,
            evidence=evidence,
        )
    ordinary, critical = periods
    if ordinary <= timedelta():
        return Finding.fail(
            f"Ordinary pods get no time when their node shuts down, although {source} asks for a graceful shutdown: "
            f"critical pods take all of it ({format_duration(critical)}).",
            fix=_FIX,
            evidence=evidence,
        )
    if critical <= timedelta():
        return Finding.warn(
            f"Critical pods, storage drivers among them, get no time when their node shuts down; ordinary pods get "
            f"{format_duration(ordinary)} ({source}).",
            fix=_FIX,
            evidence=evidence,
        )
    return Finding.ok(
        f"When a node shuts down, ordinary pods get {format_duration(ordinary)} and critical pods "
        f"{format_duration(critical)} ({source}).",
        evidence=evidence,
    )


def _periods(configuration: KubeletConfiguration) -> tuple[timedelta, timedelta] | None:
    """The time of ordinary and of critical pods; None where the feature is off."""
    by_priority = sorted(configuration.shutdown_grace_period_by_pod_priority, key=lambda each: each.priority)
    if by_priority:
        ordinary = [each for each in by_priority if each.priority <= 0] or by_priority[:1]
        critical = [each for each in by_priority if each.priority <= _SYSTEM_CRITICAL] or by_priority[:1]
        return (
            timedelta(seconds=ordinary[-1].shutdown_grace_period_seconds),
            timedelta(seconds=critical[-1].shutdown_grace_period_seconds),
        )
    total = configuration.shutdown_grace_period
    if total <= timedelta():
        return None
    critical_pods = configuration.shutdown_grace_period_critical_pods
    return total - critical_pods, critical_pods


def _seen(configuration: KubeletConfiguration) -> dict[str, object]:
    return {
        "source": configuration.source,
        "shutdownGracePeriod": format_duration(configuration.shutdown_grace_period),
        "shutdownGracePeriodCriticalPods": format_duration(configuration.shutdown_grace_period_critical_pods),
        "shutdownGracePeriodByPodPriority": [
            {"priority": each.priority, "seconds": each.shutdown_grace_period_seconds}
            for each in configuration.shutdown_grace_period_by_pod_priority
        ],
    }
