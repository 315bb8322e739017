"""Do the nodes' clocks agree with the API server's?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations.nodes import Clock, NodesObservations

from .._wording import examples
from ._observed import on, subjects, unseen, visits, where_else


class ClockParameters(Parameters, frozen=True, kw_only=True):
    """How far clocks may be apart."""

    max_offset_seconds: Annotated[
        float,
        threshold(
            "Seconds by which a node's clock may certainly differ from the API server's.",
            source="No upstream number; NTP keeps clocks within hundredths of a second, so that one second means none.",
            ge=0,
        ),
    ] = 1.0


@dataclass(frozen=True, slots=True)
class _Offset:
    """How far the API server's clock is ahead: between two bounds, in seconds."""

    low: float
    high: float

    @property
    def certain(self) -> float:
        """Seconds by which the clocks differ at least."""
        return max(0.0, self.low, -self.high)

    @property
    def possible(self) -> float:
        """Seconds by which they differ at most."""
        return max(abs(self.low), abs(self.high))

    def __str__(self) -> str:
        return f"{self.low:+.2f} to {self.high:+.2f} s"


@check(
    "nodes.clock-offset",
    title="The nodes' clocks agree with the API server's",
    severity=Severity.HIGH,
    reads=(NodesObservations,),
)
def clock_offset(facts: Facts, params: ClockParameters) -> Iterator[Finding]:
    """Time stamps, timeouts and tickets compare the clocks of different machines.

    ## What it checks
    A pod on each visited node asks the API server for its time, some 25 times over a good second. The header has whole
    seconds only, but the turn of a second shows within a few hundredths, so that the difference lies between two
    bounds. A node fails if even the smaller bound is beyond `max_offset_seconds`, and is unknown if only the larger one
    is. The comparison is with the one API server that answered.

    `control-plane.clock-skew` finds differences of half a minute and more from what nodes report, without a probe.

    ## Why it matters
    Kafka's retention and Flink's event times go by time stamps of the machines that wrote them. Kerberos refuses
    tickets beyond five minutes, tokens and certificates that are "not valid yet" beyond seconds. Logs of different
    nodes cannot be put in order. A second of difference means that nothing keeps the clock right, and it will grow.

    ## How to fix
    Run chrony or systemd-timesyncd on every node, against the same source of time, such as the cloud's own
    (169.254.169.123 on AWS, metadata.google.internal on GCP, the PTP device on Azure).

        chronyc tracking

    ## References
    - [AWS: keep time on instances](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-time.html)
    - [chrony](https://chrony-project.org/documentation.html)
    - [MIT Kerberos: clockskew](https://web.mit.edu/kerberos/krb5-latest/doc/admin/conf_files/krb5_conf.html)
    - [HTTP: Date](https://www.rfc-editor.org/rfc/rfc9110#field.date)
    """
    document = visits(facts)
    yield from unseen(document)
    clocks = {name: node.clock or Clock() for name, node in sorted(document.nodes.items())}
    offsets = {name: offset for name, clock in clocks.items() if (offset := _offset(clock)) is not None}
    yield from _not_told({name: clock for name, clock in clocks.items() if name not in offsets})
    wrong = {name: offset for name, offset in offsets.items() if offset.certain > params.max_offset_seconds}
    vague = {n: o for n, o in offsets.items() if n not in wrong and o.possible > params.max_offset_seconds}
    if wrong:
        yield Finding.fail(
            f"The clock of {on(wrong)} differs from the API server's by "
            f"{max(offset.certain for offset in wrong.values()):.2f} s or more, "
            f"at most {params.max_offset_seconds:g} s were expected.",
            subjects=subjects(wrong),
            fix="Let all nodes follow one source of time (chrony or systemd-timesyncd).",
            command="chronyc tracking",
            evidence=examples({name: f"the API server is ahead by {offset}" for name, offset in wrong.items()}),
        )
    if vague:
        yield Finding.unknown(
            f"Whether the clock of {on(vague)} is right cannot be told: answers were too slow to bound the difference "
            f"below {params.max_offset_seconds:g} s.",
            subjects=subjects(vague),
            fix="Probe again when the nodes and the API server are less busy.",
            evidence=examples({name: f"the API server is ahead by {offset}" for name, offset in vague.items()}),
        )
    if good := [name for name in offsets if name not in wrong and name not in vague]:
        most = max(offsets[name].possible for name in good)
        yield Finding.ok(
            f"The clock of {on(good)} differs from the API server's by {most:.2f} s at most{where_else(document)}.",
            subjects=subjects(good),
        )


def _offset(clock: Clock) -> _Offset | None:
    if clock.ahead_at_least_seconds is None or clock.ahead_at_most_seconds is None:
        return None
    return _Offset(clock.ahead_at_least_seconds, clock.ahead_at_most_seconds)


def _not_told(clocks: dict[str, Clock]) -> Iterator[Finding]:
    if not clocks:
        return
    said = next((clock.error for clock in clocks.values() if clock.error), "no time was asked for")
    yield Finding.unknown(
        f"The clock of {on(clocks)} could not be compared with the API server's: {said.rstrip('.')}.",
        subjects=subjects(clocks),
        fix="Let pods reach the API server, or compare the clocks on the nodes.",
        command="chronyc tracking",
        evidence=examples({name: clock.error for name, clock in clocks.items()}),
    )
