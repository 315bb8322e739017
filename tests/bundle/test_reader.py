"""What read_bundle makes of a bundle: contents, states and warnings, from folder and archive alike."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from auditor.bundle import Limits, read_bundle
from auditor.errors import BundleError, BundleFormatError, PluginError
from auditor.facts.kube import ConfigMap, Node, PersistentVolumeClaim, Pod, StorageClass
from auditor.facts.kube.meta import KubeObject
from auditor.facts.parts import Api, Document, Part, PartState, Readable, if_served, named, part_of, raw
from auditor.facts.store import Facts
from tests.bundle.builders import (
    CLASSES,
    CONFIG_MAPS,
    LAYOUTS,
    NODES,
    PODS,
    api_list,
    config_map,
    kubectl_list,
    manifest,
    node,
    pack,
    write_folder,
)

ReadFiles = Callable[..., Facts]

COREDNS = named(ConfigMap, "coredns", namespace="kube-system")
PROXY = named(ConfigMap, "kube-proxy", namespace="kube-system")


class DnsObservations(Document, frozen=True, kw_only=True):
    """Stands for a probe's observations."""

    part_id: ClassVar[str] = "observations/dns.json"
    lookups: int


class Gateway(KubeObject, frozen=True, kw_only=True):
    """A view that understands two versions, the newer one first."""

    api: ClassVar[Api] = Api(
        group="gateway.example.com", versions=("v1", "v1beta1"), plural="gateways", kind="Gateway", namespaced=True
    )


@pytest.fixture(params=["folder", "archive", "archive, manifest last"])
def read_files(request: pytest.FixtureRequest, tmp_path: Path) -> ReadFiles:
    def read(files: Mapping[str, str | bytes], *parts: Readable, limits: Limits | None = None) -> Facts:
        asked = [part_of(part) for part in parts]
        if request.param == "folder":
            return read_bundle(write_folder(tmp_path / "prod", files), asked, limits=limits)
        if request.param == "archive, manifest last":
            files = dict(sorted(files.items(), key=lambda file: file[0] == "manifest.json"))
        return read_bundle(pack(tmp_path / "prod.tar.gz", files), asked, limits=limits)

    return read


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_reads_what_is_asked_for_and_nothing_else(read_files: ReadFiles, layout: str) -> None:
    facts = read_files(
        {
            NODES: LAYOUTS[layout]("Node", [node("a"), node("b", labels={"x": "y"})]),
            PODS: "this would be an error if it were read",
        },
        Node,
    )

    assert [found.name for found in facts.list(Node)] == ["a", "b"]
    assert facts.list(Node)[1].labels == {"x": "y"}
    assert facts.counts() == {"core/nodes": 2}
    assert facts.origin.warnings == ()


def test_a_bundle_without_a_manifest_counts_what_is_there(read_files: ReadFiles) -> None:
    facts = read_files({NODES: kubectl_list("Node", [])}, Node, Pod, raw("readyz.txt"), DnsObservations)

    assert facts.list(Node) == ()
    for part in (Pod, raw("readyz.txt"), DnsObservations):
        assert facts.status(part).state is PartState.MISSING
    assert facts.origin.name == "prod"
    assert facts.origin.collected_at is None


def test_the_origin_is_the_manifests(read_files: ReadFiles) -> None:
    text = manifest(name="staging", description="before", server_version="v1.30.1", finished_at="2024-06-01T12:00:00Z")

    origin = read_files({"manifest.json": text, "raw/version.json": '{"gitVersion":"v0"}'}).origin

    assert (origin.name, origin.description, origin.server_version) == ("staging", "before", "v1.30.1")
    assert origin.collected_at == datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert "prod" in origin.path


@pytest.mark.parametrize(("text", "version"), [('{"gitVersion":"v1.29.3"}', "v1.29.3"), ("{}", ""), ("nonsense", "")])
def test_the_server_version_may_come_from_its_own_answer(read_files: ReadFiles, text: str, version: str) -> None:
    assert read_files({"raw/version.json": text}).origin.server_version == version


@pytest.mark.parametrize("state", [PartState.FORBIDDEN, PartState.ABSENT, PartState.FAILED])
def test_what_the_manifest_says_did_not_come_did_not_come(read_files: ReadFiles, state: PartState) -> None:
    entry = {"path": NODES, "status": state, "reason": "said so", "http_status": 418, "tries": 3}

    facts = read_files({"manifest.json": manifest(entry)}, Node)

    assert facts.status(Node).state is state
    assert facts.status(Node).reason == "said so, HTTP 418, 3 tries"


def test_a_list_that_failed_halfway_does_not_count(read_files: ReadFiles) -> None:
    text = manifest({"path": NODES, "status": "failed"})

    facts = read_files({"manifest.json": text, NODES: api_list("Node", [node("a")])}, Node)

    assert facts.status(Node).state is PartState.FAILED


def test_a_file_that_the_manifest_lists_and_that_is_gone_failed(read_files: ReadFiles) -> None:
    files = [{"path": "raw/readyz.txt", "status": "ok"}]

    facts = read_files({"manifest.json": manifest({"path": NODES}, files=files)}, Node, raw("readyz.txt"))

    for part in (Node, raw("readyz.txt")):
        assert facts.status(part).state is PartState.FAILED
        assert "missing though the manifest lists it" in facts.status(part).reason


def test_what_was_not_asked_for_is_missing(read_files: ReadFiles) -> None:
    text = manifest({"path": PODS, "status": "ok", "asked": False})

    facts = read_files({"manifest.json": text}, Node, Pod, raw("readyz.txt"))

    for part in (Node, Pod, raw("readyz.txt")):
        assert facts.status(part).state is PartState.MISSING
        assert "not asked for" in facts.status(part).reason


def test_a_file_added_by_hand_counts_with_a_warning(read_files: ReadFiles) -> None:
    facts = read_files(
        {"manifest.json": manifest(), NODES: api_list("Node", [node("a")]), "raw/readyz.txt": "ok"},
        Node,
        raw("readyz.txt"),
    )

    assert len(facts.list(Node)) == 1
    assert facts.text("readyz.txt") == "ok"
    assert [NODES in warning or "raw/readyz.txt" in warning for warning in facts.origin.warnings] == [True, True]
    assert all("not in the manifest" in warning for warning in facts.origin.warnings)


def test_a_changed_file_counts_with_a_warning(read_files: ReadFiles) -> None:
    nodes = api_list("Node", [node("a")])
    sound = hashlib.sha256(nodes.encode()).hexdigest()

    def warnings(sha256: str) -> tuple[str, ...]:
        text = manifest({"path": NODES, "sha256": sha256})
        return read_files({"manifest.json": text, NODES: nodes}, Node).origin.warnings

    assert warnings(sound) == ()
    assert warnings("0" * 64) == (f"{NODES} was changed since it was collected.",)


def test_the_preferred_version_is_read(read_files: ReadFiles) -> None:
    files = {
        f"resources/gateway.example.com/{version}/gateways.json": api_list(
            "Gateway", [{"metadata": {"name": version, "namespace": "x"}}]
        )
        for version in ("v1beta1", "v1", "v2")
    }

    assert [found.name for found in read_files(files, Gateway).list(Gateway)] == ["v1"]


def test_an_older_version_is_read_where_there_is_no_other(read_files: ReadFiles) -> None:
    path = "resources/gateway.example.com/v1beta1/gateways.json"

    facts = read_files({"manifest.json": manifest({"path": path}), path: api_list("Gateway", [])}, Gateway)

    assert facts.list(Gateway) == ()
    assert facts.origin.warnings == ()


@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_version_that_nobody_understands_failed(read_files: ReadFiles, *, with_manifest: bool) -> None:
    path = "resources/gateway.example.com/v2/gateways.json"
    files = {path: api_list("Gateway", [])} | ({"manifest.json": manifest({"path": path})} if with_manifest else {})

    status = read_files(files, Gateway).status(Gateway)

    assert status.state is PartState.FAILED
    assert "holds only v2" in status.reason
    assert "understands v1, v1beta1" in status.reason


def test_named_objects_without_a_manifest(read_files: ReadFiles) -> None:
    items = [config_map("kube-system", "coredns", Corefile=".:53"), config_map("default", "kube-proxy")]

    facts = read_files({CONFIG_MAPS: kubectl_list("ConfigMap", items)}, COREDNS, PROXY)

    found = facts.get_named(ConfigMap, "coredns", namespace="kube-system")
    assert found is not None
    assert found.data == {"Corefile": ".:53"}
    assert facts.get_named(ConfigMap, "kube-proxy", namespace="kube-system") is None


def test_named_objects_without_a_file(read_files: ReadFiles) -> None:
    assert read_files({NODES: api_list("Node", [])}, COREDNS).status(COREDNS).state is PartState.MISSING


def test_each_named_object_has_a_state_of_its_own(read_files: ReadFiles) -> None:
    text = manifest(
        {"path": CONFIG_MAPS, "object": "kube-system/coredns", "count": 1},
        {"path": CONFIG_MAPS, "object": "kube-system/kube-proxy", "status": "forbidden", "http_status": 403},
    )
    files = {"manifest.json": text, CONFIG_MAPS: api_list("ConfigMap", [config_map("kube-system", "coredns")])}
    other = named(ConfigMap, "other", namespace="kube-system")

    facts = read_files(files, COREDNS, PROXY, other, ConfigMap)

    assert facts.get_named(ConfigMap, "coredns", namespace="kube-system") is not None
    assert facts.status(PROXY).state is PartState.FORBIDDEN
    assert facts.status(PROXY).reason == "HTTP 403"
    assert facts.status(other).state is PartState.MISSING
    assert facts.status(ConfigMap).state is PartState.MISSING
    assert "only kube-system/coredns, kube-system/kube-proxy was asked for" in facts.status(ConfigMap).reason
    assert facts.origin.warnings == ()


def test_a_named_object_that_the_server_does_not_have(read_files: ReadFiles) -> None:
    text = manifest({"path": CONFIG_MAPS, "object": "kube-system/coredns", "count": 0})

    facts = read_files({"manifest.json": text, CONFIG_MAPS: api_list("ConfigMap", [])}, COREDNS)

    assert facts.get_named(ConfigMap, "coredns", namespace="kube-system") is None


def test_the_whole_type_includes_its_named_objects(read_files: ReadFiles) -> None:
    items = [config_map("kube-system", "coredns"), config_map("default", "other")]
    text = manifest({"path": CONFIG_MAPS})

    facts = read_files({"manifest.json": text, CONFIG_MAPS: api_list("ConfigMap", items)}, COREDNS, ConfigMap)

    assert facts.get_named(ConfigMap, "coredns", namespace="kube-system") is not None
    assert len(facts.list(ConfigMap)) == 2


def test_the_whole_types_state_is_its_named_objects_state(read_files: ReadFiles) -> None:
    text = manifest({"path": CONFIG_MAPS, "status": "forbidden"})

    assert read_files({"manifest.json": text}, COREDNS).status(COREDNS).state is PartState.FORBIDDEN


def test_cluster_scoped_objects_are_named_without_a_namespace(read_files: ReadFiles) -> None:
    part = named(Node, "b")

    facts = read_files({NODES: api_list("Node", [node("a"), node("b")])}, part)

    assert facts.get_named(Node, "b") is not None


def test_documents_and_texts(read_files: ReadFiles) -> None:
    files = {"observations/dns.json": '{"lookups": 7, "later": true}', "raw/readyz.txt": "[+]ping ok\n"}

    facts = read_files(files, DnsObservations, raw("readyz.txt"))

    observations = facts.document(DnsObservations)
    assert observations is not None
    assert observations.lookups == 7
    assert facts.text("readyz.txt") == "[+]ping ok\n"


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        (NODES, api_list("Node", [{"metadata": {"name": 1}}]), part_of(Node)),
        (NODES, api_list("Node", [node("a")])[:-9], part_of(Node)),
        (NODES, json.dumps({"kind": "Node", **node("a")}), part_of(Node)),
        (CLASSES, api_list("StorageClass", [{"metadata": {"name": "x"}}]), part_of(StorageClass)),
        ("observations/dns.json", '{"lookups": "many"}', part_of(DnsObservations)),
        ("observations/dns.json", b'{"lookups": 1, "later": "\xff"}', part_of(DnsObservations)),
        ("observations/dns.json", "{", part_of(DnsObservations)),
        ("raw/readyz.txt", b"\xff", raw("readyz.txt")),
        ("raw/readyz.txt", b"x" * 200_001, raw("readyz.txt")),
        ("manifest.json", "{", part_of(Node)),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(
    read_files: ReadFiles, name: str, content: str | bytes, part: Part
) -> None:
    with pytest.raises(BundleError) as caught:
        read_files({name: content}, part, limits=Limits(whole_file_bytes=200_000))

    assert name in caught.value.what
    assert "prod" in caught.value.what
    assert caught.value.cause
    assert caught.value.next_step


def test_an_unknown_format_version(read_files: ReadFiles) -> None:
    with pytest.raises(BundleFormatError, match="format 7"):
        read_files({"manifest.json": '{"version": 7}'}, Node)


def test_two_views_of_one_part_are_refused(tmp_path: Path) -> None:
    class OwnNode(KubeObject, frozen=True, kw_only=True):
        """A plugin's view of nodes."""

        api: ClassVar[Api] = Node.api

    with pytest.raises(PluginError, match="core/nodes through different views"):
        read_bundle(tmp_path, [part_of(Node), part_of(OwnNode)])


def test_the_same_part_twice_is_read_once(read_files: ReadFiles) -> None:
    facts = read_files({NODES: api_list("Node", [node("a")])}, Node, if_served(Node))

    assert len(facts.list(Node)) == 1


def test_like_claims_share_what_they_are_made_of(read_files: ReadFiles) -> None:
    claim = {"metadata": {"name": "a", "namespace": "x", "labels": {"app": "kafka"}}, "spec": {"accessModes": ["RWO"]}}
    path = "resources/core/v1/persistentvolumeclaims.json"

    first, second = read_files({path: api_list("PersistentVolumeClaim", [claim, claim])}, PersistentVolumeClaim).list(
        PersistentVolumeClaim
    )

    assert first == second
    assert first is not second
    assert first.labels is second.labels
    assert first.spec.access_modes is second.spec.access_modes
