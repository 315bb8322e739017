"""The storage probe on a real cluster: what becomes of volumes, and what checks say of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from auditor.facts.observations import StepState
from auditor.facts.observations.storage import (
    BIND,
    DELETE,
    DISK,
    EXPAND,
    MODIFY,
    MOUNT,
    MOVE,
    RESTORE,
    SHARE,
    SNAPSHOT,
    WRITE,
    ClassObservation,
    StorageObservations,
)
from auditor.model import Finding, Status
from auditor.probing import ProbeOutcome
from tests.probes.conftest import Judge, RunProbe, WholeRun
from tests.testbed import faults
from tests.testbed.client import Cluster
from tests.testbed.layout import STATE

ANYWHERE, ZONAL, LOCAL = "testbed-csi-everywhere", "testbed-csi", "local-path"
SMALL = {"storage_bytes": 512 * 1024**2, "disk_seconds": 0.0, "burst_claims": 0}

CHECKS_OF_A_GOOD_CLASS = (
    "storage.volume-mounts",
    "storage.grows-in-use",
    "storage.changes-in-use",
    "storage.snapshot-restores",
    "storage.volume-moves",
    "storage.volume-deleted",
)


@pytest.fixture(scope="module")
def outcome(test_bed: Cluster, whole_run: WholeRun) -> ProbeOutcome:
    return whole_run.probes["storage"]


@pytest.fixture(scope="module")
def seen(outcome: ProbeOutcome) -> StorageObservations:
    assert isinstance(outcome.observations, StorageObservations), outcome.status
    return outcome.observations


def states(observation: ClassObservation) -> dict[str, StepState]:
    return {step.name: step.state for step in observation.steps}


def about(findings: list[Finding], name: str) -> list[Finding]:
    return [finding for finding in findings if name in {subject.name for subject in finding.subjects}]


class TestAGoodClass:
    def test_does_everything(self, seen: StorageObservations) -> None:
        found = states(seen.classes[ANYWHERE])

        assert found.pop(SHARE) is StepState.NOT_DONE
        assert found == dict.fromkeys(
            (BIND, MOUNT, WRITE, DISK, EXPAND, MODIFY, SNAPSHOT, RESTORE, MOVE, DELETE), StepState.OK
        )

    def test_grows_for_claim_and_pod(self, seen: StorageObservations) -> None:
        step = seen.classes[ANYWHERE].step(EXPAND)

        assert step is not None
        assert step.detail["capacity_bytes"] == 2 * seen.classes[ANYWHERE].bytes
        assert step.detail["size_after_bytes"] > step.detail["size_before_bytes"]  # type: ignore[operator]
        assert step.detail["same_pod"] is True

    def test_moves_to_another_node_with_its_bytes(self, seen: StorageObservations) -> None:
        step = seen.classes[ANYWHERE].step(MOVE)

        assert step is not None
        assert step.detail["from_node"] != step.detail["to_node"]
        assert step.detail["same_bytes"] is True

    def test_is_measured_with_fio(self, seen: StorageObservations) -> None:
        speed = seen.classes[ANYWHERE].disk

        assert speed is not None
        assert (speed.tool, speed.note) == ("fio", "")
        assert speed.sync.count > 0
        assert speed.sequential_write_bytes_per_second > 0
        assert seen.node_disk is not None

    @pytest.mark.parametrize("check_id", CHECKS_OF_A_GOOD_CLASS)
    def test_satisfies_the_checks(self, outcome: ProbeOutcome, judged: Judge, check_id: str) -> None:
        assert [finding.status for finding in about(judged(outcome, check_id), ANYWHERE)] == [Status.OK]


class TestOtherClasses:
    def test_a_volume_of_one_zone_has_no_second_node(self, outcome: ProbeOutcome, judged: Judge) -> None:
        [finding] = about(judged(outcome, "storage.volume-moves"), ZONAL)

        assert finding.status is Status.UNKNOWN
        assert "one node" in finding.message

    def test_local_path_cannot_grow_and_need_not_move(self, outcome: ProbeOutcome, judged: Judge) -> None:
        [growth] = about(judged(outcome, "storage.grows-in-use"), LOCAL)
        [move] = about(judged(outcome, "storage.volume-moves"), LOCAL)

        assert growth.status is Status.FAIL
        assert "must support resize" in growth.message
        assert move.status is Status.SKIP

    def test_a_burst_comes_in_time(self, seen: StorageObservations, outcome: ProbeOutcome, judged: Judge) -> None:
        assert seen.burst is not None
        assert (seen.burst.class_name, seen.burst.claims, seen.burst.failed) == (LOCAL, 3, 0)
        assert [f.status for f in judged(outcome, "storage.claim-burst")] == [Status.OK]


class TestFaults:
    def test_a_class_without_expansion_refuses(
        self, test_bed: Cluster, fault: Any, run_probe: RunProbe, judged: Judge
    ) -> None:
        name = fault(faults.class_without_expansion(test_bed, like=ZONAL))

        outcome = run_probe("storage", storage_classes=(name,), **SMALL)

        [finding] = judged(outcome, "storage.grows-in-use")
        assert finding.status is Status.WARN  # nobody uses it
        assert "must support resize" in finding.message

    def test_a_provisioner_that_hangs_is_named(
        self, test_bed: Cluster, fault: Any, run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.provisioner_hanging(test_bed, storage_class=ANYWHERE))

        outcome = run_probe("storage", storage_classes=(ANYWHERE,), settings={"patience_seconds": 8}, **SMALL)

        [finding] = judged(outcome, "storage.volume-mounts")
        assert finding.status is Status.WARN
        assert "UnboundClaim" in finding.message
        assert judged(outcome, "storage.grows-in-use")[0].status is Status.UNKNOWN

    def test_a_node_without_the_driver_is_named(
        self, test_bed: Cluster, fault: Any, run_probe: RunProbe, judged: Judge
    ) -> None:
        fault(faults.csi_driver_missing(test_bed, "n2"))
        only_n2 = {"patience_seconds": 20, "node_selector": {"kubernetes.io/hostname": "n2"}}

        outcome = run_probe("storage", storage_classes=(ZONAL,), settings=only_n2, **SMALL)

        [finding] = judged(outcome, "storage.volume-mounts")
        assert finding.status is Status.WARN
        assert "CSINode n2" in finding.message


class TestAFileSystemOfManyNodes:
    """A folder of the machine, which is the same on all nodes of the test bed."""

    @pytest.fixture
    def shared_class(self, test_bed: Cluster) -> Iterator[str]:
        name = f"by-hand-{time.time_ns():x}"
        folder = STATE / "volumes" / name
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        test_bed.apply(_by_hand(name, str(folder)))
        yield name
        test_bed.core.delete_persistent_volume(name)
        test_bed.resource("StorageClass", "storage.k8s.io/v1").delete(name=name)

    def test_is_shared_with_locks(self, shared_class: str, run_probe: RunProbe, judged: Judge) -> None:
        names = {"storage_classes": (shared_class,), "shared_storage_classes": (shared_class,)}
        outcome = run_probe("storage", **names, **SMALL)

        assert isinstance(outcome.observations, StorageObservations)
        step = outcome.observations.classes[shared_class].step(SHARE)
        assert step is not None
        assert step.state is StepState.OK, step.cause
        [finding] = judged(outcome, "storage.shared-in-use")
        assert finding.status is Status.OK


def _by_hand(name: str, folder: str) -> str:
    return f"""
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {name}}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  storageClassName: {name}
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {{path: {folder}, type: Directory}}
"""
