"""What is written is read back, redacted, and nothing half-written stays."""

import contextlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.bundle import BundleWriter, Pseudonyms, Redaction, read_bundle
from auditor.bundle.manifest import decode_manifest
from auditor.errors import OutputError
from auditor.facts.kube import ConfigMap, Node, Pod, StorageClass
from auditor.facts.parts import PartState, Readable, named, part_of, raw
from auditor.facts.store import Facts
from tests.bundle.builders import NODES, node

TARGETS = ("bundle", "bundle.tar.gz")

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from auditor.bundle import BundleWriter
from auditor.errors import OutputError
from auditor.facts.kube import Node

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing past the limit is then an OSError, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    with BundleWriter(Path(sys.argv[1])) as bundle, bundle.resource(Node.api, "v1") as sink:
        for number in range(20_000):
            sink.write(b'{"metadata":{"name":"a node with some name"}}')
except OutputError as error:
    print(error)
else:
    raise SystemExit("the disk was not full")
"""

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
LABELS = st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")), max_size=4)


def facts_of(path: Path, *parts: Readable) -> Facts:
    return read_bundle(path, [part_of(part) for part in parts])


def encoded(item: Any) -> bytes:
    return json.dumps(item).encode()


@pytest.mark.parametrize("target", TARGETS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(nodes=st.lists(st.tuples(NAMES, LABELS), max_size=6))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, target: str, nodes: list[tuple[str, dict[str, str]]]
) -> None:
    path = tmp_path_factory.mktemp("written") / target

    with BundleWriter(path, name="prod", description="test", server_version="v1.30.1") as bundle:
        with bundle.resource(Node.api, "v1") as sink:
            for name, labels in nodes:
                sink.write(encoded(node(name, labels=labels)))
        bundle.file("raw/readyz.txt", b"ok")

    facts = facts_of(path, Node, raw("readyz.txt"))
    assert [(found.name, found.labels) for found in facts.list(Node)] == nodes
    assert facts.text("readyz.txt") == "ok"
    assert (facts.origin.name, facts.origin.description, facts.origin.server_version) == ("prod", "test", "v1.30.1")
    assert facts.origin.collected_at is not None
    assert facts.origin.warnings == ()


@pytest.mark.parametrize("target", TARGETS)
def test_what_did_not_come_is_recorded(tmp_path: Path, target: str) -> None:
    coredns = named(ConfigMap, "coredns", namespace="kube-system")
    with BundleWriter(tmp_path / target) as bundle:
        bundle.unavailable(Node.api, "v1", PartState.FORBIDDEN, reason="no", http_status=403)
        bundle.unavailable(Pod.api, "v1", PartState.FAILED, reason="timed out", tries=3)
        bundle.unavailable(ConfigMap.api, "v1", PartState.FORBIDDEN, object="kube-system/coredns")
        bundle.file_unavailable("raw/readyz.txt", PartState.ABSENT, reason="404")

    facts = facts_of(tmp_path / target, Node, Pod, StorageClass, coredns, raw("readyz.txt"))

    assert str(facts.status(Node)) == "forbidden (no, HTTP 403)"
    assert str(facts.status(Pod)) == "failed (timed out, 3 tries)"
    assert facts.status(coredns).state is PartState.FORBIDDEN
    assert str(facts.status(raw("readyz.txt"))) == "absent (404)"
    assert facts.status(StorageClass).state is PartState.MISSING


def test_named_objects_are_counted_one_by_one(tmp_path: Path) -> None:
    asked = ("kube-system/coredns", "kube-system/kube-proxy")
    with (
        BundleWriter(tmp_path / "b") as bundle,
        bundle.resource(ConfigMap.api, "v1", objects=asked) as sink,
    ):
        sink.write(b'{"metadata":{"namespace":"kube-system","name":"coredns"}}')

    manifest = decode_manifest((tmp_path / "b" / "manifest.json").read_bytes())
    assert [(entry.object, entry.count) for entry in manifest.resources] == [(asked[0], 1), (asked[1], 0)]


def test_the_manifest_says_how_the_list_came(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as bundle, bundle.resource(Node.api, "v1") as sink:
        sink.write(encoded(node("a")))
        sink.tries, sink.http_status, sink.from_watch_cache = 2, 200, True

    (entry,) = decode_manifest((tmp_path / "b" / "manifest.json").read_bytes()).resources
    assert (entry.count, entry.tries, entry.http_status, entry.from_watch_cache) == (1, 2, 200, True)


def test_a_file_is_a_list_as_the_api_server_would_send_it(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as bundle, bundle.resource(StorageClass.api, "v1"):
        pass

    text = (tmp_path / "b" / "resources/storage.k8s.io/v1/storageclasses.json").read_text()
    assert json.loads(text) == {
        "kind": "StorageClassList",
        "apiVersion": "storage.k8s.io/v1",
        "metadata": {},
        "items": [],
    }


@pytest.mark.parametrize("target", TARGETS)
def test_everything_is_redacted(tmp_path: Path, target: str) -> None:
    redaction = Redaction(Pseudonyms(["worker-7"]))
    with BundleWriter(tmp_path / target, name="admin@worker-7", redaction=redaction) as bundle:
        with bundle.resource(Node.api, "v1") as sink:
            sink.write(encoded(node("worker-7", managedFields=[{"manager": "kubelet"}])))
        bundle.unavailable(Pod.api, "v1", PartState.FAILED, reason="worker-7 does not answer")
        bundle.file("raw/metrics.txt", b'up{node="worker-7"} 1')

    facts = facts_of(tmp_path / target, Node, Pod, raw("metrics.txt"))

    assert facts.list(Node)[0].name.startswith("node-")
    for text in (facts.origin.name, facts.status(Pod).reason, facts.text("metrics.txt")):
        assert "worker-7" not in text
        assert facts.list(Node)[0].name in text


def test_an_archive_begins_with_the_manifest_and_is_in_order(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b.tar.gz") as bundle:
        for api in (StorageClass.api, Node.api):
            with bundle.resource(api, "v1"):
                pass
        bundle.file("observations/dns.json", b"{}")

    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        assert archive.getnames() == [
            "manifest.json",
            "observations/dns.json",
            NODES,
            "resources/storage.k8s.io/v1/storageclasses.json",
        ]
        assert {(member.mtime, member.uid, member.mode) for member in archive} == {(0, 0, 0o644)}
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar.gz"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_nothing_stays_when_the_collection_breaks_off(tmp_path: Path, target: str, error: BaseException) -> None:
    def collect() -> None:
        with BundleWriter(tmp_path / target) as bundle, bundle.resource(Node.api, "v1") as sink:
            sink.write(encoded(node("a")))
            raise error

    with pytest.raises(type(error)) as caught:
        collect()

    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_breaks_off_is_dropped_and_the_rest_goes_on(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "b") as bundle:
        with contextlib.suppress(ConnectionResetError), bundle.resource(Node.api, "v1") as sink:
            sink.write(encoded(node("a")))
            raise ConnectionResetError(104, "reset by peer")
        bundle.unavailable(Node.api, "v1", PartState.FAILED, reason="reset by peer")

    assert not (tmp_path / "b" / NODES).exists()
    assert facts_of(tmp_path / "b", Node).status(Node).state is PartState.FAILED


@pytest.mark.parametrize("target", TARGETS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, target: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / target], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / target}/{NODES} cannot be written" in done.stdout
    assert "File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_there_is_not_overwritten(tmp_path: Path, target: str) -> None:
    (tmp_path / target).write_text("precious")

    with pytest.raises(OutputError, match="is there already"), BundleWriter(tmp_path / target):
        pytest.fail("the block must not run")

    assert (tmp_path / target).read_text() == "precious"


@pytest.mark.parametrize("target", TARGETS)
def test_a_parent_that_is_a_file(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="cannot be written"), BundleWriter(tmp_path / "file" / target):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("path", ["x.txt", "resources/x.json", "raw", "/raw/x", "raw/../../x"])
def test_a_file_that_has_no_place_in_a_bundle(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="no place"), BundleWriter(tmp_path / "b") as bundle:
        bundle.file(path, b"")

    assert list(tmp_path.iterdir()) == []
