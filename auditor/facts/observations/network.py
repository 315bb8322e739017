"""What pods find when they talk to each other, to Services and to the API server."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Latencies, Observations, Step
from auditor.facts.observations.nodes import LeftOut


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """From a pod on one node to a pod on another; zones are empty where nodes have none."""

    from_node: str
    to_node: str
    from_zone: str = ""
    to_zone: str = ""

    def __str__(self) -> str:
        """As messages write it."""
        return f"{self.from_node} to {self.to_node}"

    @property
    def crosses_zones(self) -> bool:
        """Whether its ends are known to lie in different zones."""
        return bool(self.from_zone and self.to_zone) and self.from_zone != self.to_zone


class Connection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt to connect.

    Attributes:
        route: whose ends they are.
        by_service: through a Service's address, not the pod's own.
        error: why there is no connection, empty where there is one.
        failed_attempts: before it, or all.
        seconds: until the server had said who it is.
        own_address: the client's.
        seen_address: the client's as the server saw it.
    """

    route: Route
    by_service: bool
    error: str = ""
    failed_attempts: int = 0
    seconds: float = 0.0
    own_address: str = ""
    seen_address: str = ""


class Path(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether large things pass.

    Attributes:
        route: whose ends they are.
        error: why it was not tried.
        transfer_bytes: that were to go over TCP.
        send_error: why they did not arrive at the other end; empty where they did.
        receive_error: why they did not come from there.
        segment_bytes: the largest that TCP agreed on.
        interface_mtu: bytes, of the client's interface; 0 where it is not to be seen.
        path_mtu: bytes, as the kernel knows it after the datagrams.
        small_datagrams: whether UDP passes at all; None where it was not tried.
        full_datagrams: whether datagrams pass that fill a frame and may not be cut in pieces; None where it was not
            tried or UDP does not pass.
    """

    route: Route
    error: str = ""
    transfer_bytes: int = 0
    send_error: str = ""
    receive_error: str = ""
    segment_bytes: int = 0
    interface_mtu: int = 0
    path_mtu: int = 0
    small_datagrams: bool | None = None
    full_datagrams: bool | None = None


class Speed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How fast one pod sends to another.

    Attributes:
        route: whose ends they are.
        error: why it was not measured.
        tool: ``iperf3``, or ``agent`` for the probe's own measurement.
        streams: connections at the same time.
        bits_per_second: that arrived, of all streams.
        round_trips: of one byte over an open connection.
    """

    route: Route
    error: str = ""
    tool: str = ""
    streams: int = 0
    bits_per_second: float = 0.0
    round_trips: Latencies | None = None


class ApiReach(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a request to the API server from an ordinary pod.

    Attributes:
        host: that was asked for.
        name_error: why its name was not found, so that its address was used; empty where it was.
        error: why there was no answer; empty where there was one.
        status: of HTTP; 401 and 403 are answers.
        seconds: until it came.
    """

    host: str
    name_error: str = ""
    error: str = ""
    status: int = 0
    seconds: float = 0.0


class Spread(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a Service spread connections.

    Attributes:
        backends: of the Service.
        connections: by the backend's name, those that answered.
        failed: connections that did not come about.
        errors: why, the most frequent ones.
    """

    backends: tuple[str, ...]
    connections: dict[str, int]
    failed: int = 0
    errors: dict[str, int] = {}


class Loss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What clients felt when a Service lost a backend.

    Attributes:
        removed: the backend's name.
        answered: requests by backend.
        failed: requests that failed.
        error_seconds: from the first failure to the last.
        errors: why, the most frequent ones.
    """

    removed: str
    answered: dict[str, int]
    failed: int = 0
    error_seconds: float = 0.0
    errors: dict[str, int] = {}


class NetworkObservations(Observations, frozen=True, kw_only=True):
    """``observations/network.json``.

    Attributes:
        peers: nodes on which a pod answered others, and their zones, empty where there is none.
        failed: why a pod did not come about, by what it was for: ``node worker-1``, ``clients on worker-1``.
        left_out: nodes on which no pod was planned.
        foreign_policies: NetworkPolicies in the sandbox's namespace that the probe did not make.
        connections: between all peers, directly and through Services.
        paths: between zones, and within them.
        speeds: likewise, one after the other.
        api_server: by node.
        policy: of NetworkPolicy, the steps ``reached-before``, ``ingress-denied``, ``ingress-allowed``,
            ``egress-denied`` and ``names-resolved``; seconds until each took effect.
        balancing: the steps ``spread`` and ``loss``.
        spread: None where the step did not succeed.
        loss: None where the step did not succeed.
        load_balancer: ``address-granted``; the detail says the address.
    """

    part_id: ClassVar[str] = "observations/network.json"
    peers: dict[str, str]
    failed: dict[str, Cause] = msgspec.field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    foreign_policies: tuple[str, ...] = ()
    connections: tuple[Connection, ...] = ()
    paths: tuple[Path, ...] = ()
    speeds: tuple[Speed, ...] = ()
    api_server: dict[str, ApiReach] = msgspec.field(default_factory=dict)
    policy: tuple[Step, ...] = ()
    balancing: tuple[Step, ...] = ()
    spread: Spread | None = None
    loss: Loss | None = None
    load_balancer: Step
