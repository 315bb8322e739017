"""Vendor clusters: one small whole cluster per vendor below tests/checks/vendors, with the vendor's published defaults.

A file holds manifests as kubectl prints them, and begins with a document of ``kind: Fixture``::

    kind: Fixture
    vendor: amazon-eks                  # the id that detection must tell
    server_version: v1.34.2-eks-4c91d8e # the API server's gitVersion
    api_groups: [metrics.k8s.io/v1beta1] # what is served beside the groups of ``_common.yaml``
    parts: {core/nodes: forbidden}      # or absent, failed, missing
    raw: {metrics.txt: text}            # answers that differ from those of ``_common.yaml``

Every part that is not in the file was read and is empty. A type whose API group is not served is absent, and what no
collection asks for unless it is told to, such as a kubelet's configuration, is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from auditor.facts.parts import MISSING, OK, Part, PartState, PartStatus, Resource
from auditor.facts.store import Facts, Origin, PartFacts, PartKey
from auditor.facts.vendor import VENDOR_PARTS, detect_vendor, served_groups
from auditor.judge import Policy, judge
from auditor.model import Finding, Vendor
from auditor.units.check import Check
from tests.fixture_clusters import COLLECTED_AT, Manifest, is_of, objects_of

VENDORS = Path(__file__).parent / "checks" / "vendors"

COMMON = "_common"

UNSERVED_TYPES = ("scheduling.k8s.io/podgroups", "scheduling.k8s.io/workloads")
"""Alpha types of a group that every cluster serves: no vendor turns them on by itself."""

ABSENT = PartStatus(state=PartState.ABSENT, reason="the server does not serve it")


class VendorOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document of ``kind: Fixture``."""

    kind: str = "Fixture"
    vendor: str = ""
    server_version: str = ""
    api_groups: tuple[str, ...] = ()
    parts: dict[str, PartState] = {}
    raw: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorCluster:
    """One vendor's cluster.

    Attributes:
        name: the file's, without its ending.
        options: what the file says beside its manifests, with what is common to all.
        manifests: the objects, with those that are common to all.
    """

    name: str
    options: VendorOptions
    manifests: tuple[Manifest, ...] = field(repr=False)

    def facts(self, checks: Iterable[Check]) -> Facts:
        """What a collection for these checks would have read."""
        parts = {part.key: part for check in checks for part in check.reads}
        parts |= {part.key: part for part in VENDOR_PARTS}
        read: dict[PartKey, PartFacts] = {key: self._part(part) for key, part in parts.items()}
        return Facts(read, origin=Origin(collected_at=COLLECTED_AT, server_version=self.options.server_version))

    def vendor(self) -> Vendor | None:
        """Whom detection tells."""
        facts = self.facts(())
        return detect_vendor(facts, api_groups=served_groups(facts))

    def findings(self, checks: Iterable[Check]) -> tuple[Finding, ...]:
        """What the checks say, with the defaults of their parameters."""
        chosen = tuple(checks)
        return judge(self.facts(chosen), chosen, Policy(today=date(2026, 1, 1))).findings

    def unread(self, checks: Iterable[Check]) -> list[str]:
        """Kinds of the file that no check reads: they prove nothing."""
        read = {part.view for check in checks for part in check.reads if part.view is not None}
        views = [view for view in read if issubclass(view, Resource)]
        return sorted({each["kind"] for each in self.manifests if not any(is_of(view, each) for view in views)})

    def _part(self, part: Part) -> PartFacts:
        state = self.options.parts.get(str(part))
        if state is not None:
            return PartFacts(PartStatus(state=state, reason="says the fixture"))
        if part.view is None:
            text = self._answers().get(part.id.removeprefix("raw/"))
            return PartFacts(MISSING) if text is None else PartFacts(OK, text)
        if not issubclass(part.view, Resource):
            return PartFacts(MISSING)
        group = part.view.api.group
        if part.id in UNSERVED_TYPES or group not in ("core", *(each.partition("/")[0] for each in self._groups())):
            return PartFacts(ABSENT)
        return PartFacts(OK, tuple(objects_of(part, self.manifests)))

    def _groups(self) -> tuple[str, ...]:
        return self.options.api_groups

    def _answers(self) -> dict[str, str]:
        """The raw answers, with those that follow from what else is said."""
        version = self.options.server_version
        release = re.match(r"v(\d+)\.(\d+)", version)
        if release is None:
            raise ValueError(f"{self.name}: {version} is no version")
        groups: dict[str, list[dict[str, str]]] = {}
        for each in self._groups():
            groups.setdefault(each.partition("/")[0], []).append({"groupVersion": each})
        return {
            "version.json": json.dumps({"major": release[1], "minor": release[2], "gitVersion": version}),
            "apis.json": json.dumps({"groups": [{"name": name, "versions": each} for name, each in groups.items()]}),
            **self.options.raw,
        }


def load_vendor_clusters() -> dict[str, VendorCluster]:
    """All vendors' clusters by name, in the order of their names."""
    return {path.stem: _load(path) for path in sorted(VENDORS.glob("*.yaml")) if path.stem != COMMON}


def _load(path: Path) -> VendorCluster:
    common, shared = _read(VENDORS / f"{COMMON}.yaml")
    own, manifests = _read(path)
    options = msgspec.structs.replace(
        own, api_groups=(*common.api_groups, *own.api_groups), raw={**common.raw, **own.raw}
    )
    return VendorCluster(name=path.stem, options=options, manifests=(*shared, *manifests))


def _read(path: Path) -> tuple[VendorOptions, tuple[Manifest, ...]]:
    options, *manifests = _documents(path)
    return msgspec.convert(options, VendorOptions), tuple(manifests)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each)
