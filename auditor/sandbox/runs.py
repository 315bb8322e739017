"""The runs of which something is on a cluster: what `auditor clean` lists and chooses from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.cluster import Objects
from auditor.facts.kube import Namespace
from auditor.facts.parts import Api
from auditor.sandbox import labels
from auditor.sandbox.traces import (
    NAMESPACE_PREFIX,
    VOLUMES,
    Finder,
    Trace,
    belongs_to,
    claimed,
    is_made_for_its_claim,
    own_namespace,
)

_OWN_NAMESPACE = re.compile(rf"{NAMESPACE_PREFIX}([0-9a-f]{{10}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """A run of which something is there.

    Attributes:
        run_id: its id.
        began_at: when the oldest object was created.
        expires_at: when it counts as dead; None where no object says so.
        namespaces: in which it left something.
        objects: how many, by kind.
    """

    run_id: str
    began_at: datetime
    expires_at: datetime | None
    namespaces: tuple[str, ...]
    objects: dict[str, int]

    def is_expired(self, now: datetime) -> bool:
        """Whether it counts as dead. A run of which only volumes are left is: it ended with its namespace."""
        only_volumes = not set(self.objects) - {api.kind for api in VOLUMES}
        return only_volumes if self.expires_at is None else self.expires_at <= now


def find_runs(objects: Objects, *, namespace: str = "", run_id: str = "") -> tuple[list[FoundRun], dict[str, str]]:
    """The runs of which something is there, the oldest first, and what could not be looked at.

    Args:
        objects: the cluster's.
        namespace: the only one to look in; empty: all.
        run_id: of the only run to look for, which also works where the account may look in its namespace only.
    """
    finder = Finder(objects, namespace=namespace)
    by_run: dict[str, dict[str, Trace]] = {}
    selector, own = (labels.of_run(run_id), own_namespace(run_id)) if run_id else (labels.ALL, "")
    for trace in finder.marked(selector, finder.kinds(), own_namespace=own):
        by_run.setdefault(trace.labels[labels.RUN], {})[trace.uid] = trace
    for api in VOLUMES:
        for trace in finder.all(api):
            owner = _run_of_volume(trace, by_run, finder.get)
            if owner and owner == (run_id or owner):
                by_run.setdefault(owner, {})[trace.uid] = trace
    runs = [_found(found, list(traces.values())) for found, traces in by_run.items()]
    return sorted(runs, key=lambda run: run.began_at), finder.unseen


def _run_of_volume(trace: Trace, known: Iterable[str], get: Callable[[Api, str], Trace | None]) -> str | None:
    """The run that a volume belongs to, by the namespace of its claim; None where it is not a run's own."""
    for run_id in known:
        if belongs_to(trace, run_id):
            return run_id
    name = claimed(trace).get("namespace", "")
    own = _OWN_NAMESPACE.fullmatch(name)
    if own is None or not is_made_for_its_claim(trace):
        return None
    holder = get(Namespace.api, name)  # somebody's namespace may be called like ours
    return own[1] if holder is None or holder.labels.get(labels.RUN) == own[1] else None


def _found(run_id: str, traces: Sequence[Trace]) -> FoundRun:
    counts: dict[str, int] = {}
    for trace in traces:
        counts[trace.kind] = counts.get(trace.kind, 0) + 1
    expiries = [expiry for trace in traces if (expiry := labels.expiry(trace.labels))]
    places = {trace.namespace or claimed(trace).get("namespace") for trace in traces}
    return FoundRun(
        run_id=run_id,
        began_at=min(datetime.fromisoformat(trace.metadata["creationTimestamp"]) for trace in traces),
        expires_at=max(expiries, default=None),
        namespaces=tuple(sorted(place for place in places if place)),
        objects=dict(sorted(counts.items())),
    )
