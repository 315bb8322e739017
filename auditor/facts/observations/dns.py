"""What pods find when they ask for names, from one node of each zone and some more."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Latencies, Observations, Step
from auditor.facts.observations.nodes import LeftOut, ResolvConf

UDP = "udp"
"""One datagram, lost after 2 s and not sent again."""
RESOLVER = "resolver"
"""The system's, as applications use it."""

NXDOMAIN = "NXDOMAIN"
NO_ANSWER = "no answer"


class Lookups(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Many questions for one name, one after another.

    Attributes:
        way: :data:`UDP` or :data:`RESOLVER`.
        name: that was asked for.
        planned: how many questions.
        asked: of them; fewer where too many failed in a row.
        failures: by what was said: ``timeout``, ``SERVFAIL``, ``connection refused`` …
        took_seconds: all of them, with the pauses between.
        latencies: of those that were answered; None where none was.
        buckets: how many answers took at most so many seconds, and more than the bound before; ``more`` is the rest.
        around_timeout: how many answers took 4.5 to 5.5 s, or 9.5 to 10.5 s, as after datagrams that were lost.
    """

    way: str
    name: str
    planned: int
    asked: int
    failures: dict[str, int] = {}
    took_seconds: float = 0.0
    latencies: Latencies | None = None
    buckets: dict[str, int] = {}
    around_timeout: int = 0

    @property
    def failed(self) -> int:
        """How many were not answered."""
        return sum(self.failures.values())


class NewName(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How soon a new pod's name was known.

    Attributes:
        name: the one, or the first of several of which each was asked for once.
        seconds: from the start of the pod's container until the name was known to all servers that answer; None where
            that was given up.
        asked: how often.
        error: what was said the last time that it was not known.
        addresses: that it gave.
    """

    name: str
    seconds: float | None = None
    asked: int = 0
    error: str = ""
    addresses: tuple[str, ...] = ()


class ReverseName(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The name of a pod's address.

    Attributes:
        address: of the pod.
        expected: its name through the headless Service.
        names: that the address has.
        forward: the addresses that the name has.
        error: what was said where there is no name.
        seconds: for which it was asked.
    """

    address: str
    expected: str
    names: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer with many addresses.

    Attributes:
        addresses: in it.
        bytes: of it.
        truncated: whether it says that it is not all.
        error: why there is none.
        seconds: until it came.
    """

    addresses: int = 0
    bytes: int = 0
    truncated: bool = False
    error: str = ""
    seconds: float = 0.0


class LargeAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name with more addresses than 512 bytes hold.

    Attributes:
        name: of the headless Service.
        plain: by a datagram, which without EDNS holds 512 bytes.
        edns: by a datagram that may hold 1,232 bytes.
        tcp: over TCP.
        resolver_addresses: that the system's resolver found.
        resolver_error: why it found none.
    """

    name: str
    plain: Answer
    edns: Answer
    tcp: Answer
    resolver_addresses: int = 0
    resolver_error: str = ""


class Burst(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As many questions as one pod can ask at once for some seconds.

    Attributes:
        asked: questions.
        answered: of them.
        failures: by what was said.
        seconds: for which questions were sent.
    """

    asked: int
    answered: int
    failures: dict[str, int] = {}
    seconds: float

    @property
    def per_second(self) -> float:
        """Answers."""
        return self.answered / self.seconds if self.seconds else 0.0


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the names that the resolver tries for a name."""

    name: str
    error: str = ""
    seconds: float = 0.0


class External(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name outside the cluster.

    Attributes:
        name: without a dot at its end.
        candidates: that the resolver asks for in turn until it is found, each for IPv4 and for IPv6.
        lookups: datagrams for the absolute name.
        resolver_absolute: the resolver, with a dot at the end.
        resolver_searched: the resolver, without it.
    """

    name: str
    candidates: tuple[Candidate, ...] = ()
    lookups: Lookups
    resolver_absolute: Lookups
    resolver_searched: Lookups


class View(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """DNS as a pod on one node sees it.

    Attributes:
        zone: of the node; empty where it has none.
        conf: of the pod.
        domain: of the cluster, as the search list has it.
        before: what was said to the first question for a pod's name that was not there; empty: an address.
        denied_seconds: for how long that may be kept, as the answer says; None where it does not.
        announced: whether the new pod's datagrams arrived; None where no pod was there to announce itself.
        fresh: names of the new pod for which nobody had asked.
        denied: the name for which it was asked too early, every half second.
        reverse: the name of the new pod's address.
        lookups: datagrams for an absolute name of the cluster.
        resolver_absolute: the resolver, for the same.
        resolver_searched: the resolver, for the name as applications write it, which needs the search list.
        servers: each server of the cluster's DNS asked by itself, by address.
        large: a name with many addresses.
        burst: as much as one pod can ask.
        external: a name outside the cluster.
    """

    zone: str = ""
    conf: ResolvConf = ResolvConf()
    domain: str = ""
    before: str = ""
    denied_seconds: int | None = None
    announced: bool | None = None
    fresh: NewName | None = None
    denied: NewName | None = None
    reverse: ReverseName | None = None
    lookups: Lookups | None = None
    resolver_absolute: Lookups | None = None
    resolver_searched: Lookups | None = None
    servers: dict[str, Lookups] = {}
    large: LargeAnswer | None = None
    burst: Burst | None = None
    external: External | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint of the cluster's DNS Service."""

    service: str
    pod: str = ""
    node: str = ""
    ready: bool = True


TARGET = "target"
"""The new pod whose name is looked for."""
LARGE = "large"
"""A headless Service with many addresses."""
SERVERS = "servers"
"""Which pods answer, as EndpointSlices say."""


class DnsObservations(Observations, frozen=True, kw_only=True):
    """``observations/dns.json``.

    Attributes:
        views: by the node's name.
        failed: why there is no view from a node.
        left_out: nodes that no view was planned from.
        servers: of the cluster's DNS, by address; empty where it runs outside the cluster's pods or is not known.
        large_addresses: that the large answer has.
        steps: :data:`TARGET`, :data:`LARGE` and :data:`SERVERS`, with the reason where they were not possible.
    """

    part_id: ClassVar[str] = "observations/dns.json"
    views: dict[str, View]
    failed: dict[str, Cause] = msgspec.field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    servers: dict[str, Server] = msgspec.field(default_factory=dict)
    large_addresses: int = 0
    steps: tuple[Step, ...] = ()

    def step(self, name: str) -> Step | None:
        """The step of that name; None where the document has none."""
        return next((step for step in self.steps if step.name == name), None)
