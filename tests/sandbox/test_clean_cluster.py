"""Removal on a real cluster where it is not alone: in a namespace that others use, by an account of that namespace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from auditor.cluster import ApiServer, Limits, Objects, connect
from auditor.sandbox import Sandbox, SandboxSettings, labels
from auditor.sandbox.clean import remove_run
from auditor.sandbox.runs import find_runs
from tests.sandbox.doomed_run import hoard
from tests.testbed.client import Cluster, wait_for

LIMITS = Limits(requests_per_second=200, parallel_requests=16)


def objects_of(kubeconfig: Path) -> Objects:
    return Objects(ApiServer(connect(kubeconfig=kubeconfig), LIMITS))


@pytest.fixture
def sandbox(test_bed: Cluster, fresh_namespace: str) -> Iterator[Sandbox]:
    """A run in a namespace that is somebody's."""
    made = Sandbox(
        objects_of(test_bed.kubeconfig),
        SandboxSettings(namespace=fresh_namespace),
        run_id=labels.new_run_id(),
        expires_at=labels.expires_after(10, now=datetime.now(UTC)),
    )
    yield made
    remove_run(made.objects, made.run_id, seconds=30)
    for volume in volumes_of(test_bed, fresh_namespace).values():  # of those who are not the run: kept, so far
        change = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
        test_bed.core.patch_persistent_volume(volume.metadata.name, change)


def volumes_of(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The volumes of a namespace's claims, by claim."""
    found = cluster.core.list_persistent_volume().items
    return {v.spec.claim_ref.name: v for v in found if v.spec.claim_ref and v.spec.claim_ref.namespace == namespace}


def test_a_given_namespace_keeps_what_is_not_of_the_run(test_bed: Cluster, sandbox: Sandbox) -> None:
    namespace, core = sandbox.namespace, test_bed.core
    for manifest in hoard(sandbox):
        sandbox.create(manifest)
    theirs = {
        "metadata": {"name": "theirs"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": sandbox.name("kept"),
            "resources": {"requests": {"storage": "16Mi"}},
        },
    }
    core.create_namespaced_persistent_volume_claim(namespace, theirs)
    wait_for("four volumes", lambda: len(volumes_of(test_bed, namespace)) == 4)
    wait_for("the pods", lambda: test_bed.ready_pods(namespace) == 2)

    removal = remove_run(sandbox.objects, sandbox.run_id, namespace=namespace)

    assert (removal.left, removal.unseen) == ((), {})
    assert removal.removed["PersistentVolume"] == removal.removed["PersistentVolumeClaim"] == 3
    assert removal.removed["VolumeSnapshot"] == removal.removed["VolumeSnapshotContent"] == 1
    [(claim, volume)] = volumes_of(test_bed, namespace).items()
    assert (claim, volume.spec.persistent_volume_reclaim_policy) == ("theirs", "Retain")
    assert core.read_namespaced_persistent_volume_claim("theirs", namespace).status.phase == "Bound"
    assert core.read_namespace(namespace).status.phase == "Active"


def test_an_account_of_one_namespace_cleans_it_and_says_what_it_cannot_see(
    test_bed: Cluster, sandbox: Sandbox, tmp_path: Path
) -> None:
    namespace = sandbox.namespace
    for name in ("a", "b"):
        sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": sandbox.name(name)}})
    rbac = client.RbacAuthorizationV1Api(test_bed.api)
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["list", "get", "delete"]}]
    rbac.create_namespaced_role(namespace, {"metadata": {"name": "cleaner"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "cleaner"}
    rbac.create_namespaced_role_binding(
        namespace, {"metadata": {"name": "cleaner"}, "subjects": [subject], "roleRef": role}
    )
    objects = objects_of(as_account(test_bed, namespace, tmp_path))

    wait_for("the account's rights", lambda: find_runs(objects, namespace=namespace)[0])
    removal = remove_run(objects, sandbox.run_id, namespace=namespace)

    assert (removal.removed, removal.left) == ({"ConfigMap": 2}, ())
    assert set(removal.unseen) == {"persistentvolumes", "volumesnapshotcontents"}
    found, unseen = find_runs(objects)
    assert found == []
    assert "pods" in unseen


def as_account(cluster: Cluster, namespace: str, folder: Path) -> Path:
    """A kubeconfig for the namespace's default account."""
    admin = yaml.safe_load(cluster.kubeconfig.read_text())
    admin["users"] = [{"name": admin["users"][0]["name"], "user": {"token": cluster.token("default", namespace)}}]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(admin))
    return path
