"""Which data system a workload's pods belong to, told by well-known labels, else by container names and images.

The labels are those that Strimzi, Confluent, Stackable, the Flink and Spark operators and common Helm charts set. What
is not recognized has no role, and checks expect of it only what holds for every workload.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from auditor.facts.kube import Deployment, Pod, PodSpec, StatefulSet
from auditor.facts.kube.pods import PodTemplate

_Labels: TypeAlias = Mapping[str, str]


class Role(StrEnum):
    """What a pod does in its data system, as messages write it."""

    KAFKA_BROKER = "Kafka broker"
    KAFKA_CONTROLLER = "Kafka controller"
    """Also a node that is broker and controller at once."""
    ZOOKEEPER = "ZooKeeper"
    NAMENODE = "HDFS NameNode"
    JOURNALNODE = "HDFS JournalNode"
    DATANODE = "HDFS DataNode"
    CASSANDRA = "Cassandra"
    ETCD = "etcd"
    ZEPPELIN = "Zeppelin"
    FLINK_JOBMANAGER = "Flink JobManager"
    FLINK_TASKMANAGER = "Flink TaskManager"
    SPARK = "Spark"

    @property
    def is_replicated(self) -> bool:
        """Whether its pods hold copies of the same data, or stand in for one another, and know each other by name."""
        return self in _REPLICATED

    @property
    def is_quorum(self) -> bool:
        """Whether its pods elect a leader among themselves, so that a majority must find each other at the start."""
        return self in _QUORUM

    @property
    def keeps_data(self) -> bool:
        """Whether its volumes hold what nobody else can make again."""
        return self in _REPLICATED or self is Role.ZEPPELIN

    @property
    def is_scratch(self) -> bool:
        """Whether its volumes hold only what a job makes again: shuffles, spills, copies of state."""
        return self in (Role.FLINK_TASKMANAGER, Role.SPARK)


_QUORUM = frozenset({Role.KAFKA_CONTROLLER, Role.ZOOKEEPER, Role.JOURNALNODE, Role.ETCD})
_REPLICATED = _QUORUM | {Role.KAFKA_BROKER, Role.NAMENODE, Role.DATANODE, Role.CASSANDRA}

_APPLICATION_LABELS = ("app.kubernetes.io/name", "app")
_COMPONENT_LABELS = ("app.kubernetes.io/component", "component")

_KAFKA = {
    "": Role.KAFKA_BROKER,
    "kafka": Role.KAFKA_BROKER,
    "broker": Role.KAFKA_BROKER,
    "kafka-broker": Role.KAFKA_BROKER,
    "controller": Role.KAFKA_CONTROLLER,
    "controller-eligible": Role.KAFKA_CONTROLLER,
}
_ZOOKEEPER = {"": Role.ZOOKEEPER, "zookeeper": Role.ZOOKEEPER, "server": Role.ZOOKEEPER}
_HDFS = {
    "namenode": Role.NAMENODE,
    "hdfs-nn": Role.NAMENODE,
    "journalnode": Role.JOURNALNODE,
    "hdfs-jn": Role.JOURNALNODE,
    "datanode": Role.DATANODE,
    "hdfs-dn": Role.DATANODE,
}
_FLINK = {"jobmanager": Role.FLINK_JOBMANAGER, "taskmanager": Role.FLINK_TASKMANAGER}
_ZEPPELIN = {"": Role.ZEPPELIN, "zeppelin": Role.ZEPPELIN, "server": Role.ZEPPELIN}

_BY_APPLICATION: Mapping[str, Mapping[str, Role]] = {
    "kafka": _KAFKA,
    "cp-kafka": _KAFKA,
    "zookeeper": _ZOOKEEPER,
    "cp-zookeeper": _ZOOKEEPER,
    "hdfs": _HDFS,
    "hadoop": _HDFS,
    "hdfs-namenode": {"": Role.NAMENODE},
    "hdfs-journalnode": {"": Role.JOURNALNODE},
    "hdfs-datanode": {"": Role.DATANODE},
    "cassandra": {"": Role.CASSANDRA, "cassandra": Role.CASSANDRA},
    "etcd": {"": Role.ETCD, "etcd": Role.ETCD},
    "zeppelin": _ZEPPELIN,
    "zeppelin-server": _ZEPPELIN,
    "flink": _FLINK,
    "spark": dict.fromkeys(("master", "worker", "driver", "executor"), Role.SPARK),
}
"""By the value of an application label, then by that of a component label; "" stands for none."""

_CONFLUENT = {
    "kafka": Role.KAFKA_BROKER,
    "kraftcontroller": Role.KAFKA_CONTROLLER,
    "zookeeper": Role.ZOOKEEPER,
}
_BY_IMAGE = {
    "kafka": Role.KAFKA_BROKER,
    "cp-kafka": Role.KAFKA_BROKER,
    "cp-server": Role.KAFKA_BROKER,
    "zookeeper": Role.ZOOKEEPER,
    "cp-zookeeper": Role.ZOOKEEPER,
    "hadoop-namenode": Role.NAMENODE,
    "hadoop-datanode": Role.DATANODE,
    "cassandra": Role.CASSANDRA,
    "etcd": Role.ETCD,
    "zeppelin": Role.ZEPPELIN,
    "zeppelin-server": Role.ZEPPELIN,
}
"""By the last part of a repository's name."""

_STRIMZI = "strimzi.io/"
_HADOOP_IMAGES = ("hadoop", "hdfs")


def role_of(workload: StatefulSet | Deployment | Pod) -> Role | None:
    """The role of a workload's pods; None where nothing tells it."""
    if isinstance(workload, Pod):
        return _role(workload.labels, workload.spec)
    template = workload.spec.template
    return _role({**workload.labels, **template_labels(template)}, template.spec)


def template_labels(template: PodTemplate) -> dict[str, str]:
    """The labels of the pods that a template makes."""
    return (template.metadata.labels if template.metadata is not None else None) or {}


def _role(labels: _Labels, spec: PodSpec) -> Role | None:
    if any(key.startswith(_STRIMZI) for key in labels):
        return _of_strimzi(labels)  # Connect, MirrorMaker and Cruise Control run from the brokers' image
    if (kind := labels.get("platform.confluent.io/type")) is not None:
        return _CONFLUENT.get(kind)
    if "spark-role" in labels:
        return Role.SPARK
    if labels.get("type") == "flink-native-kubernetes":
        return _FLINK.get(labels.get("component", ""))
    if "cassandra.datastax.com/datacenter" in labels:
        return Role.CASSANDRA
    component = next((labels[key] for key in _COMPONENT_LABELS if key in labels), "")
    for key in _APPLICATION_LABELS:
        components = _BY_APPLICATION.get(labels.get(key, ""))
        if components is not None:
            # A component that is not known, such as an exporter, is no member of the system.
            return components.get(component) or (_of_containers(spec) if components is _HDFS else None)
    return _of_containers(spec)


def _of_strimzi(labels: _Labels) -> Role | None:
    if labels.get("strimzi.io/controller-role") == "true":
        return Role.KAFKA_CONTROLLER
    if labels.get("strimzi.io/broker-role") == "true":
        return Role.KAFKA_BROKER
    kind = labels.get("strimzi.io/component-type") or labels.get("strimzi.io/name", "").rpartition("-")[2]
    return {"kafka": Role.KAFKA_BROKER, "zookeeper": Role.ZOOKEEPER}.get(kind)


def _of_containers(spec: PodSpec) -> Role | None:
    for container in spec.containers:
        image = image_name(container.image or "")
        if image in _HADOOP_IMAGES and container.name in _HDFS:
            return _HDFS[container.name]
        if image in _BY_IMAGE:
            return _BY_IMAGE[image]
    return None


def image_name(image: str) -> str:
    """``kafka`` of ``registry.example.com:5000/bitnami/kafka:4.0@sha256:…``."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]
