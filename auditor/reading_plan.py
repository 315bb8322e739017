"""What a collection asks for: the resource types, single objects and raw answers that checks read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.facts.parts import Api, Part, Resource

RAW_PATHS = {
    "version.json": "/version",
    "apis.json": "/apis",
    "readyz.txt": "/readyz?verbose",
    "metrics.txt": "/metrics",
}
"""The answers that are no objects: the file below raw/, and the path at the API server."""

KUBELET_CONFIGURATION = "kubelet-configz.json"
"""One node's kubelet configuration, below raw/. It comes through the API server and needs nodes/proxy, which is as good
as exec into every pod of the node: it is asked for only on request, and no role of ours grants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a collection asks for.

    Attributes:
        listed: the resource types that are listed whole.
        named: the types of which only some objects are asked for, with those objects' ``namespace/name``.
        raw: files of :data:`RAW_PATHS`.
        kubelet_configuration: whether :data:`KUBELET_CONFIGURATION` is asked for.
    """

    listed: tuple[Api, ...]
    named: tuple[tuple[Api, tuple[str, ...]], ...]
    raw: tuple[str, ...]
    kubelet_configuration: bool = False

    @property
    def apis(self) -> tuple[Api, ...]:
        """All resource types."""
        return (*self.listed, *(api for api, _ in self.named))


def plan(parts: Iterable[Part]) -> Plan:
    """What to ask for so that these parts can be read. Observations and measurements are left to others."""
    listed: dict[str, Api] = {}
    named: dict[str, dict[str, None]] = {}
    apis: dict[str, Api] = {}
    raw = {"version.json", "apis.json"}
    for part in parts:
        if part.id.startswith("raw/"):
            raw.add(part.id.removeprefix("raw/"))
        elif part.view is not None and issubclass(part.view, Resource):
            api = apis.setdefault(part.id, part.view.api)
            if part.object is None:
                listed[part.id] = api
            else:
                named.setdefault(part.id, {})[part.object] = None
    return Plan(
        listed=tuple(listed.values()),
        named=tuple((apis[id], tuple(names)) for id, names in named.items() if id not in listed),  # noqa: A001
        raw=tuple(name for name in RAW_PATHS if name in raw),
    )
