"""The contenders of ``make bench``; each runs in a process of its own and prints one JSON object.

``python -m tests.bench.contenders NAME BUNDLE``
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import auditor.facts.kube as views
from auditor.bundle import read_bundle
from auditor.facts.kube import Node, Pod, StatefulSet
from auditor.facts.kube.meta import KubeObject
from auditor.facts.parts import Part, part_of
from auditor.facts.store import Facts
from auditor.judge import Policy, judge
from auditor.registry import load_checks

LISTED_VIEWS = tuple(
    view
    for view in vars(views).values()
    if isinstance(view, type) and issubclass(view, KubeObject) and view is not views.ConfigMap
)
"""Every view but that of ConfigMaps, which are read one by one."""


def judging(bundle: Path) -> dict[str, Any]:
    """Read all parts, look pods up in every way, run every check."""
    seconds: dict[str, float] = {}
    checks = load_checks()
    facts = _timed(
        seconds, "read", lambda: read_bundle(bundle, _parts(part for check in checks for part in check.reads))
    )
    found = _timed(seconds, "look-ups", lambda: _look_up(facts))
    judgement = _timed(seconds, "checks", lambda: judge(facts, checks, Policy(today=date(2024, 6, 1))))
    counts = {"look-ups": found, "checks": len(judgement.checks), "findings": len(judgement.findings)}
    return {"seconds": sum(seconds.values()), "phases": seconds, "counts": counts | facts.counts()}


def reading(bundle: Path) -> dict[str, Any]:
    """Read all parts."""
    seconds: dict[str, float] = {}
    facts = _timed(seconds, "read", lambda: read_bundle(bundle, _parts()))
    return {"seconds": seconds["read"], "counts": facts.counts()}


def reading_without_pods(bundle: Path) -> dict[str, Any]:
    """Read all parts but the pods, to tell their share."""
    seconds: dict[str, float] = {}
    parts = [part for part in _parts() if part.view is not Pod]
    facts = _timed(seconds, "read", lambda: read_bundle(bundle, parts))
    return {"seconds": seconds["read"], "counts": facts.counts()}


def json_load(bundle: Path) -> dict[str, Any]:
    """Load the same files with the standard library, and keep them as a program would."""
    seconds: dict[str, float] = {}

    def load() -> list[Any]:
        loaded = []
        for path in sorted((bundle / "resources").rglob("*.json")):
            with path.open() as stream:
                loaded.append(json.load(stream))
        return loaded

    lists = _timed(seconds, "read", load)
    return {"seconds": seconds["read"], "counts": {found["kind"]: len(found["items"]) for found in lists}}


def json_load_without_gc(bundle: Path) -> dict[str, Any]:
    """The same without the garbage collector, which the reader pauses too."""
    gc.disable()
    return json_load(bundle)


CONTENDERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "judging": judging,
    "reading": reading,
    "reading-without-pods": reading_without_pods,
    "json-load": json_load,
    "json-load-without-gc": json_load_without_gc,
}


def _parts(more: Iterable[Part] = ()) -> Sequence[Part]:
    return tuple(dict.fromkeys((*map(part_of, LISTED_VIEWS), *more)))


def _timed(seconds: dict[str, float], phase: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    done = work()
    seconds[phase] = time.perf_counter() - start
    return done


def _look_up(facts: Facts) -> int:
    """Every pod by its name, its node, its namespace and its app's label; all pods of every StatefulSet."""
    found = 0
    for pod in facts.list(Pod):
        found += facts.get(Pod, pod.name, namespace=pod.namespace) is pod
        found += facts.get(Node, pod.spec.node_name or "") is not None
        found += bool(facts.labelled(Pod, "app.kubernetes.io/name", pod.labels["app.kubernetes.io/name"]))
        found += bool(facts.in_namespace(Pod, pod.namespace or ""))
    return found + sum(len(facts.owned_by(Pod, owner)) for owner in facts.list(StatefulSet))


def main() -> None:
    """Run the contender that the command line names."""
    outcome = CONTENDERS[sys.argv[1]](Path(sys.argv[2]))
    unit = 1 if sys.platform == "darwin" else 1024
    usage = resource.getrusage(resource.RUSAGE_SELF)
    outcome["peak_mib"] = usage.ru_maxrss * unit / 2**20
    outcome["cpu_s"] = usage.ru_utime + usage.ru_stime
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main()
