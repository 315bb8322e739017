"""The test bed's CSI driver: volumes that move, grow, change, are copied and go, with the real sidecars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed import storage
from tests.testbed.client import Cluster, wait_for
from tests.testbed.csi import filesystem, volumes
from tests.testbed.csi.volumes import Volume
from tests.testbed.layout import NODES

MIB = 1 << 20

STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: keeper, namespace: ${NAMESPACE}}
spec:
  serviceName: keeper
  selector: {matchLabels: {app: keeper}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: keeper
        image: localhost/auditor-testbed/busybox:1
        imagePullPolicy: Never
        command: [/bin/sh, -c, "sleep 3600 & wait"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: ${CLASS}
      volumeAttributesClassName: testbed-slow
      resources: {requests: {storage: 300Mi}}
"""

READER = """
apiVersion: v1
kind: Pod
metadata: {name: reader, namespace: ${NAMESPACE}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: reader
    image: localhost/auditor-testbed/busybox:1
    imagePullPolicy: Never
    command: [/bin/sh, -c, "sleep 3600 & wait"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes:
  - name: data
    persistentVolumeClaim: {claimName: ${CLAIM}}
"""

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: ${NAME}, namespace: ${NAMESPACE}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ${CLASS}
  resources: {requests: {storage: 320Mi}}
"""

RESTORED = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: restored, namespace: ${NAMESPACE}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: testbed-csi
  dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: taken}
  resources: {requests: {storage: 400Mi}}
"""

EXT4_CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: test-ext4}
provisioner: csi.testbed.auditor
parameters: {csi.storage.k8s.io/fstype: ext4}
"""

SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: taken, namespace: ${NAMESPACE}}
spec:
  volumeSnapshotClassName: testbed-csi
  source: {persistentVolumeClaimName: data-keeper-0}
"""


@pytest.fixture
def keeper(test_bed: Cluster, fresh_namespace: str) -> str:
    """The namespace of a running StatefulSet whose pod has a volume at /data that every node reaches."""
    test_bed.apply(STATEFUL_SET, NAMESPACE=fresh_namespace, CLASS="testbed-csi-everywhere")
    _wait_until_ready(test_bed, fresh_namespace, pods=1)
    return fresh_namespace


@pytest.fixture
def cordon(test_bed: Cluster) -> Iterator[Any]:
    """Cordon nodes until the test ends."""
    cordoned: list[str] = []

    def do(node: str) -> None:
        cordoned.append(node)
        test_bed.core.patch_node(node, {"spec": {"unschedulable": True}})

    yield do
    for node in cordoned:
        test_bed.core.patch_node(node, {"spec": {"unschedulable": None}})


@pytest.fixture
def ext4_class(test_bed: Cluster) -> Iterator[str]:
    """A StorageClass with ext4 and Immediate binding."""
    test_bed.apply(EXT4_CLASS)
    yield "test-ext4"
    test_bed.resource("StorageClass", "storage.k8s.io/v1").delete(name="test-ext4")


def test_data_survives_the_move_to_another_node(test_bed: Cluster, keeper: str, cordon: Any) -> None:
    test_bed.exec("keeper-0", keeper, "dd if=/dev/urandom of=/data/bytes bs=1M count=8 2>/dev/null")
    sum_before = test_bed.exec("keeper-0", keeper, "sha256sum /data/bytes")
    node_before = _pod(test_bed, keeper).spec.node_name
    assert _volume(test_bed, keeper).node == node_before

    cordon(node_before)
    test_bed.core.delete_namespaced_pod("keeper-0", keeper)
    wait_for("the pod on another node", lambda: _pod(test_bed, keeper).spec.node_name not in (None, node_before))
    _wait_until_ready(test_bed, keeper, pods=1)

    assert test_bed.exec("keeper-0", keeper, "sha256sum /data/bytes") == sum_before
    assert _volume(test_bed, keeper).node == _pod(test_bed, keeper).spec.node_name


def test_a_volume_of_one_zone_ties_its_pod_to_the_zone(test_bed: Cluster, fresh_namespace: str) -> None:
    test_bed.apply(STATEFUL_SET, NAMESPACE=fresh_namespace, CLASS="testbed-csi")
    _wait_until_ready(test_bed, fresh_namespace, pods=1)

    node = _pod(test_bed, fresh_namespace).spec.node_name
    volume = _volume(test_bed, fresh_namespace)
    terms = test_bed.core.read_persistent_volume(volume.id).spec.node_affinity.required.node_selector_terms

    assert volume.zone == next(each.zone for each in NODES if each.name == node)
    assert [expression.values for term in terms for expression in term.match_expressions] == [[volume.zone]]


def test_a_volume_grows_under_a_running_pod(test_bed: Cluster, keeper: str) -> None:
    uid_before = _pod(test_bed, keeper).metadata.uid
    size_before = _size_mib(test_bed, keeper)

    _patch_claim(test_bed, keeper, {"resources": {"requests": {"storage": "600Mi"}}})
    grown_mib = size_before + 250
    wait_for(  # the kubelet looks at a running pod's volumes about once a minute
        "the file system to grow", lambda: _size_mib(test_bed, keeper) > grown_mib, timeout_seconds=180
    )
    wait_for("the claim's new capacity", lambda: _claim(test_bed, keeper).status.capacity["storage"] == "600Mi")

    assert _pod(test_bed, keeper).metadata.uid == uid_before
    assert _volume(test_bed, keeper).capacity_bytes == 600 * MIB


def test_another_attributes_class_reaches_the_driver_under_a_running_pod(test_bed: Cluster, keeper: str) -> None:
    uid_before = _pod(test_bed, keeper).metadata.uid
    assert _volume(test_bed, keeper).mutable_parameters == {"iops": "500"}

    _patch_claim(test_bed, keeper, {"volumeAttributesClassName": "testbed-fast"})
    wait_for(
        "the claim's new VolumeAttributesClass",
        lambda: _claim(test_bed, keeper).status.current_volume_attributes_class_name == "testbed-fast",
    )

    assert _volume(test_bed, keeper).mutable_parameters == {"iops": "5000"}
    assert _pod(test_bed, keeper).metadata.uid == uid_before


def test_a_snapshot_restores_what_it_held(test_bed: Cluster, keeper: str) -> None:
    test_bed.exec("keeper-0", keeper, "dd if=/dev/urandom of=/data/bytes bs=1M count=8 2>/dev/null")
    sum_taken = test_bed.exec("keeper-0", keeper, "sha256sum /data/bytes")

    test_bed.apply(SNAPSHOT, NAMESPACE=keeper)
    snapshots = test_bed.resource("VolumeSnapshot", "snapshot.storage.k8s.io/v1")
    wait_for("the snapshot", lambda: snapshots.get(name="taken", namespace=keeper).status.readyToUse)
    test_bed.exec("keeper-0", keeper, "echo changed > /data/bytes")
    test_bed.apply(RESTORED, NAMESPACE=keeper)
    test_bed.apply(READER, CLAIM="restored", NAMESPACE=keeper)
    _wait_until_ready(test_bed, keeper, pods=2)

    assert test_bed.exec("reader", keeper, "sha256sum /data/bytes") == sum_taken
    assert test_bed.exec("keeper-0", keeper, "cat /data/bytes") == "changed\n"


def test_deleting_a_claim_leaves_nothing(test_bed: Cluster, keeper: str) -> None:
    volume = _volume(test_bed, keeper)
    assert filesystem.loop_devices(volume.image)
    handle = volume.id

    test_bed.resource("StatefulSet", "apps/v1").delete(name="keeper", namespace=keeper)
    test_bed.core.delete_namespaced_persistent_volume_claim("data-keeper-0", keeper)
    wait_for(
        "the volume to go",
        lambda: handle not in {each.metadata.name for each in test_bed.core.list_persistent_volume().items},
    )

    assert volumes.volume(handle) is None
    assert not volume.image.exists()
    assert not [mount for mount in filesystem.mounts() if handle in str(mount.point)]
    assert not filesystem.loop_devices(volume.image)


def test_a_class_chooses_ext4_and_binds_at_once(test_bed: Cluster, fresh_namespace: str, ext4_class: str) -> None:
    test_bed.apply(CLAIM, NAME="small", NAMESPACE=fresh_namespace, CLASS=ext4_class)
    wait_for(
        "the claim to be bound before a pod wants it",
        lambda: test_bed.core.read_namespaced_persistent_volume_claim("small", fresh_namespace).status.phase == "Bound",
    )

    test_bed.apply(READER, CLAIM="small", NAMESPACE=fresh_namespace)
    _wait_until_ready(test_bed, fresh_namespace, pods=1)

    assert " ext4 " in test_bed.exec("reader", fresh_namespace, "grep ' /data ' /proc/mounts")


@pytest.mark.parametrize(("fault", "reason"), [("hang", "Provisioning"), ("fail", "ProvisioningFailed")])
def test_a_provisioning_fault_keeps_the_claim_pending_until_it_ends(
    test_bed: Cluster, fresh_namespace: str, fault: Any, reason: str
) -> None:
    with storage.provisioning_fault(fault):
        test_bed.apply(CLAIM, NAME="wanted", NAMESPACE=fresh_namespace, CLASS="testbed-csi")
        test_bed.apply(READER, CLAIM="wanted", NAMESPACE=fresh_namespace)
        wait_for(f"the event {reason}", lambda: reason in _event_reasons(test_bed, fresh_namespace))
        claim = test_bed.core.read_namespaced_persistent_volume_claim("wanted", fresh_namespace)
        assert claim.status.phase == "Pending"

    _wait_until_ready(test_bed, fresh_namespace, pods=1)


def test_a_node_without_the_driver_is_seen_and_gets_it_back(test_bed: Cluster) -> None:
    node = NODES[1]
    storage.stop_node_service(node)
    try:
        wait_for("the CSINode without the driver", lambda: not storage.has_driver(test_bed, node))
        assert storage.has_driver(test_bed, NODES[0])
    finally:
        storage.start_node_service(node)
    wait_for("the CSINode with the driver", lambda: storage.has_driver(test_bed, node))


def _pod(cluster: Cluster, namespace: str) -> Any:
    return cluster.core.read_namespaced_pod("keeper-0", namespace)


def _claim(cluster: Cluster, namespace: str) -> Any:
    return cluster.core.read_namespaced_persistent_volume_claim("data-keeper-0", namespace)


def _volume(cluster: Cluster, namespace: str) -> Volume:
    found = volumes.volume(_claim(cluster, namespace).spec.volume_name)
    assert found is not None
    return found


def _patch_claim(cluster: Cluster, namespace: str, spec: dict[str, Any]) -> None:
    cluster.core.patch_namespaced_persistent_volume_claim("data-keeper-0", namespace, {"spec": spec})


def _size_mib(cluster: Cluster, namespace: str) -> int:
    return int(cluster.exec("keeper-0", namespace, "df -m /data | awk 'NR == 2 {print $2}'"))


def _wait_until_ready(cluster: Cluster, namespace: str, *, pods: int) -> None:
    wait_for(f"{pods} ready pods", lambda: cluster.ready_pods(namespace) == pods, timeout_seconds=120)


def _event_reasons(cluster: Cluster, namespace: str) -> set[str]:
    return {event.reason for event in cluster.core.list_namespaced_event(namespace).items}
