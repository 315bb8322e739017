"""Folders and archives: the same files from both, and no harm from either."""

import gzip
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.bundle import Limits
from auditor.bundle.limits import MIB
from auditor.bundle.source import bundle_files, whole
from auditor.errors import BundleError, UsageError
from tests.bundle.builders import NODES, api_list, manifest, member, node, pack, repack, write_archive, write_folder

FILES = {"manifest.json": manifest(), NODES: api_list("Node", [node("a")]), "raw/readyz.txt": "ok"}


def contents(path: Path, limits: Limits | None = None) -> dict[str, bytes]:
    found = {}
    for file in bundle_files(path, limits or Limits()):
        with file.open() as stream:
            found[file.path] = stream.read()
    return found


def expected() -> dict[str, bytes]:
    return {name: content.encode() for name, content in FILES.items()}


def test_a_folder_gives_its_files_the_manifest_first(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "b", {**FILES, "notes.md": "not a part"})

    assert contents(root) == expected()
    assert next(bundle_files(root, Limits())).path == "manifest.json"


@pytest.mark.parametrize("prefix", ["", "./", "my-bundle/", "./my-bundle/"])
def test_an_archive_gives_the_same(tmp_path: Path, prefix: str) -> None:
    assert contents(pack(tmp_path / "b.tar.gz", FILES, prefix=prefix)) == expected()


def test_an_archive_with_folders_and_foreign_files(tmp_path: Path) -> None:
    members = [
        member("notes.md", "not a part"),
        member("b", type=tarfile.DIRTYPE),
        *(member(f"b/{name}", content) for name, content in FILES.items()),
        member("b/extra/resources/core/v1/nodes.json", "not a part either"),
    ]

    assert contents(write_archive(tmp_path / "b.tar.gz", members)) == expected()


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no bundle at") as caught:
        contents(tmp_path / "absent")
    assert caught.value.exit_code == 2
    assert caught.value.next_step


@pytest.mark.parametrize("files", [{}, {"report.html": ""}, {"nodes.json": "{}"}])
def test_a_folder_that_is_no_bundle(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(BundleError, match="is not a bundle") as caught:
        contents(write_folder(tmp_path / "b", files))
    assert "resources" in caught.value.cause


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    root = write_folder(tmp_path / "b", FILES)
    (root / "raw" / "leak.txt").symlink_to(tmp_path / "secret")

    with pytest.raises(BundleError, match="leads out of the bundle"):
        contents(root)


def test_a_pipe_in_the_folder_does_not_block(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "b", FILES)
    os.mkfifo(root / "raw" / "pipe")

    assert contents(root) == expected()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"kind: List"])
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_bytes(content)

    with pytest.raises(BundleError, match=r"is neither a folder nor a \.tar\.gz"):
        contents(path)


def test_a_gzip_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    path.write_bytes(gzip.compress(b"hello " * 1_000))

    with pytest.raises(BundleError, match="cannot be unpacked"):
        contents(path)


def test_an_archive_that_is_cut_anywhere(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.tar.gz", FILES)
    sound = path.read_bytes()

    for length in range(2, len(sound), 7):
        path.write_bytes(sound[:length])
        with pytest.raises(BundleError, match="cannot be unpacked") as caught:
            contents(path)
        assert "gzip -t" in caught.value.next_step


def test_an_archive_with_any_byte_flipped(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.tar.gz", FILES)
    sound = path.read_bytes()

    for at in range(20, len(sound), 11):  # gzip's own header holds a time and a name, which may be anything
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :])
        with pytest.raises(BundleError):
            contents(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tar: tar[: 3 * 512],  # cut between two members
        lambda tar: tar[: 3 * 512 + 100],  # within a header
        lambda tar: tar[:1024] + b"\x01" * 512 + tar[1536:],  # a header overwritten
    ],
)
def test_a_damaged_tar_in_a_sound_gzip(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = pack(tmp_path / "b.tar.gz", FILES)

    with pytest.raises(BundleError, match="cannot be unpacked"):
        contents(repack(path, change))


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("/etc/passwd", {}, "points outside"),
        ("../raw/x", {}, "points outside"),
        ("raw/../../x", {}, "points outside"),
        ("raw/x", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "neither a plain file nor a folder"),
        ("raw/x", {"type": tarfile.LNKTYPE, "linkname": "raw/readyz.txt"}, "neither a plain file nor a folder"),
        ("raw/x", {"type": tarfile.CHRTYPE, "devmajor": 1}, "neither a plain file nor a folder"),
        ("raw/x", {"type": tarfile.FIFOTYPE}, "neither a plain file nor a folder"),
        ("raw/readyz.txt", {}, "twice"),
        ("./raw/readyz.txt", {}, "twice"),
    ],
)
def test_hostile_members(tmp_path: Path, name: str, fields: dict[str, Any], why: str) -> None:
    members = [*(member(*file) for file in FILES.items()), member(name, b"", **fields)]

    with pytest.raises(BundleError, match=why) as caught:
        contents(write_archive(tmp_path / "b.tar.gz", members))
    assert caught.value.cause
    assert caught.value.next_step
    assert list(tmp_path.iterdir()) == [tmp_path / "b.tar.gz"]


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.tar.gz", {**FILES, "raw/zeros": bytes(4 * MIB)})

    assert len(contents(path)["raw/zeros"]) == 4 * MIB
    with pytest.raises(BundleError, match="unpacks to more"):
        contents(path, Limits(archive_bytes=3 * MIB, archive_ratio=1))


def test_what_is_passed_over_counts_too(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.tar.gz", {"zeros": bytes(4 * MIB), **FILES})

    with pytest.raises(BundleError, match="unpacks to more"):
        contents(path, Limits(archive_bytes=3 * MIB, archive_ratio=1))


def test_an_archive_with_too_many_members(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.tar.gz", {f"raw/{number}": "" for number in range(11)})

    assert len(contents(path, Limits(members=11))) == 11
    with pytest.raises(BundleError, match="more than 10 members"):
        contents(path, Limits(members=10))


def test_a_name_of_many_megabytes(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "b.tar.gz", [member("raw/" + "x/" * MIB, "")])

    with pytest.raises(BundleError, match="cannot be unpacked: the header of"):
        contents(path)


def test_a_file_that_is_loaded_whole_must_be_small(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "b", {"raw/metrics.txt": "x" * 101})
    (file,) = bundle_files(root, Limits())

    with file.open() as stream, pytest.raises(BundleError, match=r"metrics\.txt is larger than"):
        whole(stream, "metrics.txt", Limits(whole_file_bytes=100))
