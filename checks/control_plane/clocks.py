"""Do the nodes' clocks agree?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Node
from auditor.facts.kube.coordination import Lease

from .._wording import counted, examples, listed
from ._figures import duration
from ._leases import renewed_at

_RENEWALS_PER_DURATION = 4
"""Kubelets renew their lease after a quarter of its duration."""

_DEFAULT_LEASE_SECONDS = 40
_NTP = "Let all nodes follow one source of time (chrony or systemd-timesyncd), and look at it on those that are off."
_LOOK = (
    "kubectl get leases --namespace kube-node-lease "
    "--output custom-columns=NODE:.metadata.name,RENEWED:.spec.renewTime --sort-by=.spec.renewTime"
)


class ClocksParameters(Parameters, frozen=True, kw_only=True):
    """How far clocks may be apart."""

    max_skew_seconds: Annotated[
        float,
        threshold(
            "Seconds by which a clock may certainly be wrong, else a warning.",
            source="No upstream number; leases are renewed every 10 s, and one renewal may be late.",
            ge=0,
        ),
    ] = 30
    fail_skew_seconds: Annotated[
        float,
        threshold(
            "The same for a failure.",
            source="MIT Kerberos, clockskew: 300 s by default; beyond it HDFS and Kafka with Kerberos refuse clients.",
            ge=0,
        ),
    ] = 300
    grace_seconds: Annotated[
        float,
        threshold(
            "A node may have been silent for so many seconds and still be called ready.",
            source="kube-controller-manager, --node-monitor-grace-period: 50 s by default since Kubernetes 1.32.",
            ge=0,
        ),
    ] = 50


@dataclass(frozen=True, slots=True)
class _Clock:
    """A node's clock, as its lease shows it.

    Attributes:
        node: whose clock it is.
        renewed: when the lease was last renewed, by that clock.
        interval: how often it is renewed.
    """

    node: Node
    renewed: datetime
    interval: timedelta


@check(
    "control-plane.clock-skew",
    title="The clocks of all nodes agree",
    severity=Severity.HIGH,
    reads=(Node, Lease),
    aliases=("CPL-012",),
)
def clock_skew(facts: Facts, params: ClocksParameters) -> Iterator[Finding]:
    """No node's clock is far from that of the others.

    ## What it checks
    The leases in `kube-node-lease`, which every kubelet renews every 10 s by its own clock. Those of nodes that are
    ready are compared with each other; the one in the middle is taken as right. A lease from the future shows a clock
    that is fast. One that is old by minutes shows a clock that is slow, or a kubelet that died a moment ago.

    Leases are up to 10 s old in the best of clusters, so that less than that cannot be seen, and less than 30 s is not
    judged. Whether clocks agree within a second has to be measured on the nodes.

    ## Why it matters
    Kerberos refuses clients whose clock is off by five minutes, and with it HDFS, Kafka and YARN. Kafka deletes and
    finds records by time, Flink's timers jump, a certificate made a moment ago is not valid yet, and logs of several
    nodes cannot be put in order.

    ## How to fix
    Run chrony or systemd-timesyncd on every node, virtual machines included, with one source of time for all:

        chronyc tracking

    ## References
    - [Leases: node heartbeats](https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats)
    - [MIT Kerberos: clockskew](https://web.mit.edu/kerberos/krb5-latest/doc/admin/conf_files/krb5_conf.html)
    - [kube-controller-manager: --node-monitor-grace-period](https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/)
    """
    clocks = _clocks(facts)
    if len(clocks) < 2:
        yield _nothing_to_compare(facts, clocks)
        return
    middle = median_low([clock.renewed for clock in clocks])
    interval = max(clock.interval for clock in clocks)  # as late may the one in the middle be
    ahead = interval + timedelta(seconds=params.max_skew_seconds)
    behind = interval + timedelta(seconds=params.grace_seconds + params.fail_skew_seconds)
    fast = {clock.node.name: by for clock in clocks if (by := clock.renewed - middle) > ahead}
    slow = {clock.node.name: by for clock in clocks if (by := middle - clock.renewed) > behind}
    if fast:
        yield _fast(fast, clocks, max(fast.values()) - interval, params)
    if slow:
        yield _slow(slow, clocks, params)
    if not fast and not slow:
        spread = max(clock.renewed for clock in clocks) - min(clock.renewed for clock in clocks)
        yield Finding.ok(
            f"The leases of {len(clocks)} ready nodes were renewed within {duration(spread)} of each other: no clock "
            f"is certainly fast by more than {params.max_skew_seconds:g} s."
        )


def _clocks(facts: Facts) -> list[_Clock]:
    """The clocks of the nodes that are ready, by name; the lease of another node is old for another reason."""
    leases = {lease.name: lease for lease in facts.list(Lease) if lease.is_of_node}
    clocks = []
    for node in sorted(facts.list(Node), key=lambda node: node.name):
        lease = leases.get(node.name)
        renewed = renewed_at(lease) if lease is not None else None
        if lease is not None and renewed is not None and node.is_ready:
            seconds = (lease.spec.lease_duration_seconds or _DEFAULT_LEASE_SECONDS) / _RENEWALS_PER_DURATION
            clocks.append(_Clock(node, renewed, timedelta(seconds=seconds)))
    return clocks


def _nothing_to_compare(facts: Facts, clocks: Sequence[_Clock]) -> Finding:
    nodes = len(facts.list(Node))
    if nodes == 1:
        return Finding.skip("The cluster has one node, whose clock cannot be compared with another one.")
    return Finding.unknown(
        f"Whether clocks agree cannot be told: {len(clocks)} of {counted(nodes, 'node')} are ready and have a lease in "
        "kube-node-lease.",
        fix="Collect the leases of kube-node-lease when the nodes are ready.",
    )


def _fast(
    fast: dict[str, timedelta], clocks: Sequence[_Clock], certain: timedelta, params: ClocksParameters
) -> Finding:
    status = Finding.fail if certain > timedelta(seconds=params.fail_skew_seconds) else Finding.warn
    return status(
        f"{len(fast)} of {counted(len(clocks), 'ready node')} ({listed(list(fast))}) renewed the lease up to "
        f"{duration(max(fast.values()))} after the other nodes did, by a clock that is fast by {duration(certain)} or "
        f"more; at most {params.max_skew_seconds:g} s were expected.",
        subjects=[clock.node.subject for clock in clocks if clock.node.name in fast],
        fix=_NTP,
        command=_LOOK,
        evidence=examples({name: f"{ahead.total_seconds():.1f} s ahead" for name, ahead in fast.items()}),
    )


def _slow(slow: dict[str, timedelta], clocks: Sequence[_Clock], params: ClocksParameters) -> Finding:
    return Finding.warn(
        f"{len(slow)} of {counted(len(clocks), 'ready node')} ({listed(list(slow))}) renewed the lease up to "
        f"{duration(max(slow.values()))} before the other nodes did, by a clock that is slow by more than "
        f"{params.fail_skew_seconds:g} s, or because the kubelet has stopped; 10 s were expected.",
        subjects=[clock.node.subject for clock in clocks if clock.node.name in slow],
        fix=f"See whether the kubelets run. {_NTP}",
        command=_LOOK,
        evidence=examples({name: f"{late.total_seconds():.1f} s behind" for name, late in slow.items()}),
    )
