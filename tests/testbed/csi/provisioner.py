"""Volumes for claims, as external-provisioner makes and deletes them."""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import Event, Lock
from typing import Any

from kubernetes import client
from kubernetes.utils.quantity import parse_quantity

from tests.testbed.client import Cluster
from tests.testbed.csi import events, protocol
from tests.testbed.csi.controller import Controller, HangingError
from tests.testbed.csi.layout import DRIVER, ZONE_KEY
from tests.testbed.csi.rpc import RefusedError
from tests.testbed.layout import NODES

FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_PROVISIONER = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_FS_TYPE = "csi.storage.k8s.io/fstype"
_POLL_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_THREADS = 4
_LOG = logging.getLogger("csi")

Object = dict[str, Any]


class Provisioner:
    """Watches claims and volumes of our classes and brings each where it should be, again and again until it is.

    It polls the API server's cache: two small lists twice a second.
    """

    def __init__(self, cluster: Cluster, controller: Controller) -> None:
        self._cluster = cluster
        self._controller = controller
        self._csi = protocol.csi()
        self._busy: set[str] = set()
        self._hanging: set[str] = set()
        self._pauses: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def run(self, ended: Event) -> None:
        """Work until told to end."""
        with ThreadPoolExecutor(_THREADS) as pool:
            while not ended.wait(_POLL_SECONDS):
                try:
                    for claim in self._list("/api/v1/persistentvolumeclaims"):
                        if _waits_for_volume(claim):
                            self._submit(pool, claim, self._provision, "ProvisioningFailed")
                    for volume in self._list("/api/v1/persistentvolumes"):
                        if _is_ours(volume):
                            self._submit(pool, volume, self._release, "VolumeFailedDelete")
                except Exception:  # noqa: BLE001  the API server may be away for a while
                    _LOG.exception("cannot list")

    def _submit(
        self, pool: ThreadPoolExecutor, thing: Object, work: Callable[[Object], None], failure_reason: str
    ) -> None:
        uid = thing["metadata"]["uid"]
        not_before, _ = self._pauses.get(uid, (0.0, 0.0))
        with self._lock:
            if uid in self._busy or time.monotonic() < not_before:
                return
            self._busy.add(uid)
        pool.submit(self._attempt, thing, work, failure_reason)

    def _attempt(self, thing: Object, work: Callable[[Object], None], failure_reason: str) -> None:
        uid = thing["metadata"]["uid"]
        try:
            work(thing)
            self._pauses.pop(uid, None)
        except Exception as error:  # noqa: BLE001  it is tried again
            if isinstance(error, client.ApiException) and error.status == HTTPStatus.CONFLICT:
                return  # it changed meanwhile: the next round sees it as it is
            _, last = self._pauses.get(uid, (0.0, 0.5))
            pause = min(last * 2, _LONGEST_PAUSE_SECONDS)
            self._pauses[uid] = (time.monotonic() + pause, pause)
            if not isinstance(error, RefusedError):
                _LOG.exception(uid)
            self._report_failure(thing, failure_reason, error)
        finally:
            with self._lock:
                self._busy.discard(uid)

    def _report_failure(self, thing: Object, reason: str, error: Exception) -> None:
        message = f"rpc error: code = {error.code} desc = {error}" if isinstance(error, RefusedError) else str(error)
        _LOG.warning("%s: %s", thing["metadata"]["name"], message)
        try:
            events.warn(self._cluster, thing, reason, message)
        except client.ApiException as refused:
            _LOG.warning("no event about %s: %s", thing["metadata"]["name"], refused.reason)

    # Claims

    def _provision(self, claim: Object) -> None:
        uid = claim["metadata"]["uid"]
        storage_class = self._get(f"/apis/storage.k8s.io/v1/storageclasses/{claim['spec']['storageClassName']}")
        waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        node = claim["metadata"]["annotations"].get(_SELECTED_NODE) if waits else None
        if waits and node is None:
            return
        if uid not in self._hanging:
            described = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
            events.note(
                self._cluster,
                claim,
                "Provisioning",
                f'External provisioner is provisioning volume for claim "{described}"',
            )
        try:
            made = self._controller.create_volume(self._request(claim, storage_class, node)).volume
        except HangingError:
            self._hanging.add(uid)
            return
        self._create(_persistent_volume(claim, storage_class, made))
        self._hanging.discard(uid)
        events.note(self._cluster, claim, "ProvisioningSucceeded", f"Successfully provisioned volume {made.volume_id}")

    def _request(self, claim: Object, storage_class: Object, node: str | None) -> Any:
        spec = claim["spec"]
        if spec.get("volumeMode", "Filesystem") != "Filesystem":
            raise RefusedError("INVALID_ARGUMENT", f"volumeMode {spec['volumeMode']} is not supported")
        if unsupported := set(spec["accessModes"]) - {"ReadWriteOnce", "ReadWriteOncePod"}:
            raise RefusedError("INVALID_ARGUMENT", f"access mode {', '.join(sorted(unsupported))} is not supported")
        parameters = dict(storage_class.get("parameters") or {})
        request = self._csi.CreateVolumeRequest(name=f"pvc-{claim['metadata']['uid']}")
        request.capacity_range.required_bytes = int(parse_quantity(spec["resources"]["requests"]["storage"]))
        capability = request.volume_capabilities.add()
        capability.mount.fs_type = parameters.pop(_FS_TYPE, "")
        capability.access_mode.mode = capability.AccessMode.SINGLE_NODE_WRITER
        request.parameters.update(parameters)
        request.mutable_parameters.update(self._mutable_parameters(spec))
        zone = self._zone_of(node) if node else _any_zone(request.name, storage_class)
        request.accessibility_requirements.preferred.add().segments[ZONE_KEY] = zone
        snapshot = self._snapshot_handle(claim)
        if snapshot:
            request.volume_content_source.snapshot.snapshot_id = snapshot
        return request

    def _mutable_parameters(self, claim_spec: Object) -> dict[str, str]:
        name = claim_spec.get("volumeAttributesClassName")
        if not name:
            return {}
        found = self._get(f"/apis/storage.k8s.io/v1/volumeattributesclasses/{name}")
        if found["driverName"] != DRIVER:
            raise RefusedError("INVALID_ARGUMENT", f"VolumeAttributesClass {name} is for driver {found['driverName']}")
        return dict(found.get("parameters") or {})

    def _zone_of(self, node: str) -> str:
        drivers = self._get(f"/apis/storage.k8s.io/v1/csinodes/{node}")["spec"].get("drivers") or ()
        if not any(driver["name"] == DRIVER for driver in drivers):
            raise RefusedError("UNAVAILABLE", f"no topology key found on CSINode {node}")
        zone: str = self._get(f"/api/v1/nodes/{node}")["metadata"]["labels"][ZONE_KEY]
        return zone

    def _snapshot_handle(self, claim: Object) -> str | None:
        source = claim["spec"].get("dataSourceRef") or claim["spec"].get("dataSource")
        if source is None:
            return None
        if source["kind"] != "VolumeSnapshot":
            raise RefusedError("INVALID_ARGUMENT", f"a volume cannot be made from a {source['kind']}")
        snapshots = "/apis/snapshot.storage.k8s.io/v1"
        found = self._get(f"{snapshots}/namespaces/{claim['metadata']['namespace']}/volumesnapshots/{source['name']}")
        status = found.get("status") or {}
        if not status.get("readyToUse"):
            raise RefusedError("UNAVAILABLE", f"VolumeSnapshot {source['name']} is not ready")
        content = self._get(f"{snapshots}/volumesnapshotcontents/{status['boundVolumeSnapshotContentName']}")
        if content["spec"]["driver"] != DRIVER:
            raise RefusedError("INVALID_ARGUMENT", f"VolumeSnapshot {source['name']} is of {content['spec']['driver']}")
        handle: str = content["status"]["snapshotHandle"]
        return handle

    def _create(self, volume: Object) -> None:
        try:
            self._cluster.core.create_persistent_volume(volume)
        except client.ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    # Volumes

    def _release(self, volume: Object) -> None:
        if volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
            self._drop_finalizer(volume)
        elif volume["status"].get("phase") in ("Released", "Failed"):
            handle = volume["spec"]["csi"]["volumeHandle"]
            self._controller.delete_volume(self._csi.DeleteVolumeRequest(volume_id=handle))
            if "deletionTimestamp" in volume["metadata"]:
                self._drop_finalizer(volume)
            else:
                self._cluster.core.delete_persistent_volume(volume["metadata"]["name"])

    def _drop_finalizer(self, volume: Object) -> None:
        metadata = volume["metadata"]
        if FINALIZER in metadata.get("finalizers", ()):
            patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}
            self._cluster.core.patch_persistent_volume(metadata["name"], patch)

    # The API server

    def _list(self, path: str) -> list[Object]:
        items: list[Object] = self._get(f"{path}?resourceVersion=0")["items"]
        return items

    def _get(self, path: str) -> Object:
        answer: Object = json.loads(self._cluster.get(path))
        return answer


def _waits_for_volume(claim: Object) -> bool:
    annotations = claim["metadata"].get("annotations") or {}
    return (
        any(annotations.get(key) == DRIVER for key in _PROVISIONER)
        and not claim["spec"].get("volumeName")
        and "deletionTimestamp" not in claim["metadata"]
    )


def _is_ours(volume: Object) -> bool:
    return (volume["metadata"].get("annotations") or {}).get(_PROVISIONED_BY) == DRIVER


def _any_zone(name: str, storage_class: Object) -> str:
    allowed = [
        value
        for term in storage_class.get("allowedTopologies") or ()
        for expression in term.get("matchLabelExpressions") or ()
        if expression["key"] == ZONE_KEY
        for value in expression["values"]
    ]
    zones: list[str] = sorted(allowed or {node.zone for node in NODES})
    return zones[zlib.crc32(name.encode()) % len(zones)]


def _persistent_volume(claim: Object, storage_class: Object, made: Any) -> Object:
    zones = [topology.segments[ZONE_KEY] for topology in made.accessible_topology]
    term = {"matchExpressions": [{"key": ZONE_KEY, "operator": "In", "values": zones}]}
    reference = {key: claim["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
    spec = {
        "capacity": {"storage": str(made.capacity_bytes)},
        "accessModes": claim["spec"]["accessModes"],
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "volumeMode": "Filesystem",
        "mountOptions": storage_class.get("mountOptions") or [],
        "volumeAttributesClassName": claim["spec"].get("volumeAttributesClassName") or None,
        "csi": {"driver": DRIVER, "volumeHandle": made.volume_id, "fsType": made.volume_context["fsType"]},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    deletes = spec["persistentVolumeReclaimPolicy"] == "Delete"
    metadata = {
        "name": made.volume_id,
        "annotations": {_PROVISIONED_BY: DRIVER},
        "finalizers": [FINALIZER] if deletes else [],
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
