"""`auditor collect` as people call it: contexts, exit codes, Ctrl-C, a full disk, and bundles that are judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from tests.testbed.client import Cluster, wait_for
from tests.testbed.fixtures import await_deleted_namespaces
from tests.testbed.layout import AUDIT_KUBECONFIG, KUBECONFIG
from tests.testbed.proxy import ApiProxy, Delay, Rule
from tests.testbed.shell import run as run_command

Run = Callable[..., Result]


@pytest.fixture
def two_contexts(test_bed: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig with the contexts testbed and eu/west."""
    config = yaml.safe_load(KUBECONFIG.read_text())
    config["contexts"].append({"name": "eu/west", "context": dict(config["contexts"][0]["context"])})
    path = tmp_path / "two.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_bundle_and_what_is_said_of_it(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    result = run("collect", "--kubeconfig", KUBECONFIG, "-o", tmp_path / "bundle")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'bundle'}\n"
    assert "objects in" in result.stderr
    assert "requests" in result.stderr
    assert json.loads((tmp_path / "bundle/manifest.json").read_bytes())["name"] == "testbed"


def test_several_contexts_give_one_bundle_each(run: Run, two_contexts: Path, tmp_path: Path) -> None:
    result = run(
        "collect", "--kubeconfig", two_contexts, "--context", "testbed", "--context", "eu/west", "-o", tmp_path / "all"
    )

    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["eu_west", "testbed"]
    found = {path.parent.name: json.loads(path.read_bytes())["name"] for path in tmp_path.rglob("manifest.json")}
    assert found == {"eu_west": "eu/west", "testbed": "testbed"}


def test_several_contexts_are_not_one_archive(run: Run, two_contexts: Path, tmp_path: Path) -> None:
    words = ("--context", "testbed", "--context", "eu/west", "-o", tmp_path / "all.tar.gz")
    result = run("collect", "--kubeconfig", two_contexts, *words)

    assert result.exit_code == 2
    assert "one archive" in result.stderr


def test_an_unknown_context_is_told_before_anything_is_read(run: Run, two_contexts: Path, tmp_path: Path) -> None:
    words = ("--context", "testbed", "--context", "prod", "-o", tmp_path / "all")
    result = run("collect", "--kubeconfig", two_contexts, *words)

    assert result.exit_code == 2
    assert "Name one of: testbed, eu/west" in result.stderr
    assert not (tmp_path / "all").exists()


def test_a_missing_kubeconfig(run: Run, tmp_path: Path) -> None:
    result = run("collect", "--kubeconfig", tmp_path / "none", "-o", tmp_path / "bundle")

    assert result.exit_code == 2
    assert str(tmp_path / "none") in result.stderr
    assert not (tmp_path / "bundle").exists()


def test_an_unreachable_server(run: Run, two_contexts: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(two_contexts.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    two_contexts.write_text(yaml.safe_dump(config))
    started = time.monotonic()
    result = run("collect", "--kubeconfig", two_contexts, "--deadline", "2", "-o", tmp_path / "bundle")

    assert result.exit_code == 1
    assert "https://127.0.0.1:1 does not answer: no connection: [Errno 111] Connection refused" in result.stderr
    assert time.monotonic() - started < 5
    assert not (tmp_path / "bundle").exists()


# --- judged


def judged(run: Run, bundle: Path) -> dict[str, Any]:
    """The result of judging a bundle."""
    result = run("check", bundle, "--format", "json")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_folder_and_an_archive_are_judged_alike(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    folder, archive, live = tmp_path / "bundle", tmp_path / "bundle.tar.gz", tmp_path / "live.tar.gz"
    assert run("collect", "--kubeconfig", KUBECONFIG, "-o", folder).exit_code == 0
    with tarfile.open(archive, "w:gz") as members:
        members.add(folder, ".")
    assert run("collect", "--kubeconfig", KUBECONFIG, "-o", live).exit_code == 0
    with tarfile.open(live) as members:
        members.extractall(tmp_path / "unpacked", filter="data")

    for whole, packed in ((folder, archive), (tmp_path / "unpacked", live)):
        expected = judged(run, whole)
        assert expected["findings"]
        assert judged(run, packed)["findings"] == expected["findings"]


def test_hidden_names_change_no_status(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    await_deleted_namespaces(cluster)
    wait_for("the volumes of other tests to be gone", lambda: not cluster.core.list_persistent_volume().items)
    assert run("collect", "--kubeconfig", KUBECONFIG, "-o", tmp_path / "plain").exit_code == 0
    hidden = run("collect", "--kubeconfig", KUBECONFIG, "--hash-names", "-o", tmp_path / "hidden")
    assert hidden.exit_code == 0, hidden.output

    assert _statuses(judged(run, tmp_path / "hidden")) == _statuses(judged(run, tmp_path / "plain"))
    nodes = json.loads((tmp_path / "hidden/resources/core/v1/nodes.json").read_bytes())["items"]
    assert not {"n1", "n2", "n3"} & {node["metadata"]["name"] for node in nodes}


def test_names_cannot_be_hidden_by_an_account_that_may_not_list_nodes(
    run: Run, test_bed: Cluster, tmp_path: Path
) -> None:
    result = run("collect", "--kubeconfig", AUDIT_KUBECONFIG, "--hash-names", "-o", tmp_path / "bundle")

    assert result.exit_code == 1
    assert "cannot list nodes" in result.stderr
    assert not (tmp_path / "bundle").exists()


def _statuses(result: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((finding["check"], finding["status"]) for finding in result["findings"])


# --- broken off


@pytest.mark.parametrize("name", ["bundle", "bundle.tar.gz"])
@pytest.mark.parametrize("stage", ["lists", "version"])
def test_ctrl_c_leaves_nothing(test_bed: Cluster, tmp_path: Path, name: str, stage: str) -> None:
    rule = Rule(do=Delay(20), verb="list") if stage == "lists" else Rule(do=Delay(20), path="^/version")
    folder = tmp_path / "out"
    folder.mkdir()
    with ApiProxy(rules=[rule]) as proxy:
        command = [
            "env",
            "--default-signal=INT",  # a shell starts what runs in its background with Ctrl-C ignored
            sys.executable,
            "-m",
            "auditor",
            "collect",
            f"--kubeconfig={proxy.kubeconfig}",
            f"--output={folder / name}",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_for("a request that waits", lambda: proxy.count(caught=True), poll_seconds=0.05)
            time.sleep(0.3)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=15)

    assert process.returncode == 130
    assert time.monotonic() - started < 4
    assert "Traceback" not in errors
    assert list(folder.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    run_command("mount", "-t", "tmpfs", "-o", "size=256k", "auditor-test", folder)
    yield folder
    run_command("umount", folder)


@pytest.mark.parametrize("name", ["bundle", "bundle.tar.gz"])
def test_a_full_disk_leaves_nothing(run: Run, test_bed: Cluster, small_disk: Path, name: str) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * 250 * 1024)
    result = run("collect", "--kubeconfig", KUBECONFIG, "-o", small_disk / name)

    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
