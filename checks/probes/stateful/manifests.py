"""What the stateful probe creates: a headless Service, a disruption budget, and a set of three with claims."""

from __future__ import annotations

from fnmatch import fnmatchcase

from auditor.cluster import Manifest
from auditor.facts.kube import StorageClass
from auditor.facts.kube.nodes import HOSTNAME_LABEL
from auditor.sandbox import Sandbox
from auditor.sandbox.agent_pods import agent_container, agent_volume
from auditor.sandbox.pods import template
from auditor.sandbox.scope import Scope

from ..._provisioners import BLOCK, NO_PROVISIONER, NODE_LOCAL, OBJECT_STORES, WITHOUT_VOLUMES, matches

REPLICAS = 3
VOLUME = "data"
NAMES_SECONDS = 30.0
"""Longer than names that were asked for too early stay unknown in the caches of CoreDNS and kube-dns."""

REVISION = "cluster-readiness-auditor/revision"

_APP = "app"
_FOLDER = "/data"
_PORT = 8080
_ADDRESSES = "AUDITOR_ADDRESSES"


def choose_class(scope: Scope) -> StorageClass | None:
    """The class of the claims, None where no class makes volumes by itself.

    It is the default one, or where the default's volumes are bound to nodes, one whose volumes can move.
    """
    globs = scope.options.storage_classes
    usable = [each for each in scope.classes if _makes_volumes(each)]
    if globs:
        usable = [each for each in usable if any(fnmatchcase(each.name, glob) for glob in globs)]

    def rank(each: StorageClass) -> tuple[bool, ...]:
        return (
            is_node_bound(each),
            not each.is_default,
            each.name not in scope.classes_used,
            not matches(each.provisioner, BLOCK),
            not each.waits_for_consumer,
        )

    return min(usable, key=lambda each: (rank(each), each.name), default=None)


def is_node_bound(each: StorageClass) -> bool:
    """Whether a class keeps its volumes on the nodes' own disks."""
    return matches(each.provisioner, NODE_LOCAL)


def _makes_volumes(each: StorageClass) -> bool:
    """Whether a claim of the class gets a file system of its own; volumes made by hand may be somebody's."""
    return not matches(each.provisioner, (NO_PROVISIONER, *WITHOUT_VOLUMES, *OBJECT_STORES))


def set_name(sandbox: Sandbox) -> str:
    """The name of the set, of its Service and of its budget."""
    return sandbox.name("sts")


def selector(sandbox: Sandbox) -> str:
    """Selects the pods of the set."""
    return f"{_APP}={set_name(sandbox)}"


def claim_name(sandbox: Sandbox, ordinal: int) -> str:
    """The claim of a replica, as the StatefulSet controller names it."""
    return f"{VOLUME}-{set_name(sandbox)}-{ordinal}"


def service(sandbox: Sandbox) -> Manifest:
    """The headless Service, which publishes the names of pods that are not Ready too."""
    name = set_name(sandbox)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {_APP: name},
            "ports": [{"name": "peer", "port": _PORT}],
        },
    }


def budget(sandbox: Sandbox) -> Manifest:
    """One replica at a time may be away."""
    name = set_name(sandbox)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {_APP: name}}},
    }


def stateful_set(sandbox: Sandbox, storage_class: StorageClass | None, storage_bytes: int) -> Manifest:
    """The set; without a class its replicas keep their data in a folder that goes with them."""
    name = set_name(sandbox)
    volumes = [agent_volume(sandbox)]
    if storage_class is None:
        volumes.append({"name": VOLUME, "emptyDir": {}})
    pods = template(
        sandbox,
        containers=[_container(sandbox)],
        labels={_APP: name},
        annotations={REVISION: "1"},
        volumes=volumes,
        affinity={"podAntiAffinity": _apart(name)},
        fs_group=sandbox.settings.run_as_user or None,
    )
    claims = [] if storage_class is None else [_claim(sandbox, storage_class, storage_bytes)]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "replicas": REPLICAS,
            "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {_APP: name}},
            "template": pods,
            "volumeClaimTemplates": claims,
        },
    }


def _container(sandbox: Sandbox) -> Manifest:
    name = set_name(sandbox)
    arguments = {
        "set": name,
        "domain": f"{name}.{sandbox.namespace}.svc",
        "replicas": REPLICAS,
        "folder": _FOLDER,
        "names_seconds": NAMES_SECONDS,
        "port": _PORT,
        "addresses_variable": _ADDRESSES,
    }
    made = agent_container(
        sandbox,
        "peer",
        arguments,
        mounts=[{"name": VOLUME, "mountPath": _FOLDER}],
        ports=[{"name": "peer", "containerPort": _PORT}],
        readinessProbe={"tcpSocket": {"port": "peer"}, "periodSeconds": 1, "timeoutSeconds": 2},
    )
    own = {"name": _ADDRESSES, "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}
    return {**made, "env": [*made["env"], own]}


def _apart(name: str) -> Manifest:
    """On a node each, where there are enough."""
    term = {"labelSelector": {"matchLabels": {_APP: name}}, "topologyKey": HOSTNAME_LABEL}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}


def _claim(sandbox: Sandbox, storage_class: StorageClass, storage_bytes: int) -> Manifest:
    return {
        "metadata": {"name": VOLUME, "labels": sandbox.marks()},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class.name,
            "resources": {"requests": {"storage": str(storage_bytes)}},
        },
    }
