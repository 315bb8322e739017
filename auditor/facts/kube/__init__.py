"""Typed views of the API objects that checks read, one module per API group; the legacy group has several."""

from auditor.facts.kube.apps import DaemonSet, Deployment, StatefulSet, StatefulSetSpec
from auditor.facts.kube.core import ConfigMap, LimitRange, Namespace, ResourceQuota, Service, ServiceAccount
from auditor.facts.kube.discovery import EndpointSlice
from auditor.facts.kube.meta import LabelSelector, ObjectMeta, OwnerReference
from auditor.facts.kube.nodes import Node
from auditor.facts.kube.pods import Container, Pod, PodSpec
from auditor.facts.kube.policy import PodDisruptionBudget
from auditor.facts.kube.storage import CSIDriver, CSINode, StorageClass
from auditor.facts.kube.volumes import PersistentVolume, PersistentVolumeClaim

__all__ = [
    "CSIDriver",
    "CSINode",
    "ConfigMap",
    "Container",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "LabelSelector",
    "LimitRange",
    "Namespace",
    "Node",
    "ObjectMeta",
    "OwnerReference",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "PodSpec",
    "ResourceQuota",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    "StatefulSetSpec",
    "StorageClass",
]
