"""Typed views of the API objects that checks read, one module per API group."""

from auditor.facts.kube.apps import StatefulSet, StatefulSetSpec
from auditor.facts.kube.core import (
    ConfigMap,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Service,
)
from auditor.facts.kube.meta import LabelSelector, ObjectMeta, OwnerReference
from auditor.facts.kube.storage import CSIDriver, CSINode, StorageClass

__all__ = [
    "CSIDriver",
    "CSINode",
    "ConfigMap",
    "LabelSelector",
    "Namespace",
    "Node",
    "ObjectMeta",
    "OwnerReference",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "Service",
    "StatefulSet",
    "StatefulSetSpec",
    "StorageClass",
]
