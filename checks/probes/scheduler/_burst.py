"""Many pods at once, on nodes that have their image; and how the image came there."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from auditor.cluster import Manifest, ObjectError
from auditor.facts.observations import Cause, Latencies, Step, StepState
from auditor.facts.observations.scheduler import Burst, Pull, Unstarted
from auditor.sandbox import Sandbox
from auditor.sandbox.kinds import EVENT
from auditor.sandbox.scope import Scope

from ._pods import Created, Life, Watch, create_all, remove_all, sleeper, why_not
from ._room import Room

WARM_UP = "warm-up"
BURST = "burst"

PODS_PER_NODE = 10
"""More would measure how one kubelet starts a crowd, not how the cluster starts pods."""

_SPARE_PODS = 2
_DIAGNOSED = 5
_PULLED = re.compile(r"Successfully pulled image .* in ([0-9.hmsµu]+) \(.*\)(?:\. Image size: (\d+) bytes)?")
_DURATION = re.compile(r"([0-9.]+)(ms|µs|us|h|m|s)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def warm_up_pods(sandbox: Sandbox, nodes: Sequence[str]) -> list[Manifest]:
    """One per node."""
    return [sleeper(sandbox, f"warm-up-{number}", WARM_UP, [node]) for number, node in enumerate(nodes)]


def burst_pods(sandbox: Sandbox, nodes: Sequence[str], count: int) -> list[Manifest]:
    """As many as are asked for, each on any of the nodes."""
    return [sleeper(sandbox, f"burst-{number}", BURST, nodes) for number in range(count)]


def burst_size(sandbox: Sandbox, scope: Scope, nodes: Sequence[str], room: Mapping[str, Room] | None = None) -> int:
    """Pods of the burst: what the options ask for, as far as the budget and the nodes' places for pods allow."""
    places = 0
    for node in nodes:
        known = room.get(node) if room is not None else None
        places += PODS_PER_NODE if known is None else max(0, min(PODS_PER_NODE, known.pods - _SPARE_PODS))
    return min(scope.options.burst_pods, sandbox.settings.pods_at_once, places)


def warm_up(sandbox: Sandbox, nodes: Sequence[str]) -> tuple[list[str], dict[str, Pull], Step]:
    """Start a pod on each node: those on which it did, how the image came there, and how the step ended."""
    started, patience = time.monotonic(), sandbox.settings.patience_seconds
    manifests = warm_up_pods(sandbox, nodes)
    by_name = {manifest["metadata"]["name"]: node for manifest, node in zip(manifests, nodes, strict=True)}
    with Watch(sandbox, WARM_UP, patience + 10) as watch:
        created = create_all(sandbox, manifests)
        watch.wait(created.at, lambda life: life.started, seconds=patience)
        lives = {name: watch.life(name) for name in by_name}
    warm = [node for name, node in by_name.items() if lives[name].started]
    late = [name for name in created.at if not lives[name].started]
    seconds = time.monotonic() - started
    cause = next(iter(created.refused.values()), None) or (why_not(sandbox, late[0], seconds) if late else None)
    pulls = {by_name[name]: pull for name in created.at if (pull := _pull(sandbox, name)) is not None}
    remove_all(sandbox, created.at, group=WARM_UP)
    state = StepState.OK if warm else StepState.FAILED
    detail = {"nodes": len(nodes), "warm": len(warm)}
    return warm, pulls, Step(name=WARM_UP, state=state, seconds=seconds, cause=cause, detail={**detail})


def burst(sandbox: Sandbox, nodes: Sequence[str], count: int) -> tuple[Burst, Step]:
    """Create the pods all at once and watch them start."""
    patience = sandbox.settings.patience_seconds
    manifests = burst_pods(sandbox, nodes, count)
    began = time.monotonic()
    with Watch(sandbox, BURST, patience + 10) as watch:
        created = create_all(sandbox, manifests)
        watch.wait(created.at, lambda life: life.started, seconds=patience)
        lives = {name: watch.life(name) for name in created.at}
    seconds = time.monotonic() - began
    unstarted = _unstarted(sandbox, created, lives, seconds)
    remove_all(sandbox, created.at, group=BURST)
    found = summary(created.at, lives, pods=count, nodes=len(nodes), unstarted=unstarted)
    state = StepState.OK if found.started == count else StepState.FAILED
    cause = unstarted[0].cause if unstarted else None
    return found, Step(name=BURST, state=state, seconds=seconds, cause=cause)


def summary(
    asked: Mapping[str, float],
    lives: Mapping[str, Life],
    *,
    pods: int,
    nodes: int,
    unstarted: tuple[Unstarted, ...] = (),
) -> Burst:
    """The latencies of pods by when they were asked for and what became of them."""
    scheduled = [lives[n].scheduled - at for n, at in asked.items() if lives[n].scheduled is not None]  # type: ignore[operator]
    startup = [lives[n].started - at for n, at in asked.items() if lives[n].started is not None]  # type: ignore[operator]
    on_node = [
        life.started - life.scheduled
        for life in lives.values()
        if life.started is not None and life.scheduled is not None
    ]
    last = max((life.started for life in lives.values() if life.started is not None), default=None)
    took = last - min(asked.values()) if last is not None else 0.0
    return Burst(
        pods=pods,
        nodes=nodes,
        started=len(startup),
        scheduled=Latencies.of(scheduled) if scheduled else None,
        startup=Latencies.of(startup) if startup else None,
        on_node=Latencies.of(on_node) if on_node else None,
        started_per_second=len(startup) / took if took > 0 else 0.0,
        unstarted=unstarted,
    )


def pull_of(message: str) -> Pull | None:
    """The pull that a kubelet's event tells of; None where it tells of something else."""
    told = _PULLED.search(message)
    if told is None:
        return None
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(told[1]))
    return Pull(seconds=seconds, size_bytes=int(told[2] or 0))


def _unstarted(
    sandbox: Sandbox, created: Created, lives: Mapping[str, Life], waited_seconds: float
) -> tuple[Unstarted, ...]:
    """Those that did not start by reason; a few of them are asked for theirs, and the others counted with the first."""
    causes: defaultdict[str, list[Cause]] = defaultdict(list)
    for cause in created.refused.values():
        causes[cause.reason].append(cause)
    late = [name for name in created.at if lives[name].started is None]
    told = [why_not(sandbox, name, waited_seconds) for name in late[:_DIAGNOSED]]
    for cause in told:
        causes[cause.reason].append(cause)
    rest = len(late) - len(told)
    return tuple(
        Unstarted(pods=len(alike) + (rest if told and alike[0] is told[0] else 0), cause=alike[0])
        for alike in causes.values()
    )


def _pull(sandbox: Sandbox, name: str) -> Pull | None:
    """How the image of a pod came to its node; None where it was there, or events may not be read."""
    try:
        events = sandbox.list(EVENT.kind, fields=f"involvedObject.name={name},reason=Pulled")
    except ObjectError:
        return None
    return next((pull for event in events if (pull := pull_of(event.get("message", "")))), None)
