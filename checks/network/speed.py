"""How fast are the ways between nodes?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.network import NetworkObservations, Speed

from .._wording import counted, examples
from ._observed import alone, ends, nodes, observed, routes, unseen

_GIGABIT = 1e9
_NO_NUMBER = "No upstream number; "


class ThroughputParameters(Parameters, frozen=True, kw_only=True):
    """What pods should be able to send each other."""

    min_gbit_per_second: Annotated[
        float,
        threshold(
            "Gbit/s between two pods of one zone, below which a path is a warning.",
            source=_NO_NUMBER + "half of 10 Gbit/s, the least that clouds give machines for data systems.",
            ge=0,
        ),
    ] = 5.0
    min_cross_zone_gbit_per_second: Annotated[
        float,
        threshold(
            "Gbit/s between two pods of different zones, below which a path is a warning.",
            source=_NO_NUMBER + "half of what is expected within a zone.",
            ge=0,
        ),
    ] = 2.5
    floor_gbit_per_second: Annotated[
        float,
        threshold(
            "Gbit/s below which any path is a failure.",
            source="What a 1 Gbit/s network gives at least; Confluent calls that enough for most Kafka clusters.",
            ge=0,
        ),
    ] = 0.8
    max_round_trip_milliseconds: Annotated[
        float,
        threshold(
            "Milliseconds of a round trip within a zone, 99th percentile, above which a path is a warning.",
            source=_NO_NUMBER
            + "clouds promise less than one millisecond within a zone; this leaves room for busy nodes.",
            ge=0,
        ),
    ] = 2.0


@check(
    "network.throughput",
    title="Pods send each other enough, without delay",
    severity=Severity.HIGH,
    workloads=(Workload.SPARK, Workload.KAFKA, Workload.TENSORFLOW, Workload.CAFFE),
    reads=(NetworkObservations,),
    aliases=("NET-005",),
)
def throughput(facts: Facts, params: ThroughputParameters) -> Iterator[Finding]:
    """Shuffles, replication and all-reduce are limited by the network before anything else.

    ## What it checks
    Between one pair of nodes for each two zones, and within each zone, one pair at a time, four connections send for
    `throughput_seconds` of the probes' options, by iperf3 where the image has it, else by the probe's own agent; and
    500 single bytes go there and back. Less than `floor_gbit_per_second` is a failure; less than
    `min_gbit_per_second`, across zones `min_cross_zone_gbit_per_second`, is a warning, and so is a 99th percentile of
    round trips within a zone above `max_round_trip_milliseconds`. Nodes without a zone count as one zone.

    The measurement competes with what runs on the nodes, and small cloud machines send faster for some minutes than
    they can for hours.

    ## Why it matters
    A Kafka cluster needs what comes in times the replication factor less one, plus what goes out. A Spark shuffle moves
    the whole data set once. Both pay for each millisecond and each byte between zones.

    ## How to fix
    Choose machines with more network bandwidth, keep jobs in one zone, let Services prefer near backends
    (`trafficDistribution: PreferClose`), and look whether the network plugin encrypts or tunnels without need.

    ## References
    - [Confluent: running Kafka in production, network](https://docs.confluent.io/platform/current/kafka/deployment.html#network)
    - [Amazon EC2: network bandwidth](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-network-bandwidth.html)
    - [Data on EKS: networking for Spark](https://awslabs.github.io/data-on-eks/docs/bestpractices/networking)
    - [Traffic distribution](https://kubernetes.io/docs/concepts/services-networking/service/#traffic-distribution)
    """
    document = observed(facts)
    yield from unseen(document)
    failed = [each for each in document.speeds if each.error]
    speeds = [each for each in document.speeds if not each.error]
    if failed:
        yield Finding.unknown(
            f"Throughput could not be measured on {counted(len(failed), 'path')} ({routes(e.route for e in failed)}): "
            f"{failed[0].error.rstrip('.')}.",
            subjects=ends(each.route for each in failed),
            fix="Remove what kept the probe from measuring, and probe again.",
        )
    if not document.speeds:
        yield from _not_measured(document)
        return
    troubles = [*_slow(speeds, params), *_late(speeds, params)]
    yield from troubles
    if speeds and not troubles:
        slowest = min(speeds, key=lambda each: each.bits_per_second)
        yield Finding.ok(
            f"All {counted(len(speeds), 'path')} carry at least {_gbit(slowest)} Gbit/s, as {slowest.tool} measured.",
            subjects=nodes(document.peers),
            evidence=_figures(speeds),
        )


def _not_measured(document: NetworkObservations) -> Iterator[Finding]:
    yield from alone(document)
    if len(document.peers) > 1:
        yield Finding.unknown(
            "Throughput was not measured: the option throughput_seconds is 0.",
            fix="Set throughput_seconds of the probes' options to 5, and probe again.",
        )


def _slow(speeds: Sequence[Speed], params: ThroughputParameters) -> Iterator[Finding]:
    floor = [each for each in speeds if each.bits_per_second < params.floor_gbit_per_second * _GIGABIT]
    if floor:
        yield Finding.fail(
            f"{_told(floor)}; at least {params.floor_gbit_per_second:g} Gbit/s were expected of any path.",
            subjects=ends(each.route for each in floor),
            fix="Find what limits the network between these nodes: machine shape, tunnel, encryption or neighbours.",
            evidence=_figures(floor),
        )
    for crosses, least in ((False, params.min_gbit_per_second), (True, params.min_cross_zone_gbit_per_second)):
        below = [
            each
            for each in speeds
            if each not in floor and each.route.crosses_zones is crosses and each.bits_per_second < least * _GIGABIT
        ]
        if below:
            where = "across zones" if crosses else "within a zone"
            yield Finding.warn(
                f"{_told(below)}; at least {least:g} Gbit/s were expected {where}.",
                subjects=ends(each.route for each in below),
                fix="Choose machines with more network bandwidth for brokers and executors.",
                evidence=_figures(below),
            )


def _late(speeds: Sequence[Speed], params: ThroughputParameters) -> Iterator[Finding]:
    limit = params.max_round_trip_milliseconds
    late = [each for each in speeds if not each.route.crosses_zones and _p99_milliseconds(each) > limit]
    if late:
        slowest = max(late, key=_p99_milliseconds)
        yield Finding.warn(
            f"Round trips take {_p99_milliseconds(slowest):.1f} ms (99th percentile) on {counted(len(late), 'path')} "
            f"within a zone ({routes(each.route for each in late)}), at most {limit:g} ms were expected.",
            subjects=ends(each.route for each in late),
            fix="See what keeps these nodes' processors or network busy, and probe again when they are idle.",
            evidence=_figures(late),
        )


def _told(slow: Sequence[Speed]) -> str:
    slowest = min(slow, key=lambda each: each.bits_per_second)
    ways = routes(each.route for each in slow)
    return f"Only {_gbit(slowest)} Gbit/s pass on {counted(len(slow), 'path')} ({ways}), as {slowest.tool} measured"


def _gbit(speed: Speed) -> str:
    return f"{speed.bits_per_second / _GIGABIT:.2g}"


def _p99_milliseconds(speed: Speed) -> float:
    return 1000 * speed.round_trips.p99_seconds if speed.round_trips else 0.0


def _figures(speeds: Sequence[Speed]) -> dict[str, dict[str, float | str]]:
    return examples(
        {
            str(each.route): {
                "gbit_per_second": round(each.bits_per_second / _GIGABIT, 2),
                "round_trip_p99_milliseconds": round(_p99_milliseconds(each), 3),
                "tool": each.tool,
            }
            for each in speeds
        }
    )
