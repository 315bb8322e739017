"""A large cluster's bundle, generated: deterministic, streamed, shaped as an API server would return it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from auditor.bundle import BundleWriter
from auditor.facts.kube import (
    CSIDriver,
    CSINode,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Service,
    StatefulSet,
    StorageClass,
)
from auditor.facts.parts import Resource
from tests.bench.pods import pod
from tests.bench.shape import NAMESPACES, STATEFUL_SHARE, Json, Shape


def lists(shape: Shape) -> Iterator[tuple[type[Resource], Iterator[Json]]]:
    """Every resource type with its objects, which are made as they are asked for."""
    yield Node, (_node(shape, number) for number in range(shape.nodes))
    yield CSINode, (_csi_node(shape, number) for number in range(shape.nodes))
    yield Namespace, ({"metadata": shape.meta(f"team-{n:03}", None)} for n in range(NAMESPACES))
    yield StorageClass, (_storage_class(shape, name) for name in ("fast", "standard", "archive"))
    yield CSIDriver, iter([{"metadata": shape.meta("ebs.csi.example.com", None), "spec": {"attachRequired": True}}])
    stateful = range(0, shape.apps, STATEFUL_SHARE)
    yield Service, (_service(shape, app) for app in range(shape.apps))
    yield StatefulSet, (_stateful_set(shape, app) for app in stateful)
    yield PersistentVolumeClaim, (_claim(shape, app, n) for app in stateful for n in range(shape.replicas(app)))
    yield PersistentVolume, (_volume(shape, app, n) for app in stateful for n in range(shape.replicas(app)))
    yield Pod, (pod(shape, app, n) for app in range(shape.apps) for n in range(shape.replicas(app)))


def _node(shape: Shape, number: int) -> Json:
    name, zone = shape.node_name(number), f"eu-central-1{'abc'[number % 3]}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m6i.8xlarge",
        "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": zone,
        "eks.example.com/nodegroup": f"group-{number % 7}",
    }
    annotations = {
        "csi.volume.kubernetes.io/nodeid": f'{{"ebs.csi.example.com":"i-{number:017x}"}}',
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    return {
        "metadata": shape.meta(name, None, labels=labels, annotations=annotations),
        "spec": {"providerID": f"aws:///{zone}/i-{number:017x}", "podCIDR": f"10.{number % 200}.0.0/24"},
        "status": _node_status(shape, number),
    }


def _node_status(shape: Shape, number: int) -> Json:
    capacity = {"cpu": "32", "memory": "130409244Ki", "ephemeral-storage": "209702892Ki", "pods": "110"}
    fine = {"reason": "KubeletHasSufficientMemory", "message": "kubelet has sufficient memory available"}
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
    ready = shape.condition("Ready", reason="KubeletReady", message="kubelet is posting ready status")
    return {
        "capacity": capacity,
        "allocatable": {**capacity, "cpu": "31850m", "memory": "126905244Ki"},
        "conditions": [*(shape.condition(kind, "False", **fine) for kind in pressures), ready],
        "addresses": [
            {"type": "InternalIP", "address": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"},
            {"type": "Hostname", "address": shape.node_name(number)},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": f"{shape.random.getrandbits(128):032x}",
            "systemUUID": shape.uid(),
            "bootID": shape.uid(),
            "kernelVersion": "6.1.90-99.173.amzn2023.x86_64",
            "osImage": "Amazon Linux 2023",
            "containerRuntimeVersion": "containerd://1.7.11",
            "kubeletVersion": "v1.29.3",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "images": [
            {"names": [f"registry.example.com/team/image-{n}@sha256:{n:064x}"], "sizeBytes": 10_000_000 * n}
            for n in range(20)
        ],
    }


def _csi_node(shape: Shape, number: int) -> Json:
    driver = {
        "name": "ebs.csi.example.com",
        "nodeID": f"i-{number:017x}",
        "topologyKeys": ["topology.kubernetes.io/zone"],
        "allocatable": {"count": 25},
    }
    return {"metadata": shape.meta(shape.node_name(number), None), "spec": {"drivers": [driver]}}


def _storage_class(shape: Shape, name: str) -> Json:
    default = {"storageclass.kubernetes.io/is-default-class": str(name == "standard").lower()}
    return {
        "metadata": shape.meta(name, None, annotations=default),
        "provisioner": "ebs.csi.example.com",
        "parameters": {"type": "gp3"},
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def _service(shape: Shape, app: int) -> Json:
    namespace, name = shape.place(app)
    return {
        "metadata": shape.meta(name, namespace, labels=shape.labels(name)),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None" if shape.is_stateful(app) else f"172.20.{app // 256}.{app % 256}",
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            "sessionAffinity": "None",
        },
        "status": {"loadBalancer": {}},
    }


def _claim_spec() -> Json:
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "100Gi"}},
    }


def _stateful_set(shape: Shape, app: int) -> Json:
    namespace, name = shape.place(app)
    return {
        "metadata": shape.meta(name, namespace, labels=shape.labels(name)),
        "spec": {
            "replicas": shape.replicas(app),
            "serviceName": name,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "podManagementPolicy": "Parallel",
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": _claim_spec()}],
        },
        "status": {"replicas": shape.replicas(app)},
    }


def _claim(shape: Shape, app: int, number: int) -> Json:
    namespace, name = shape.place(app)
    return {
        "metadata": shape.meta(f"data-{name}-{number}", namespace, labels=shape.labels(name)),
        "spec": {**_claim_spec(), "volumeName": f"pvc-{app:04}-{number:05}"},
        "status": {"phase": "Bound", "capacity": {"storage": "100Gi"}, "accessModes": ["ReadWriteOnce"]},
    }


def _volume(shape: Shape, app: int, number: int) -> Json:
    namespace, name = shape.place(app)
    return {
        "metadata": shape.meta(f"pvc-{app:04}-{number:05}", None),
        "spec": {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": "fast",
            "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": f"data-{name}-{number}"},
            "csi": {
                "driver": "ebs.csi.example.com",
                "volumeHandle": f"vol-{shape.random.getrandbits(68):017x}",
                "fsType": "ext4",
            },
        },
        "status": {"phase": "Bound"},
    }


def write(path: Path, shape: Shape) -> dict[str, int]:
    """Write the bundle; objects per resource type."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    counts = {}
    with BundleWriter(path, name="generated", server_version="v1.29.3") as bundle:
        for view, objects in lists(shape):
            with bundle.resource(view.api, view.api.versions[0]) as sink:
                for item in objects:
                    sink.write(encode(item).encode())
            counts[view.api.plural] = sink.count
            sys.stderr.write(f"  {sink.count:>7,} {view.api.plural}\n")
    return counts


if __name__ == "__main__":
    write(Path(sys.argv[1]), Shape(nodes=int(sys.argv[2]), pods=int(sys.argv[3])))
