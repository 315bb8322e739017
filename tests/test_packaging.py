"""The wheel and the sdist hold what the tree holds: no file forgotten, none too many."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
MOUNTS = {
    "auditor": "auditor",
    "checks": "auditor/checks",
    "benchmarks": "auditor/benchmarks",
    "reports": "auditor/reports",
    "examples": "auditor/examples",
}
"""Folders of the tree and where the wheel puts them."""

NOT_SHIPPED = {".md"}


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    source = target / "source"
    for name in tracked_files():
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)],
        check=True,
        capture_output=True,
    )
    return target


def tracked_files() -> list[str]:
    """The tree as git would commit it: tracked files and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def expected_in_wheel() -> set[str]:
    expected = set()
    for name in tracked_files():
        for folder, mount in MOUNTS.items():
            if name.startswith(f"{folder}/") and PurePosixPath(name).suffix not in NOT_SHIPPED:
                expected.add(mount + name.removeprefix(folder))
    return expected


def test_the_wheel_holds_the_tree(distributions: Path) -> None:
    [wheel] = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert shipped == expected_in_wheel()


def test_the_wheel_puts_nothing_generic_into_site_packages(distributions: Path) -> None:
    [wheel] = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {PurePosixPath(name).parts[0] for name in archive.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"auditor"}


def test_the_sdist_holds_what_the_wheel_is_built_from(distributions: Path) -> None:
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {name for name in tracked_files() if PurePosixPath(name).suffix not in NOT_SHIPPED}
    needed = {name for name in sources if name.startswith(tuple(f"{folder}/" for folder in MOUNTS))}

    assert needed | {"pyproject.toml", "LICENSE", "README.md"} <= names
