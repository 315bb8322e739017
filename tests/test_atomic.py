"""Nothing half-written stays, whatever breaks off."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.atomic import new_folder, write_file
from auditor.errors import OutputError

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from auditor.atomic import new_folder, write_file
from auditor.errors import OutputError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing past the limit is then an OSError, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
target = Path(sys.argv[2])
try:
    if sys.argv[1] == "file":
        write_file(target, b"x" * 100_000)
    else:
        with new_folder(target) as folder:
            (folder / "large").write_bytes(b"x" * 100_000)
except OutputError as error:
    print(error)
else:
    raise SystemExit("the disk was not full")
"""


@pytest.mark.parametrize("data", [b"bytes", "text with ümlaut"])
def test_writes_a_file_and_makes_its_parents(tmp_path: Path, data: bytes | str) -> None:
    target = tmp_path / "a" / "b" / "report.html"

    write_file(target, data)

    assert target.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_replaces_a_file_and_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    write_file(tmp_path / "link", "new")

    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_writes_to_a_device_without_replacing_it() -> None:
    write_file(Path("/dev/null"), "gone")

    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"

    done = subprocess.run([sys.executable, "-c", FULL_DISK, kind, target], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout
    assert "File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")

    subprocess.run([sys.executable, "-c", FULL_DISK, "file", target], capture_output=True, check=True)

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="file/report cannot be written") as caught:
        write_file(tmp_path / "file" / "report", "x")
    assert caught.value.cause
    assert caught.value.next_step

    with pytest.raises(OutputError, match="cannot be written"), new_folder(tmp_path / "file" / "folder"):
        pytest.fail("the block must not run")


def test_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="directory"):
        write_file(tmp_path, "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_renamed_into_place(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "one"

    with new_folder(target) as folder:
        (folder / "file").write_text("x")
        assert not target.exists()

    assert (target / "file").read_text() == "x"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    "error", [ValueError("bug"), KeyboardInterrupt(), ConnectionResetError(errno.ECONNRESET, "lost")]
)
def test_a_folder_goes_when_the_block_raises(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, new_folder(tmp_path / "folder") as folder:  # noqa: PT012
        (folder / "file").write_text("x")
        raise error

    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")

    with pytest.raises(OutputError, match="is there already"), new_folder(tmp_path):
        pytest.fail("the block must not run")

    assert (tmp_path / "file").read_text() == "precious"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    with new_folder(tmp_path / "x") as folder:
        (folder / "a").write_text("")
    (tmp_path / "x" / "a").unlink()

    with new_folder(tmp_path / "x") as folder:
        (folder / "b").write_text("")

    assert [path.name for path in (tmp_path / "x").iterdir()] == ["b"]
