"""Does the API server turn requests away?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Subject, Workload, check, raw, threshold
from auditor.facts.kube.flowcontrol import FlowSchema
from auditor.facts.metrics import Sample, histograms, samples

from .._wording import examples, listed
from ._figures import percent

_REJECTED = "apiserver_flowcontrol_rejected_requests_total"
_DISPATCHED = "apiserver_flowcontrol_dispatched_requests_total"
_UTILIZATION = "apiserver_flowcontrol_priority_level_seat_utilization"
_GIVEN_UP = "cancelled"
"""The reason of requests whose client did not wait; the server turned none of them away."""

_AKS_GUARD = "aks-managed-apiserver-guard"
_HOUR_NANOSECONDS = 3600e9
_LOOK = "kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels"


class FlowParameters(Parameters, frozen=True, kw_only=True):
    """How many requests may be turned away."""

    max_rejected_percent: Annotated[
        float,
        threshold(
            "Per cent of a flow's requests since the API server started that may be rejected, else a warning.",
            source="No upstream number; EKS best practices: each rejected request is one that was dropped.",
            ge=0,
            le=100,
        ),
    ] = 0.1
    fail_rejected_percent: Annotated[
        float,
        threshold("The same for a failure.", source="No upstream number; ten times the warning.", ge=0, le=100),
    ] = 1
    min_rejected: Annotated[
        int,
        threshold(
            "Fewer rejected requests of a flow than this are passed over.",
            source="No upstream number; the rush of clients at the start of an API server costs a few.",
            ge=1,
        ),
    ] = 10
    min_free_percent: Annotated[
        float,
        threshold(
            "Per cent of a priority level's seats that should be free.",
            source="No upstream number; EKS best practices compare the seats in use with the limit.",
            ge=0,
            le=100,
        ),
    ] = 20
    max_busy_percent: Annotated[
        float,
        threshold(
            "Per cent of the time since the API server started in which fewer seats may have been free.",
            source="No upstream number; fifteen minutes a day.",
            ge=0,
            le=100,
        ),
    ] = 1


@dataclass(frozen=True, slots=True)
class _Flow:
    """The requests of one FlowSchema at one priority level, since the API server started."""

    schema: str
    level: str
    rejected: float
    dispatched: float

    @property
    def share(self) -> float:
        """Of all requests, those that were turned away."""
        return self.rejected / (self.rejected + self.dispatched)

    @property
    def said(self) -> str:
        """In words."""
        return f"{percent(self.share)} of {self.schema} ({self.rejected:,.0f} requests at priority level {self.level})"


@check(
    "control-plane.rejected-requests",
    title="The API server turns no requests away, and has seats to spare",
    severity=Severity.HIGH,
    workloads={Workload.SPARK: Severity.HIGH, Workload.FLINK: Severity.HIGH},
    reads=(raw("metrics.txt"), FlowSchema),
    aliases=("CPL-010",),
)
def rejected_requests(facts: Facts, params: FlowParameters) -> Iterator[Finding]:
    """API priority and fairness serves every request, and no priority level is nearly full for long.

    ## What it checks
    - Of each FlowSchema's requests, how many were rejected since this API server started
      (`apiserver_flowcontrol_rejected_requests_total` against `…_dispatched_requests_total`). Requests whose client
      gave up are not counted. The counters do not say when it happened, so that it is the share that is judged: one
      sample cannot show growth.
    - For how much of that time more than 80 % of a priority level's seats were taken
      (`apiserver_flowcontrol_priority_level_seat_utilization`), once the server has run for an hour.
    - No FlowSchema names a priority level that does not exist.
    - AKS has not put its guard `aks-managed-apiserver-guard` before an API server that ran out of memory.

    ## Why it matters
    All requests of service accounts share one priority level by default, and with it a tenth or so of the server: one
    operator that lists thousands of objects again and again keeps Spark drivers from getting executors and Flink's job
    managers from renewing their locks. They are answered with HTTP 429, or wait until they time out.

    ## How to fix
    Find the client: the API server's audit log, or who waits now:

        kubectl get --raw /debug/api_priority_and_fairness/dump_requests

    Give the operators of data systems a FlowSchema and a priority level of their own, let clients watch instead of
    list, or choose a larger control plane.

    ## References
    - [API priority and fairness](https://kubernetes.io/docs/concepts/cluster-administration/flow-control/)
    - [Debugging flow control](https://kubernetes.io/docs/reference/debug-cluster/flow-control/)
    - [EKS best practices: scale the control plane](https://docs.aws.amazon.com/eks/latest/best-practices/scale-control-plane.html)
    - [AKS: managed API server guard](https://learn.microsoft.com/en-us/troubleshoot/azure/azure-kubernetes/troubleshoot-apiserver-etcd)
    """
    text = facts.text("metrics.txt")
    flows = _flows(samples(text, _REJECTED), samples(text, _DISPATCHED))
    if not flows:
        yield Finding.unknown(
            f"Whether requests are turned away cannot be told: the API server's metrics lack {_DISPATCHED}.",
            fix="See to it that --enable-priority-and-fairness is not false, or look at HTTP 429 in the audit log.",
        )
    findings = [*_judge_flows(flows, params), *_judge_levels(text, params)]
    yield from findings
    of_schemas = list(_judge_schemas(facts.list(FlowSchema)))
    yield from of_schemas
    if flows and not findings and not of_schemas:
        rejected, total = sum(flow.rejected for flow in flows), sum(flow.rejected + flow.dispatched for flow in flows)
        yield Finding.ok(
            f"This API server turned {rejected:,.0f} of {total:,.0f} requests away since it started, and no priority "
            "level was nearly full for long."
        )


def _flows(rejected: Sequence[Sample], dispatched: Sequence[Sample]) -> list[_Flow]:
    counts: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for index, each in enumerate((rejected, dispatched)):
        for sample in each:
            if math.isfinite(sample.value) and sample.labels.get("reason") != _GIVEN_UP:
                counts[_flow_of(sample.labels)][index] += sample.value
    return [_Flow(*key, *values) for key, values in sorted(counts.items()) if sum(values) > 0]


def _flow_of(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("flow_schema", ""), labels.get("priority_level", "")


def _judge_flows(flows: Sequence[_Flow], params: FlowParameters) -> Iterator[Finding]:
    many = [
        flow
        for flow in flows
        if flow.rejected >= params.min_rejected and 100 * flow.share > params.max_rejected_percent
    ]
    if not many:
        return
    many.sort(key=lambda flow: (-flow.share, flow.schema))
    status = Finding.fail if 100 * many[0].share > params.fail_rejected_percent else Finding.warn
    yield status(
        f"This API server turned requests away since it started: {listed([flow.said for flow in many])}; at most "
        f"{params.max_rejected_percent:g} % of a FlowSchema's requests were expected.",
        subjects=[Subject(kind="FlowSchema", name=flow.schema) for flow in many],
        fix="Give the operators of data systems a FlowSchema and a priority level of their own.",
        command=_LOOK,
        evidence=examples(
            {
                flow.schema: {"level": flow.level, "rejected": flow.rejected, "dispatched": flow.dispatched}
                for flow in many
            }
        ),
    )


def _judge_levels(text: str, params: FlowParameters) -> Iterator[Finding]:
    taken = 1 - params.min_free_percent / 100
    busy = {
        level: histogram.share_above(taken)
        for (level,), histogram in sorted(histograms(text, _UTILIZATION, by=("priority_level",)).items())
        if histogram.count >= _HOUR_NANOSECONDS and 100 * histogram.share_above(taken) > params.max_busy_percent
    }
    if busy:
        seen = [f"{level} for {percent(share)} of the time" for level, share in busy.items()]
        yield Finding.warn(
            f"Priority levels were nearly full since this API server started: {listed(seen)} had less than "
            f"{params.min_free_percent:g} % of their seats free; at most {params.max_busy_percent:g} % of the time was "
            "expected.",
            subjects=[Subject(kind="PriorityLevelConfiguration", name=level) for level in busy],
            fix="Find the client that takes the seats, or give these priority levels more shares.",
            command=_LOOK,
            evidence=examples({level: round(share, 5) for level, share in busy.items()}),
        )


def _judge_schemas(schemas: Sequence[FlowSchema]) -> Iterator[Finding]:
    if dangling := sorted((each for each in schemas if each.is_dangling), key=lambda each: each.name):
        seen = [f"{each.name} ({each.spec.priority_level_configuration.name})" for each in dangling]
        yield Finding.warn(
            f"FlowSchema {listed(seen)} names a priority level that does not exist, so that its requests go with "
            "everybody else's.",
            subjects=[each.subject for each in dangling],
            fix="Create the priority level, or delete the FlowSchema.",
        )
    if guards := [each for each in schemas if each.name == _AKS_GUARD]:
        yield Finding.fail(
            f"AKS throttles all clients but its own by FlowSchema {_AKS_GUARD}, because the API server ran out of "
            "memory again and again; no such guard was expected.",
            subjects=[each.subject for each in guards],
            fix="Find the clients that list too much, correct them, then delete the guard.",
            command=f"kubectl delete flowschema,prioritylevelconfiguration {_AKS_GUARD}",
        )
