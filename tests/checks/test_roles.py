"""Roles: what labels and images tell of a workload, and what they do not."""

from importlib import import_module
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Deployment, Pod, StatefulSet

roles = import_module("auditor.checks._roles")
Role, role_of, image_name = roles.Role, roles.role_of, roles.image_name

NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
STRIMZI = {"strimzi.io/cluster": "events", "strimzi.io/kind": "Kafka"}
STRIMZI_IMAGE = "quay.io/strimzi/kafka:0.50.0-kafka-4.1.1"


def pod(labels: dict[str, str], image: str = "registry.example.com/app:1", container: str = "main") -> Pod:
    spec = {"containers": [{"name": container, "image": image}]}
    return msgspec.convert({"metadata": {"name": "a-0", "namespace": "data", "labels": labels}, "spec": spec}, Pod)


@pytest.mark.parametrize(
    ("labels", "role"),
    [
        pytest.param({NAME: "kafka", COMPONENT: "broker"}, Role.KAFKA_BROKER, id="Bitnami and Stackable broker"),
        pytest.param({NAME: "kafka", COMPONENT: "controller-eligible"}, Role.KAFKA_CONTROLLER, id="Bitnami controller"),
        pytest.param({NAME: "kafka", COMPONENT: "cluster-metrics"}, None, id="Kafka exporter"),
        pytest.param({"app": "cp-kafka", "release": "a"}, Role.KAFKA_BROKER, id="Confluent chart"),
        pytest.param({"platform.confluent.io/type": "kraftcontroller"}, Role.KAFKA_CONTROLLER, id="Confluent operator"),
        pytest.param({"platform.confluent.io/type": "connect", "app": "kafka"}, None, id="Confluent Connect"),
        pytest.param(
            {**STRIMZI, "strimzi.io/broker-role": "true", "strimzi.io/controller-role": "false"},
            Role.KAFKA_BROKER,
            id="Strimzi broker",
        ),
        pytest.param(
            {**STRIMZI, "strimzi.io/broker-role": "true", "strimzi.io/controller-role": "true"},
            Role.KAFKA_CONTROLLER,
            id="Strimzi dual role",
        ),
        pytest.param({**STRIMZI, "strimzi.io/component-type": "zookeeper"}, Role.ZOOKEEPER, id="Strimzi ZooKeeper"),
        pytest.param({**STRIMZI, "strimzi.io/name": "my-cluster-kafka"}, Role.KAFKA_BROKER, id="old Strimzi"),
        pytest.param({**STRIMZI, "strimzi.io/component-type": "cruise-control"}, None, id="Cruise Control"),
        pytest.param({NAME: "zookeeper", COMPONENT: "server"}, Role.ZOOKEEPER, id="Stackable ZooKeeper"),
        pytest.param({NAME: "hdfs", COMPONENT: "datanode"}, Role.DATANODE, id="Stackable DataNode"),
        pytest.param({"app": "hadoop", "component": "hdfs-nn"}, Role.NAMENODE, id="Helm's Hadoop NameNode"),
        pytest.param({"app": "hadoop", "component": "yarn-nm"}, None, id="YARN NodeManager"),
        pytest.param({"app": "hdfs-journalnode", "release": "a"}, Role.JOURNALNODE, id="kubernetes-HDFS"),
        pytest.param(
            {"app": "kafka", "type": "flink-native-kubernetes", "component": "taskmanager"},
            Role.FLINK_TASKMANAGER,
            id="a Flink job that is called kafka",
        ),
        pytest.param({"spark-role": "executor", "app": "zeppelin"}, Role.SPARK, id="Spark executor"),
        pytest.param({NAME: "zeppelin-server"}, Role.ZEPPELIN, id="Zeppelin"),
        pytest.param({"cassandra.datastax.com/datacenter": "dc1"}, Role.CASSANDRA, id="cass-operator"),
        pytest.param({NAME: "etcd", COMPONENT: "etcd"}, Role.ETCD, id="etcd"),
        pytest.param({NAME: "postgresql"}, None, id="PostgreSQL"),
        pytest.param({}, None, id="no labels"),
    ],
)
def test_labels_tell(labels: dict[str, str], role: str | None) -> None:
    assert role_of(pod(labels)) is role


@pytest.mark.parametrize(
    ("labels", "image", "container", "role"),
    [
        pytest.param({"app": "a"}, "apache/kafka:4.1.0", "main", Role.KAFKA_BROKER, id="Kafka"),
        pytest.param({"app": "a"}, "pravega/zookeeper:0.2.15", "main", Role.ZOOKEEPER, id="pravega's ZooKeeper"),
        pytest.param({"app": "a"}, "apache/hadoop:3.4", "journalnode", Role.JOURNALNODE, id="by container"),
        pytest.param(
            {"app": "hdfs"}, "example.com/hadoop@sha256:0a", "datanode", Role.DATANODE, id="label and container"
        ),
        pytest.param({"app": "a"}, "apache/hadoop:3.4", "resourcemanager", None, id="YARN"),
        pytest.param(STRIMZI, STRIMZI_IMAGE, "connect", None, id="Strimzi's Connect runs from the brokers' image"),
        pytest.param({NAME: "kafka", COMPONENT: "metrics"}, "bitnami/kafka:4", "main", None, id="label before image"),
    ],
)
def test_images_tell_where_labels_do_not(labels: dict[str, str], image: str, container: str, role: str | None) -> None:
    assert role_of(pod(labels, image, container)) is role


def test_the_template_of_a_controller_wins_over_its_own_labels() -> None:
    manifest = {
        "metadata": {"name": "a", "namespace": "data", "labels": {NAME: "platform", COMPONENT: "broker"}},
        "spec": {"template": {"metadata": {"labels": {NAME: "kafka"}}, "spec": {"containers": []}}},
    }

    assert role_of(msgspec.convert(manifest, StatefulSet)) is Role.KAFKA_BROKER
    assert role_of(msgspec.convert(manifest, Deployment)) is Role.KAFKA_BROKER


def test_a_template_without_labels_has_no_role() -> None:
    assert role_of(msgspec.convert({"metadata": {"name": "a"}}, StatefulSet)) is None


@pytest.mark.parametrize("role", Role)
def test_what_elects_a_leader_is_replicated_and_keeps_data(role: Any) -> None:
    assert role.is_replicated or not role.is_quorum
    assert role.keeps_data or not role.is_replicated
    assert not (role.keeps_data and role.is_scratch)


WORDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)


@given(registry=st.sampled_from(["", "docker.io/", "localhost:5000/a/b/"]), name=WORDS, tag=WORDS, digest=WORDS)
def test_image_names_are_found_in_every_form(registry: str, name: str, tag: str, digest: str) -> None:
    for suffix in ("", f":{tag}", f"@sha256:{digest}", f":{tag}@sha256:{digest}"):
        assert image_name(f"{registry}{name}{suffix}") == name
