"""Fixture clusters: small YAML files below tests/checks/data whose names say what a check must find in them.

``<check id>/<status>-<case>.yaml`` holds manifests as kubectl prints them. Every part that the check reads is taken as
read whole, and empty where the file has no such object. One document of ``kind: Fixture`` may say otherwise::

    kind: Fixture
    parts: {core/nodes: forbidden}      # or absent, failed, missing
    parameters: {name: value}           # of the check
    raw: {readyz.txt: text}             # answers that are no objects; one that is not given is missing
    observations: {dns.json: {…}}       # documents of probes; one that is not given is missing
    collected_at: 2026-01-01T12:00:00Z  # the only "now"; this one where it is not given
    server_version: v1.35.4             # the API server's gitVersion; empty where it is not given
    message: a regular expression       # that one finding of the expected status must match
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from auditor.facts.kube.meta import KubeObject
from auditor.facts.parts import CORE_GROUP, MISSING, OK, Document, Part, PartState, PartStatus, Resource
from auditor.facts.store import Facts, Origin, PartFacts, PartKey
from auditor.judge import Policy, judge_check
from auditor.model import Finding, Status
from auditor.registry import load_checks
from auditor.units.check import Check

DATA = Path(__file__).parent / "checks" / "data"

WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.OK, Status.SKIP)

COLLECTED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)

Manifest = dict[str, Any]


class FixtureOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document of ``kind: Fixture``."""

    kind: str = "Fixture"
    parts: dict[str, PartState] = {}
    parameters: dict[str, Any] = {}
    raw: dict[str, str] = {}
    observations: dict[str, Any] = {}
    collected_at: datetime = COLLECTED_AT
    server_version: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixtureCluster:
    """One fixture file: a cluster as one check sees it.

    Attributes:
        path: the file.
        check: the check that the file is for.
        expected: the status of the worst finding.
        options: what the file says beside its manifests.
        manifests: the objects, in the file's order.
    """

    path: Path
    check: Check
    expected: Status
    options: FixtureOptions
    manifests: tuple[Manifest, ...] = field(repr=False)

    @property
    def id(self) -> str:
        """What pytest shows."""
        return f"{self.check.id}/{self.path.stem}"

    def parts(self, states: Mapping[str, PartState] | None = None) -> dict[PartKey, PartFacts]:
        """The parts that the check reads, those in ``states`` in another state than the file says."""
        chosen = {**self.options.parts, **(states or {})}
        return {part.key: self._part(part, chosen.get(str(part), PartState.OK)) for part in self.check.reads}

    def findings(self, parts: Mapping[PartKey, PartFacts] | None = None) -> list[Finding]:
        """What the check says, of these parts or of the file's own."""
        policy = Policy(parameters={self.check.id: self.options.parameters}, today=date(2026, 1, 1))
        origin = Origin(collected_at=self.options.collected_at, server_version=self.options.server_version)
        return judge_check(self.check, Facts(self.parts() if parts is None else parts, origin=origin), policy)

    def _part(self, part: Part, state: PartState) -> PartFacts:
        if state is not PartState.OK:
            return PartFacts(PartStatus(state=state, reason="says the fixture"))
        if part.view is None:
            name = part.id.removeprefix("raw/")
            return PartFacts(OK, self.options.raw[name]) if name in self.options.raw else PartFacts(MISSING)
        if issubclass(part.view, Document):
            return self._document(part.view)
        return PartFacts(OK, tuple(objects_of(part, self.manifests)))

    def _document(self, view: type[Document]) -> PartFacts:
        given = self.options.observations.get(view.part_id.removeprefix("observations/"))
        return PartFacts(MISSING) if given is None else PartFacts(OK, msgspec.convert(given, view))


def objects_of(part: Part, manifests: Iterable[Manifest]) -> Iterator[KubeObject]:
    """The objects of a part, decoded, in the order of the manifests."""
    if part.view is None or not issubclass(part.view, KubeObject):
        raise NotImplementedError(f"Fixtures cannot hold {part} yet; teach tests/fixture_clusters.py.")
    for manifest in manifests:
        if not is_of(part.view, manifest):
            continue
        decoded = msgspec.json.decode(json.dumps(manifest), type=part.view)
        name = f"{decoded.namespace}/{decoded.name}" if decoded.namespace else decoded.name
        if part.object in (None, name):
            yield decoded


def worst(findings: Iterable[Finding]) -> Status:
    """The status that decides: fail, unknown, warn, ok, skip."""
    return min((finding.status for finding in findings), key=WORST_FIRST.index)


def load_fixture_clusters() -> list[FixtureCluster]:
    """All fixture files of all checks, in the order of their names."""
    return [_load(path) for path in sorted(DATA.glob("*/*.yaml"))]


def _load(path: Path) -> FixtureCluster:
    documents = [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    options = [document for document in documents if document["kind"] == "Fixture"]
    cluster = FixtureCluster(
        path=path,
        check=load_checks().get(path.parent.name),
        expected=Status(path.stem.partition("-")[0]),
        options=msgspec.convert(options[0] if options else {}, FixtureOptions),
        manifests=tuple(document for document in documents if document["kind"] != "Fixture"),
    )
    _refuse_the_unread(cluster)
    return cluster


def _refuse_the_unread(cluster: FixtureCluster) -> None:
    """A manifest or part that the check does not read is a slip of the pen, and would prove nothing."""
    views = [part.view for part in cluster.check.reads if part.view is not None and issubclass(part.view, KubeObject)]
    for manifest in cluster.manifests:
        if not any(is_of(view, manifest) for view in views):
            raise ValueError(f"{cluster.path}: {cluster.check.id} does not read a {manifest['kind']}")
    raw_parts = {part.id.removeprefix("raw/") for part in cluster.check.reads if part.view is None}
    if unread := set(cluster.options.raw) - raw_parts:
        raise ValueError(f"{cluster.path}: {cluster.check.id} does not read raw/{unread}")
    documents = {str(part).removeprefix("observations/") for part in cluster.check.reads}
    if unread := set(cluster.options.observations) - documents:
        raise ValueError(f"{cluster.path}: {cluster.check.id} does not read observations/{unread}")
    if unread := set(cluster.options.parts) - {str(part) for part in cluster.check.reads}:
        raise ValueError(f"{cluster.path}: {cluster.check.id} does not read {unread}")


def is_of(view: type[Resource], manifest: Manifest) -> bool:
    """Whether a manifest is an object of the view's type."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    api = view.api
    return manifest["kind"] == api.kind and (group or CORE_GROUP) == api.group and version in api.versions
