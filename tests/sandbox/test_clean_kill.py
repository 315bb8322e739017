"""A run that is killed at any moment leaves nothing that `auditor clean` does not remove, down to the disks.

``AUDITOR_TEST_KILLS=30`` kills as often as that; ``-o log_cli=true --log-cli-level=INFO`` shows the figures.
``AUDITOR_TEST_SHARED=1`` is for a cluster on which others have runs of their own: then each run is cleaned by its id,
and not all of them.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kubernetes import client
from kubernetes.dynamic.resource import ResourceList

from auditor.facts.observations.sandbox import SandboxObservations
from auditor.sandbox import labels
from tests.testbed.client import Cluster, wait_for
from tests.testbed.csi import volumes
from tests.testbed.csi.layout import FOLDER
from tests.testbed.layout import NODES
from tests.testbed.shell import run as shell

KILLS = int(os.environ.get("AUDITOR_TEST_KILLS", "4"))
IS_SHARED = bool(os.environ.get("AUDITOR_TEST_SHARED"))
AT_ONCE = 4
LONGEST_LIFE_SECONDS = 14.0
"""From the plan on: making, holding, and most of the removal. Early moments are more likely: then most is under way."""
SETTINGS = "probes: {lease_seconds: 5, api_requests: 5}\n"
TEST_SEED = 20260101

log = logging.getLogger(__name__)

Start = Callable[[], "DoomedRun"]


class DoomedRun:
    """`auditor probe` as a process, and the id of its run, which its plan tells."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.bundle = folder / "bundle"
        (folder / "auditor.yaml").write_text(SETTINGS)
        words = ["probe", "--probe", "api", "--probe", "hoard", "--select", "platform.sandbox-clean", "--yes"]
        files = ["--config", str(folder / "auditor.yaml"), "-o", str(self.bundle)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.sandbox.doomed_run", *words, *files],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        self.run_id = ""
        self.planned_at = 0.0

    def plan(self) -> None:
        """Wait until the plan is shown: from then on the run makes what may be left behind."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.search(r"namespace +auditor-([0-9a-f]{10})", line):
                self.run_id, self.planned_at = found[1], time.monotonic()
                return
        raise AssertionError(f"no run id in:\n{self.said}")

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and wait for the end; answer the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end, and answer the exit code."""
        assert self.process.stderr is not None
        if not self.process.stderr.closed:
            with self.process.stderr as stream:
                self.said += stream.read()
        return self.process.wait()


@pytest.fixture(autouse=True)
def environment(test_bed: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the cluster."""
    monkeypatch.setenv("KUBECONFIG", str(test_bed.kubeconfig))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts runs; none outlives the test."""
    runs: list[DoomedRun] = []

    def begin() -> DoomedRun:
        runs.append(DoomedRun(tmp_path / f"run-{len(runs)}"))
        return runs[-1]

    yield begin
    for run in runs:
        run.end(signal.SIGKILL)


def test_runs_that_are_killed_leave_nothing(test_bed: Cluster, start: Start) -> None:
    chance = random.Random(TEST_SEED)  # noqa: S311  the same moments each time
    left: list[str] = []
    for begin in range(0, KILLS, AT_ONCE):
        lives = sorted(LONGEST_LIFE_SECONDS * chance.random() ** 2 for _ in range(min(AT_ONCE, KILLS - begin)))
        runs = [start() for _ in lives]
        there = [killed(test_bed, run, after_seconds=life) for run, life in zip(runs, lives, strict=True)]
        started = time.monotonic()
        said = cleaned([run.run_id for run in runs])
        took = time.monotonic() - started
        rest = [text for run in runs for text in remains(test_bed, run.run_id)]
        log.info(
            f"kills {begin + 1} to {begin + len(runs)}, {', '.join(f'{life:.1f}' for life in lives)} s after the plan: "
            f"{', '.join(map(str, there))} marked objects were there; cleaned in {took:.0f} s; {len(rest)} left"
        )
        left += [*rest, said] if rest else []

    assert left == []
    wait_for("no volume or snapshot without an owner", lambda: not list(orphans(test_bed)), timeout_seconds=30)


def killed(cluster: Cluster, run: DoomedRun, *, after_seconds: float) -> int:
    """Kill a run so long after its plan; answer how many marked objects it left."""
    if not run.run_id:
        run.plan()
    time.sleep(max(0.0, run.planned_at + after_seconds - time.monotonic()))
    run.end(signal.SIGKILL)
    return len(list(marked(cluster, run.run_id)))


def test_a_run_to_its_end_tells_that_nothing_is_left(test_bed: Cluster, start: Start) -> None:
    run = start()
    run.plan()

    assert run.wait() == 0, run.said
    assert list(remains(test_bed, run.run_id)) == []
    seen = sandbox_of(run.bundle)
    assert (seen.run_id, seen.left, seen.unseen) == (run.run_id, (), {})
    assert seen.removed["PersistentVolumeClaim"] == seen.removed["PersistentVolume"] == 3
    assert seen.removed["Namespace"] == seen.removed["VolumeSnapshotContent"] == 1


def test_a_run_that_is_told_to_end_cleans_up_and_ctrl_c_does_not_stop_that(test_bed: Cluster, start: Start) -> None:
    run = start()
    run.plan()
    wait_for("the namespace", lambda: namespace(test_bed, run.run_id))

    run.process.send_signal(signal.SIGTERM)
    wait_for("the removal", lambda: is_going(test_bed, run.run_id))
    code = run.end(signal.SIGINT)

    assert code == 130, run.said
    assert "SIGINT: what the run made is being removed" in run.said
    assert list(remains(test_bed, run.run_id)) == []


def cleaned(run_ids: list[str]) -> str:
    """What `auditor clean` says; it must say that all is gone."""
    choices = [["--run", run_id] for run_id in run_ids] if IS_SHARED else [["--all"]]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "auditor", "clean", "--yes", *choice],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for choice in choices
    ]
    said = "".join(process.communicate(timeout=300)[0] for process in processes)
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def sandbox_of(bundle: Path) -> SandboxObservations:
    return msgspec.json.decode((bundle / SandboxObservations.part_id).read_bytes(), type=SandboxObservations)


def namespace(cluster: Cluster, run_id: str) -> Any:
    return next((n for n in cluster.core.list_namespace().items if n.metadata.name == f"auditor-{run_id}"), None)


def is_going(cluster: Cluster, run_id: str) -> bool:
    found = namespace(cluster, run_id)
    return found is None or found.metadata.deletion_timestamp is not None


# What is left, told without the help of what is tested


def remains(cluster: Cluster, run_id: str) -> Iterator[str]:
    """Everything of a run that is still there: objects, volumes, and what runs on the nodes."""
    yield from marked(cluster, run_id)
    own = f"auditor-{run_id}"
    if namespace(cluster, run_id) is not None:
        yield f"namespace {own}"
    for volume in cluster.core.list_persistent_volume().items:
        if volume.spec.claim_ref and volume.spec.claim_ref.namespace == own:
            yield f"volume {volume.metadata.name}: {volume.status.phase}"
    for content in contents(cluster):
        if content["spec"]["volumeSnapshotRef"]["namespace"] == own:
            yield f"content {content['metadata']['name']}"
    for node in NODES:
        yield from processes_on(node.name, str(node.folder / "containerd.sock"), own)


def marked(cluster: Cluster, run_id: str) -> Iterator[str]:
    """The objects of every kind that carry the run's label."""
    for each in cluster.dynamic.resources.search():
        if isinstance(each, ResourceList) or "/" in each.name or "list" not in each.verbs:
            continue
        try:
            listed = each.get(label_selector=f"{labels.RUN}={run_id}")
        except client.ApiException:
            continue  # served, and not answered
        for found in listed.items:
            yield f"{each.kind} {found.metadata.name}"


def contents(cluster: Cluster) -> list[dict[str, Any]]:
    api = client.CustomObjectsApi(cluster.api)
    found: list[dict[str, Any]] = api.list_cluster_custom_object(
        "snapshot.storage.k8s.io", "v1", "volumesnapshotcontents"
    )["items"]
    return found


def processes_on(node: str, socket: str, own: str) -> Iterator[str]:
    """The running containers of a namespace's pods on a node."""
    flags = ["ctr", "--address", socket, "--namespace", "k8s.io"]
    containers = shell(*flags, "containers", "list", "--quiet", f'labels."io.kubernetes.pod.namespace"=={own}').split()
    tasks = {line.split()[0]: line for line in shell(*flags, "tasks", "list").splitlines()[1:]}
    for container in containers:
        if "RUNNING" in tasks.get(container, ""):
            yield f"process on {node}: {tasks[container]}"


def orphans(cluster: Cluster) -> Iterator[str]:
    """Volumes and snapshots of the driver, with their bytes, of which the cluster knows nothing."""
    handles = {v.spec.csi.volume_handle for v in cluster.core.list_persistent_volume().items if v.spec.csi}
    claims = {f"pvc-{c.metadata.uid}" for c in cluster.core.list_persistent_volume_claim_for_all_namespaces().items}
    for volume in volumes.volumes():
        if volume.id not in handles | claims:
            yield f"volume {volume.id}"
    images = {path.stem for path in (FOLDER / "volumes").glob("*.img")}
    yield from (f"bytes of {name}" for name in images - {volume.id for volume in volumes.volumes()})
    snapshots = {(content.get("status") or {}).get("snapshotHandle") for content in contents(cluster)}
    uids = {f"snapshot-{c['spec']['volumeSnapshotRef'].get('uid')}" for c in contents(cluster)}
    for path in (FOLDER / "snapshots").glob("*.img"):
        if path.stem not in snapshots | uids:
            yield f"snapshot {path.stem}"
