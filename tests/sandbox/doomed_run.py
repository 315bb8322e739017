"""`auditor`, with one more probe that makes every sort of object that could be left behind, and holds them.

It is run as a process of its own, to be killed: ``python -m tests.sandbox.doomed_run probe --probe hoard …``.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import ClassVar

from auditor import Planned, ProbePlan, probe
from auditor.cli import probe as probe_command
from auditor.cli.main import cli
from auditor.cluster import Manifest
from auditor.facts.observations import Observations
from auditor.registry import Registry, load_probes
from auditor.sandbox import Sandbox
from auditor.sandbox.scope import Scope
from auditor.units.probe import Probe
from tests.testbed.csi.layout import DRIVER
from tests.testbed.images import BUSYBOX

HOLD_SECONDS = 3
_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


class Hoarded(Observations, frozen=True, kw_only=True):
    """Nothing but the times."""

    part_id: ClassVar[str] = "observations/hoard.json"


def plan(sandbox: Sandbox, _scope: Scope) -> ProbePlan:
    """All of it."""
    return ProbePlan(
        objects=tuple(Planned(manifest=manifest) for manifest in hoard(sandbox)),
        pods_at_once=2,
        storage_bytes=1024**3,
        seconds=HOLD_SECONDS,
    )


@probe("hoard", title="Makes what could be left behind", yields=Hoarded, needs=(), plan=plan)
def hoarding(sandbox: Sandbox, _scope: Scope) -> Hoarded:
    """Make it all at once, and hold it for a while."""
    started_at, started = datetime.now(UTC), time.monotonic()
    for manifest in hoard(sandbox):
        sandbox.create(manifest)
    sandbox.pause(HOLD_SECONDS)
    return Hoarded(started_at=started_at, took_seconds=time.monotonic() - started)


def hoard(sandbox: Sandbox) -> list[Manifest]:
    """Classes that keep what is made, a claim and a snapshot of it, a StatefulSet with claims of its own."""
    kept, snapshots, name = sandbox.name("kept"), sandbox.name("snapshots"), sandbox.name("set")
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": kept},
            "provisioner": DRIVER,
            "parameters": {"csi.storage.k8s.io/fstype": "ext4"},
            "reclaimPolicy": "Retain",
            "volumeBindingMode": "Immediate",
        },
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": {"name": snapshots},
            "driver": DRIVER,
            "deletionPolicy": "Retain",
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": sandbox.name("data")},
            "spec": _claim(kept),
        },
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "metadata": {"name": sandbox.name("data")},
            "spec": {
                "volumeSnapshotClassName": snapshots,
                "source": {"persistentVolumeClaimName": sandbox.name("data")},
            },
        },
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": sandbox.name("low")},
            "value": -1,
        },
        _stateful_set(sandbox, name, kept),
    ]


def _stateful_set(sandbox: Sandbox, name: str, storage_class: str) -> Manifest:
    """Its pods catch SIGTERM and go on; its claims carry no marks."""
    container = {
        "name": "holds",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", "trap : TERM; while :; do sleep 1; done"],
        "securityContext": _RESTRICTED,
        "volumeMounts": [{"name": "kept", "mountPath": "/kept"}],
    }
    template = {
        "metadata": {"labels": {"set": name, **sandbox.marks()}},
        "spec": {
            "terminationGracePeriodSeconds": 300,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "serviceName": name,
            "selector": {"matchLabels": {"set": name}},
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "kept"}, "spec": _claim(storage_class)}],
        },
    }


def _claim(storage_class: str) -> Manifest:
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "16Mi"}},
    }


def _probes() -> Registry[Probe]:
    found = load_probes()
    found.add(hoarding.__auditor__)  # type: ignore[attr-defined]
    return found


def main() -> None:
    """The ``auditor`` command."""
    probe_command.load_probes = _probes  # type: ignore[attr-defined]
    cli.main(prog_name="auditor")


if __name__ == "__main__":
    main()
