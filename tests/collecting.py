"""What the tests of collecting share: quick limits, a collection in one line, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auditor.bundle.manifest import MANIFEST, FileEntry, Manifest, ResourceEntry, decode_manifest
from auditor.cluster import Limits, connect
from auditor.collect import Outcome, collect
from auditor.facts.parts import Api, PartState
from auditor.reading_plan import Plan
from tests.testbed.layout import KUBECONFIG

QUICK = Limits(request_timeout_seconds=2, deadline_seconds=6, requests_per_second=500, parallel_requests=4)


def listing(*apis: Api) -> Plan:
    """A plan that lists these types, and nothing else."""
    return Plan(listed=apis, named=(), raw=())


def collected(wanted: Plan, path: Path, *, kubeconfig: Path = KUBECONFIG, limits: Limits = QUICK) -> Outcome:
    """Read the current context of a kubeconfig into a bundle."""
    connection = connect(kubeconfig=kubeconfig)
    try:
        return collect(connection, wanted, path, limits=limits)
    finally:
        connection.pool.clear()


def manifest(path: Path) -> Manifest:
    """The manifest of a bundle's folder."""
    return decode_manifest((path / MANIFEST).read_bytes())


def entry(path: Path, plural: str) -> ResourceEntry:
    """What became of a type, of which nothing but the whole list was asked for."""
    (found,) = (each for each in manifest(path).resources if each.plural == plural)
    return found


def items(path: Path, plural: str, *, namespace: str | None = None) -> list[dict[str, Any]]:
    """The objects of a type in a bundle, those of one namespace if asked for."""
    data = (path / entry(path, plural).path).read_bytes()
    found: list[dict[str, Any]] = json.loads(data)["items"]
    return [item for item in found if namespace in (None, item["metadata"].get("namespace"))]


def names(path: Path, plural: str, *, namespace: str | None = None) -> list[str]:
    """The names of those objects, sorted, each as often as it is there."""
    return sorted(item["metadata"]["name"] for item in items(path, plural, namespace=namespace))


def not_ok(entries: Iterable[ResourceEntry | FileEntry]) -> dict[str, PartState]:
    """The state of each part that did not come."""
    return {each.name: each.status for each in entries if each.status is not PartState.OK}
