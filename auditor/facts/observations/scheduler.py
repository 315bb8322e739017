"""How fast pods get a node and start, and whether spreading, priorities and gangs do what they promise."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from auditor.facts.observations.base import Cause, Latencies, Observations, Step


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """The pull of the probe's image to a node that did not have it, as the kubelet tells it.

    Attributes:
        seconds: without waiting for other pulls.
        size_bytes: of the image, compressed as the registry has it; 0 where the kubelet does not say.
    """

    seconds: float
    size_bytes: int = 0


class Unstarted(msgspec.Struct, frozen=True, kw_only=True):
    """Pods that did not start, for one reason.

    Attributes:
        pods: how many.
        cause: what the cluster says of one of them.
    """

    pods: int
    cause: Cause


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """Pods that do nothing, created all at once on nodes that have their image.

    Attributes:
        pods: created.
        nodes: on which they could run.
        started: pods whose container was seen running.
        scheduled: latencies from creation until a node was named; None where none was.
        startup: latencies from creation until the container was seen running; None where none was.
        on_node: the share of it after a node was named: the kubelet's.
        started_per_second: from the first creation to the last start.
        unstarted: those that did not start, and why.
    """

    pods: int
    nodes: int
    started: int
    scheduled: Latencies | None = None
    startup: Latencies | None = None
    on_node: Latencies | None = None
    started_per_second: float = 0.0
    unstarted: tuple[Unstarted, ...] = ()


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Pods that must lie evenly, and would all rather be in one place.

    Attributes:
        topology_key: the label whose values they must be spread over.
        pods: created.
        placed: how many got a node, by the value of the label.
        max_skew: how far the counts may differ.
        unlabelled: nodes that were open to them and do not have the label.
        elsewhere: pods on such nodes.
    """

    topology_key: str
    pods: int
    placed: dict[str, int]
    max_skew: int = 1
    unlabelled: tuple[str, ...] = ()
    elsewhere: int = 0


class Gangs(msgspec.Struct, frozen=True, kw_only=True):
    """Two groups of pods, each of which fits on a node alone, created in turn.

    Attributes:
        mechanism: that was to keep the pods of a group together; empty where none was found.
        queues: whether Kueue is there, which admits jobs and not these pods.
        node: on which they were to run.
        free_millicores: that the node had.
        pod_millicores: that each pod asked for.
        size: pods of a group.
        placed: pods of the first and of the second group that held a node at the end.
        unseen: pods at which no scheduler has looked.
        seconds: from the first creation until the outcome had not changed for a while.
        second_seconds: after the first whole group was removed, until the other was whole; None where it never was.
        said: what the scheduler says of a pod without a node.
    """

    mechanism: str
    queues: bool = False
    node: str
    free_millicores: int
    pod_millicores: int
    size: int
    placed: tuple[int, int]
    unseen: int = 0
    seconds: float
    second_seconds: float | None = None
    said: str = ""


class Preemption(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that takes its place from another of lower priority, both the probe's own.

    Attributes:
        node: on which.
        pod_millicores: that each asked for; there was room for one of them.
        victim_gone_seconds: after the creation of the higher one, until the lower was told to go; None where it stayed.
        scheduled_seconds: until the higher one had the node; None where it never had.
        started_seconds: until its container ran; None where it never did.
    """

    node: str
    pod_millicores: int
    victim_gone_seconds: float | None = None
    scheduled_seconds: float | None = None
    started_seconds: float | None = None


class SchedulerObservations(Observations, frozen=True, kw_only=True):
    """``observations/scheduler.json``.

    Attributes:
        nodes: on which the probe's pods could run.
        steps: ``warm-up``, ``burst``, ``spread``, ``gangs``, ``preemption``: how each ended, and why not.
        pulls: of the probe's image, by node.
        burst: None where it was not done.
        spread: likewise.
        gangs: likewise.
        preemption: likewise.
    """

    part_id: ClassVar[str] = "observations/scheduler.json"
    nodes: tuple[str, ...]
    steps: tuple[Step, ...]
    pulls: dict[str, Pull] = msgspec.field(default_factory=dict)
    burst: Burst | None = None
    spread: Spread | None = None
    gangs: Gangs | None = None
    preemption: Preemption | None = None

    def step(self, name: str) -> Step | None:
        """How one of the steps ended; None where it was not even begun."""
        return next((step for step in self.steps if step.name == name), None)
