"""Does etcd answer fast enough?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Status, check, raw, threshold
from auditor.facts.metrics import Histogram, added_up, histograms

from ._figures import milliseconds

_METRIC = "etcd_request_duration_seconds"
_WRITES = ("create", "update", "delete")
_READS = ("get",)
_P99 = 0.99


class LatencyParameters(Parameters, frozen=True, kw_only=True):
    """How long etcd may take."""

    max_p99_seconds: Annotated[
        float,
        threshold(
            "Seconds within which 99 of 100 requests for one object must be answered, else a warning.",
            source="etcd's own alert etcdGRPCRequestsSlow: the 99th percentile of unary requests above 0.15 s.",
            ge=0,
        ),
    ] = 0.15
    fail_p99_seconds: Annotated[
        float,
        threshold(
            "The same for a failure.",
            source="Kubernetes SLO: 99 of 100 API calls that change one object within 1 s; etcd alone takes that long.",
            ge=0,
        ),
    ] = 1.0
    min_requests: Annotated[
        int,
        threshold(
            "With fewer requests than this since the API server started, nothing is said of their 99th percentile.",
            source="No upstream number; of 1000 requests ten lie above the 99th percentile.",
            ge=1,
        ),
    ] = 1000


@dataclass(frozen=True, slots=True)
class _Kind:
    """Requests of one kind."""

    name: str
    histogram: Histogram

    @property
    def p99_seconds(self) -> float:
        """The 99th percentile, 0 without requests."""
        return self.histogram.quantile(_P99) or 0.0

    @property
    def said(self) -> str:
        """Kind, percentile and number, in words."""
        _, upper = self.histogram.bucket(_P99) or (0.0, 0.0)
        more = " or more" if math.isinf(upper) else ""
        return f"{self.name}: p99 {milliseconds(self.p99_seconds)}{more} of {self.histogram.count:,.0f}"

    @property
    def evidence(self) -> dict[str, object]:
        """The same for programs."""
        lower, upper = self.histogram.bucket(_P99) or (0.0, 0.0)
        return {
            "requests": self.histogram.count,
            "p99_seconds": round(self.p99_seconds, 4),
            "p99_lies_between_seconds": [lower, None if math.isinf(upper) else upper],
        }


@check(
    "control-plane.etcd-latency",
    title="etcd answers requests for one object within 150 ms",
    severity=Severity.HIGH,
    reads=(raw("metrics.txt"),),
    aliases=("CPL-005",),
)
def etcd_latency(facts: Facts, params: LatencyParameters) -> Iterator[Finding]:
    """99 of 100 requests of the API server to etcd, for one object each, are answered in time.

    ## What it checks
    The API server's metric `etcd_request_duration_seconds` for `create`, `update` and `delete`, and for `get`: the 99th
    percentile of all requests since the API server started, over all types of objects. Lists are left out, because
    they take as long as there are objects.

    What is measured is the whole way: network, waiting, etcd's disk and its members' agreement. It is the view of one
    API server, and old times count as much as the last minute: a slow disk shows, a short disturbance does not. The
    disk itself can only be seen in etcd's own metrics, where 99 of 100 `etcd_disk_wal_fsync_duration_seconds` are to
    stay below 10 ms and `etcd_disk_backend_commit_duration_seconds` below 25 ms.

    ## Why it matters
    Each change of the cluster waits for etcd: pods of executors, locks of Flink's job managers, leases of all
    controllers. When etcd's answers take as long as a leader may be silent, leaders change, and what they did stops.

    ## How to fix
    Give etcd a disk of its own, SSD or NVMe, with at least 50 sequential IOPS, 500 under load, and no neighbours on it.
    Look at CPU, memory and the network between members. On a managed service, choose a larger control plane or ask the
    vendor. Find clients that write without need:

        kubectl get --raw /metrics | grep '^etcd_request_duration_seconds_count'

    ## References
    - [etcd: hardware recommendations](https://etcd.io/docs/v3.6/op-guide/hardware/)
    - [etcd FAQ: what a slow disk looks like](https://etcd.io/docs/v3.6/faq/)
    - [etcd's alerts](https://github.com/etcd-io/etcd/blob/main/contrib/mixin/mixin.libsonnet)
    - [Kubernetes SLOs: API call latency](https://github.com/kubernetes/community/blob/master/sig-scalability/slos/api_call_latency.md)
    """
    by_operation = histograms(facts.text("metrics.txt"), _METRIC, by=("operation",))
    kinds = [
        _Kind(name, added_up(by_operation[each,] for each in operations if (each,) in by_operation))
        for name, operations in (("writes", _WRITES), ("reads of one object", _READS))
    ]
    told = [kind for kind in kinds if kind.histogram.count >= params.min_requests]
    if not told:
        yield Finding.unknown(
            f"How fast etcd answers cannot be told: the API server's metrics show "
            f"{sum(kind.histogram.count for kind in kinds):,.0f} requests of one object ({_METRIC}), "
            f"at least {params.min_requests:,} of a kind were expected.",
            fix="Collect again when the API server has run for an hour.",
        )
        return
    slow = [kind for kind in told if kind.p99_seconds > params.max_p99_seconds]
    if not slow:
        yield Finding.ok(
            f"Requests to etcd have been answered in time since this API server started ({_said(told)}); "
            f"at most {milliseconds(params.max_p99_seconds)} were expected.",
            evidence=_seen(told),
        )
        return
    too_slow = max(kind.p99_seconds for kind in slow) > params.fail_p99_seconds
    yield Finding.of(
        Status.FAIL if too_slow else Status.WARN,
        f"Requests to etcd have been slow since this API server started ({_said(slow)}); "
        f"at most {milliseconds(params.max_p99_seconds)} were expected.",
        fix="Look at etcd's disks first: give it SSDs of its own, or a larger control plane of the managed service.",
        evidence=_seen(told),
    )


def _said(kinds: list[_Kind]) -> str:
    return ", ".join(kind.said for kind in kinds)


def _seen(kinds: list[_Kind]) -> dict[str, object]:
    return {kind.name: kind.evidence for kind in kinds}
