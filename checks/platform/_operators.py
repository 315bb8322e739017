"""The operators of data systems by the API groups that are theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from auditor import Facts
from auditor.facts.kube.apiextensions import CustomResourceDefinition

OPERATORS: Mapping[str, str] = {
    "cluster.redpanda.com": "Redpanda Operator",
    "flink.apache.org": "Apache Flink Kubernetes Operator",
    "flink.k8s.io": "Lyft Flink operator",
    "flinkoperator.k8s.io": "Spotify Flink operator",
    "hdfs.stackable.tech": "Stackable for HDFS",
    "jobset.x-k8s.io": "JobSet",
    "kafka.banzaicloud.io": "Koperator",
    "kafka.stackable.tech": "Stackable for Kafka",
    "kafka.strimzi.io": "Strimzi",
    "kubedirector.hpe.com": "KubeDirector",
    "kubeflow.org": "Kubeflow Training Operator",
    "kueue.x-k8s.io": "Kueue",
    "platform.confluent.io": "Confluent for Kubernetes",
    "scheduling.volcano.sh": "Volcano",
    "spark.apache.org": "Apache Spark Kubernetes Operator",
    "spark.stackable.tech": "Stackable for Spark",
    "sparkoperator.k8s.io": "Kubeflow Spark Operator",
    "trainer.kubeflow.org": "Kubeflow Trainer",
    "zookeeper.pravega.io": "Pravega ZooKeeper Operator",
    "zookeeper.stackable.tech": "Stackable for ZooKeeper",
}
"""API group of its custom resources, and what people call the operator."""


def named(group: str) -> str:
    """The operator with its group: ``Strimzi (kafka.strimzi.io)``."""
    return f"{OPERATORS[group]} ({group})"


def kinds_by_group(facts: Facts) -> dict[str, dict[str, CustomResourceDefinition]]:
    """The custom resources of known operators that are installed, by API group and kind."""
    found: defaultdict[str, dict[str, CustomResourceDefinition]] = defaultdict(dict)
    for definition in facts.list(CustomResourceDefinition):
        if definition.spec.group in OPERATORS:
            found[definition.spec.group][definition.spec.names.kind] = definition
    return dict(sorted(found.items()))
