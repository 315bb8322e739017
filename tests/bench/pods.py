"""Generated pods."""

from __future__ import annotations

from tests.bench.shape import Json, Shape


def pod(shape: Shape, app: int, number: int) -> Json:
    """One pod of an app, 4 to 5 KB of JSON as the API server writes it."""
    namespace, name = shape.place(app)
    stateful = shape.is_stateful(app)
    suffix = f"{app:08x}"
    pod_name = f"{name}-{number}" if stateful else f"{name}-{suffix}-{shape.random.randrange(36**5):05x}"
    owner = {"kind": "StatefulSet", "name": name} if stateful else {"kind": "ReplicaSet", "name": f"{name}-{suffix}"}
    own_labels = (
        {"statefulset.kubernetes.io/pod-name": pod_name, "apps.kubernetes.io/pod-index": str(number)}
        if stateful
        else {"pod-template-hash": suffix}
    )
    node = shape.random.randrange(shape.nodes)
    return {
        "metadata": shape.meta(
            pod_name,
            namespace,
            generateName=f"{name}-",
            labels={**shape.labels(name), **own_labels},
            annotations={
                "checksum/config": f"{app:064x}",
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9404",
                "cni.example.com/ip": f"100.64.{shape.random.randrange(256)}.{shape.random.randrange(256)}/32",
            },
            ownerReferences=[
                {
                    "apiVersion": "apps/v1",
                    **owner,
                    "uid": f"{app:08x}-0000-4000-8000-000000000000",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        ),
        "spec": _pod_spec(shape, app, number, shape.node_name(node)),
        "status": _pod_status(shape, name, node),
    }


def _pod_spec(shape: Shape, app: int, number: int, node_name: str) -> Json:
    _, name = shape.place(app)
    token = f"kube-api-access-{shape.random.randrange(36**5):05x}"
    mounts = [
        {"name": "config", "mountPath": "/etc/app", "readOnly": True},
        {"name": token, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
    ]
    volumes: list[Json] = [
        {"name": "config", "configMap": {"name": f"{name}-config", "defaultMode": 420}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        {
            "name": token,
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                ],
                "defaultMode": 420,
            },
        },
    ]
    if shape.is_stateful(app):
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}-{number}"}})
    tolerated = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    return {
        "volumes": volumes,
        "containers": [_container(shape, name, app, mounts), _container(shape, "sidecar", 0, mounts)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": name,
        "serviceAccount": name,
        "nodeName": node_name,
        "securityContext": {"runAsNonRoot": True, "fsGroup": 1000},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", **tolerated},
            {"key": "node.kubernetes.io/unreachable", **tolerated},
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _container(shape: Shape, name: str, app: int, mounts: list[Json]) -> Json:
    return {
        "name": name,
        "image": f"registry.example.com/team/{name}:1.{app % 30}.0",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [
            {"name": "JAVA_OPTS", "value": "-Xmx2g"},
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        ],
        "resources": {
            "limits": {"memory": f"{2 + app % 6}Gi"},
            "requests": {"cpu": f"{250 * (1 + app % 8)}m", "memory": f"{2 + app % 6}Gi"},
        },
        "volumeMounts": mounts,
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"allowPrivilegeEscalation": False},
    }


def _pod_status(shape: Shape, name: str, node: int) -> Json:
    ip = f"100.64.{shape.random.randrange(256)}.{shape.random.randrange(256)}"
    return {
        "phase": "Running",
        "conditions": [shape.condition(kind) for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")],
        "hostIP": f"10.{node // 65536}.{node // 256 % 256}.{node % 256}",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": shape.time(),
        "containerStatuses": [
            {
                "name": container,
                "state": {"running": {"startedAt": shape.time()}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": f"registry.example.com/team/{container}:1.0.0",
                "imageID": f"registry.example.com/team/{container}@sha256:{shape.random.getrandbits(256):064x}",
                "containerID": f"containerd://{shape.random.getrandbits(256):064x}",
                "started": True,
            }
            for container in (name, "sidecar")
        ],
        "qosClass": "Burstable",
    }
