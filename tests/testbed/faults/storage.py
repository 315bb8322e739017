"""Faults of storage: default classes, what a class can do, provisioners and drivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.testbed import storage
from tests.testbed.client import Cluster, wait_for
from tests.testbed.csi.layout import DRIVER
from tests.testbed.faults.changes import created, healthy_afterwards, patched, scaled
from tests.testbed.faults.journal import fault
from tests.testbed.layout import NODES

DEFAULT_CLASS = "local-path"
IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_API = "storage.k8s.io/v1"


@fault
def no_default_class(cluster: Cluster) -> Iterator[None]:
    """No StorageClass is the default."""
    with ExitStack() as stack:
        for name in default_classes(cluster):
            change = {"metadata": {"annotations": {IS_DEFAULT: "false"}}}
            stack.enter_context(patched(cluster, "StorageClass", name, change, api_version=_API))
        yield


@fault
def two_default_classes(cluster: Cluster) -> Iterator[str]:
    """A second StorageClass is a default too; yields its name."""
    copy = _copy(cluster, DEFAULT_CLASS, "second-default")
    copy["metadata"]["annotations"] = {IS_DEFAULT: "true"}
    with created(cluster, copy):
        yield copy["metadata"]["name"]


@fault
def class_without_expansion(cluster: Cluster, *, like: str = DEFAULT_CLASS) -> Iterator[str]:
    """A class like another one whose claims cannot grow; yields its name."""
    copy = {**_copy(cluster, like, "without-expansion"), "allowVolumeExpansion": False}
    with created(cluster, copy):
        yield copy["metadata"]["name"]


@fault
def class_with_immediate_binding(cluster: Cluster, *, like: str = DEFAULT_CLASS) -> Iterator[str]:
    """A class like another one that makes volumes before it is known where their pods run; yields its name."""
    copy = {**_copy(cluster, like, "immediate-binding"), "volumeBindingMode": "Immediate"}
    with created(cluster, copy):
        yield copy["metadata"]["name"]


@fault
def provisioner_hanging(cluster: Cluster, *, storage_class: str = DEFAULT_CLASS) -> Iterator[None]:
    """The provisioner behind a class answers nothing: claims stay Pending."""
    provisioner = _class(cluster, storage_class)["provisioner"]
    with storage.provisioning_fault("hang") if provisioner == DRIVER else _local_path_stopped(cluster):
        yield


@fault
def csi_driver_missing(cluster: Cluster, node: str) -> Iterator[None]:
    """The test bed's CSI driver does not run on a node, whose CSINode therefore does not name it."""
    layout = next(each for each in NODES if each.name == node)
    try:
        storage.stop_node_service(layout)
        wait_for(f"the driver to be off CSINode {node}", lambda: not storage.has_driver(cluster, layout))
        yield
    finally:
        storage.start_node_service(layout)
        wait_for(f"the driver to be on CSINode {node}", lambda: storage.has_driver(cluster, layout))


def default_classes(cluster: Cluster) -> list[str]:
    """The names of the classes that say that they are the default."""
    classes = cluster.resource("StorageClass", _API).get().to_dict()["items"]
    marked = [(each["metadata"]["name"], each["metadata"].get("annotations") or {}) for each in classes]
    return [name for name, annotations in marked if annotations.get(IS_DEFAULT) == "true"]


@contextmanager
def _local_path_stopped(cluster: Cluster) -> Iterator[None]:
    namespace, name = "local-path-storage", "local-path-provisioner"

    def pods() -> list[Any]:
        """Without those that it makes to remove a volume: they stay while it is not there to remove them."""
        found: list[Any] = cluster.core.list_namespaced_pod(namespace, label_selector=f"app={name}").items
        return found

    with healthy_afterwards(cluster), scaled(cluster, name, namespace=namespace, replicas=0):
        wait_for("no provisioner", lambda: not pods())
        yield


def _copy(cluster: Cluster, name: str, suffix: str) -> dict[str, Any]:
    original = _class(cluster, name)
    kept = {key: value for key, value in original.items() if key != "metadata"}
    return {**kept, "metadata": {"name": f"{name}-{suffix}"}}


def _class(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.resource("StorageClass", _API).get(name=name).to_dict()
    return found
