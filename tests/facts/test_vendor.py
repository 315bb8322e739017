"""Vendor detection: one small cluster per vendor and look-alike below data/vendors, and what must hold for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.config.settings import defaults
from auditor.facts.kube import Node, StorageClass
from auditor.facts.kube.meta import KubeObject
from auditor.facts.kube.nodes import CONTROL_PLANE_LABELS
from auditor.facts.parts import OK, Api, PartState, PartStatus, Resource, UndeclaredReadError
from auditor.facts.store import Facts, Origin, PartFacts, PartKey
from auditor.facts.vendor import (
    API_GROUPS,
    SELF_MANAGED,
    UNDETERMINED,
    VENDOR_PARTS,
    Detection,
    detect,
    detect_vendor,
    served_groups,
)
from auditor.facts.vendor_marks import MARKS, Cloud, Mark, Platform, Source, Weight
from auditor.model import Vendor
from auditor.registry import Registry
from auditor.run import audit_bundle
from auditor.units.check import Check

DATA = Path(__file__).parent / "data" / "vendors"
DOCS = Path(__file__).parents[2] / "docs" / "vendors.md"
EXAMPLE = Path(__file__).parents[2] / "examples" / "recorded-cluster"

NODES, CLASSES, _ = (part.key for part in VENDOR_PARTS)

Manifest = dict[str, Any]


class VendorFixture(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The document of ``kind: Fixture``: what is known beside the objects, and what must be told."""

    kind: str
    vendor: str | None
    name: str | None
    server_version: str
    evidence: list[str]
    api_groups: list[str] = []
    api_host: str = ""
    unread: list[str] = []
    development: bool = False


class VendorCluster(msgspec.Struct, kw_only=True):
    """One fixture file, or what is left of it."""

    said: VendorFixture
    nodes: list[Manifest]
    classes: list[Manifest]

    def facts(self) -> Facts:
        """The objects as facts."""
        parts = {
            NODES: PartFacts(OK, decoded(Node, self.nodes)),
            CLASSES: PartFacts(OK, decoded(StorageClass, self.classes)),
        }
        forbidden = PartFacts(PartStatus(state=PartState.FORBIDDEN, reason="says the fixture"))
        unread: dict[PartKey, PartFacts] = {(part_id, None): forbidden for part_id in self.said.unread}
        return Facts(parts | unread, origin=Origin(server_version=self.said.server_version))

    def detect(self) -> Detection:
        """What detection says."""
        return detect(self.facts(), api_groups=self.said.api_groups, api_host=self.said.api_host)


def decoded(view: type[KubeObject], manifests: Sequence[Manifest]) -> tuple[KubeObject, ...]:
    return tuple(msgspec.json.decode(json.dumps(manifest), type=view) for manifest in manifests)


def load(name: str) -> VendorCluster:
    documents = list(yaml.safe_load_all((DATA / f"{name}.yaml").read_text(encoding="utf-8")))
    kinds: dict[str, list[Manifest]] = {"Fixture": [], "Node": [], "StorageClass": []}
    for document in documents:
        kinds[document["kind"]].append(document)
    (said,) = kinds["Fixture"]
    return VendorCluster(said=msgspec.convert(said, VendorFixture), nodes=kinds["Node"], classes=kinds["StorageClass"])


NAMES = sorted(path.stem for path in DATA.glob("*.yaml"))
OWNERS = sorted({mark.of for mark in MARKS}, key=lambda of: of.id)
CLOUD_IDS = {of.id for of in OWNERS if isinstance(of, Cloud)}


def node(name: str, **fields: Any) -> Manifest:
    return {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields}


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_is_told_with_its_evidence(name: str) -> None:
    cluster = load(name)

    detection = cluster.detect()

    vendor = detection.vendor
    assert (vendor.id if vendor else None) == cluster.said.vendor
    assert (vendor.name if vendor else None) == cluster.said.name
    assert detection.is_development is cluster.said.development
    evidence = vendor.evidence if vendor else ()
    assert [sentence for sentence in cluster.said.evidence if sentence not in evidence] == []
    assert len(set(evidence)) == len(evidence)


def test_every_platform_has_a_cluster() -> None:
    told = {load(name).said.vendor for name in NAMES}
    assert {of.id for of in OWNERS if isinstance(of, Platform)} | {SELF_MANAGED, UNDETERMINED, None} <= told


@settings(deadline=None)
@given(st.sampled_from(NAMES).map(load), st.randoms(use_true_random=False))
def test_the_order_of_objects_and_groups_does_not_matter(cluster: VendorCluster, random: Any) -> None:
    before = cluster.detect()
    for each in (cluster.nodes, cluster.classes, cluster.said.api_groups):
        random.shuffle(each)
    assert cluster.detect() == before


def forget(cluster: VendorCluster, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Take any share of the evidence away: objects, and fields and labels of all that are left."""

    def goes() -> bool:
        return bool(draw(st.booleans()))

    for manifests in (cluster.nodes, cluster.classes):
        manifests[:] = [manifest for manifest in manifests if not goes()]
    for field in ("labels", "annotations"):
        tables = [manifest["metadata"].get(field, {}) for manifest in cluster.nodes]
        for key in sorted({key for table in tables for key in table if goes()}):
            for table in tables:
                table.pop(key, None)
    for part, field in (("spec", "providerID"), ("nodeInfo", "osImage"), ("nodeInfo", "kubeletVersion")):
        if goes():
            for manifest in cluster.nodes:
                (manifest["status"] | manifest)[part].pop(field, None)
    said = cluster.said
    said.api_groups = [group for group in said.api_groups if not goes()]
    said.api_host = "" if goes() else said.api_host
    said.server_version = "" if goes() else said.server_version


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).said.vendor not in (None, UNDETERMINED)])
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_less_evidence_never_makes_another_vendor(name: str, data: st.DataObject) -> None:
    cluster = load(name)
    forget(cluster, data.draw)
    vendor = cluster.detect().vendor
    assert vendor is None or vendor.id in {cluster.said.vendor, SELF_MANAGED, UNDETERMINED} | CLOUD_IDS


@st.composite
def marked(draw: st.DrawFn, mark: Mark) -> VendorCluster:
    """A cluster that carries this mark and nothing else."""
    said = VendorFixture(kind="Fixture", vendor="", name="", server_version="", evidence=[])
    cluster = VendorCluster(said=said, nodes=[node("n")], classes=[])
    if mark.source in (Source.NODE_LABEL, Source.NODE_ANNOTATION):
        key, _, value = mark.pattern.partition("=")
        cluster.nodes[0]["metadata"][f"{mark.source}s"] = {key: value or "any"}
        return cluster
    text = draw(st.from_regex(mark.pattern, alphabet=st.characters(codec="ascii")))
    match mark.source:
        case Source.API_GROUP:
            said.api_groups = [text]
        case Source.PROVIDER_ID:
            cluster.nodes[0]["spec"] = {"providerID": text}
        case Source.OS_IMAGE:
            cluster.nodes[0]["status"] = {"nodeInfo": {"osImage": text}}
        case Source.VERSION if draw(st.booleans()):
            said.server_version = text
        case Source.VERSION:
            cluster.nodes[0]["status"] = {"nodeInfo": {"kubeletVersion": text}}
        case Source.PROVISIONER:
            cluster.classes = [{"metadata": {"name": "c"}, "provisioner": text}]
        case Source.CLASS_NAME:
            cluster.classes = [{"metadata": {"name": text}, "provisioner": "p"}]
        case Source.API_HOST:
            said.api_host = text
    return cluster


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: f"{mark.of.id}-{mark.pattern}")
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_a_mark_alone_says_what_its_weight_lets_it_say(mark: Mark, data: st.DataObject) -> None:
    vendor = data.draw(marked(mark)).detect().vendor

    assert vendor is not None
    assert vendor.id == (UNDETERMINED if mark.weight is Weight.FAMILY else mark.of.id)
    assert vendor.evidence
    assert mark.note in " ".join(vendor.evidence)


def test_clouds_have_cloud_marks_and_platforms_have_others() -> None:
    for mark in MARKS:
        assert isinstance(mark.of, Cloud) is (mark.weight is Weight.CLOUD)
        assert mark.weight is not Weight.FAMILY or isinstance(mark.of, Platform)
    assert len({of.id for of in OWNERS}) == len(OWNERS)


def test_a_shared_mark_counts_only_where_the_platforms_own_machines_are() -> None:
    labels = {"cloud.google.com/gke-nodepool": "pool"}

    def told(provider_id: str) -> Vendor | None:
        nodes = [node("n", metadata={"labels": labels}, spec={"providerID": provider_id})]
        return detect_vendor(Facts({NODES: PartFacts(OK, decoded(Node, nodes))}))

    assert (gke := told("gce://p/z/n")) is not None
    assert gke.id == "google-gke"
    assert (on_aws := told("aws:///z/i-1")) is not None
    assert on_aws.id == "aws"
    assert "1 of 1 nodes has the label cloud.google.com/gke-nodepool (Google GKE leaves it, and so do others)" in (
        on_aws.evidence
    )


@pytest.mark.parametrize("role", CONTROL_PLANE_LABELS)
def test_either_role_label_shows_a_control_plane(role: str) -> None:
    nodes = [node("n", metadata={"labels": {role: ""}})]
    vendor = detect_vendor(Facts({NODES: PartFacts(OK, decoded(Node, nodes))}))
    assert vendor is not None
    assert vendor.id == SELF_MANAGED


@pytest.mark.parametrize("state", [state for state in PartState if state is not PartState.OK])
def test_what_cannot_be_read_is_said_and_breaks_nothing(state: PartState) -> None:
    unread = PartFacts(PartStatus(state=state, reason="so it is"))
    origin = Origin(server_version="v1.33.5+rke2r1")

    vendor = detect_vendor(Facts({NODES: unread, CLASSES: unread}, origin=origin))

    assert vendor == Vendor(
        id="rke2",
        name="Rancher RKE2",
        evidence=(
            "the server's version has +rke2r1",
            f"nodes could not be read: {state} (so it is)",
            f"storageclasses could not be read: {state} (so it is)",
        ),
    )


def test_nothing_read_is_nothing_told() -> None:
    assert detect(Facts({})) == Detection(vendor=None, is_development=False)


def test_a_check_may_detect_with_the_parts_that_it_declares() -> None:
    facts = load("kind").facts()
    assert detect(facts.restricted_to(VENDOR_PARTS)) == load("kind").detect()
    with pytest.raises(UndeclaredReadError):
        detect(facts.restricted_to([Node]))


class OwnNode(Resource, frozen=True, kw_only=True):
    """A plugin's own view of nodes."""

    api: ClassVar[Api] = Node.api
    metadata: dict[str, Any]


def test_nodes_in_a_plugins_own_view_are_left_alone() -> None:
    facts = Facts({NODES: PartFacts(OK, (OwnNode(metadata={}),))}, origin=Origin(server_version="v1.33.1+k3s1"))
    vendor = detect_vendor(facts)
    assert vendor is not None
    assert "nodes could not be used: a plugin reads them through a view of its own" in vendor.evidence


def run(bundle: Path, checks: Registry[Check]) -> Vendor | None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return audit_bundle(bundle, defaults().settings, now=now, checks=checks).cluster.vendor


def test_a_run_says_the_vendor_though_no_check_reads_nodes() -> None:
    vendor = run(EXAMPLE, Registry("check"))
    assert vendor is not None
    assert vendor.id == "amazon-eks"


def test_forbidden_nodes_do_not_break_a_run(tmp_path: Path) -> None:
    resources = [{"group": "core", "version": "v1", "plural": "nodes", "status": "forbidden", "http_status": 403}]
    manifest = json.loads((EXAMPLE / "manifest.json").read_text()) | {"resources": resources}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    vendor = run(tmp_path, Registry("check"))

    assert vendor is not None
    assert vendor.id == "amazon-eks"
    assert any(sentence.startswith("nodes could not be read: forbidden") for sentence in vendor.evidence)


def test_the_manual_names_every_vendor_and_label() -> None:
    text = DOCS.read_text(encoding="utf-8")
    ids = [of.id for of in OWNERS] + [SELF_MANAGED, UNDETERMINED]
    keys = [mark.pattern for mark in MARKS if mark.source in (Source.NODE_LABEL, Source.NODE_ANNOTATION)]
    assert [each for each in ids + keys if f"`{each}`" not in text] == []


@pytest.mark.parametrize(
    ("collected", "groups"),
    [
        ('{"kind": "APIGroupList", "groups": [{"name": "apps", "versions": []}]}', {"apps"}),
        ('{"kind": "APIGroupList", "groups": null}', set()),
        ("<html>", set()),
        (None, set()),
    ],
)
def test_served_groups_come_from_the_servers_own_list(collected: str | None, groups: set[str]) -> None:
    parts = {} if collected is None else {API_GROUPS.key: PartFacts(OK, collected)}

    assert served_groups(Facts(parts)) == groups
