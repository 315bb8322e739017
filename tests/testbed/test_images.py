"""The images run as their users run them: the agent locked down, Kafka and Spark as the public images are run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import images
from tests.testbed.client import Cluster, wait_for
from tests.testbed.layout import NODES

AGENT = """
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: ${NAMESPACE}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: agent
    image: ${IMAGE}
    imagePullPolicy: Never
    command: [/bin/sh, -ec]
    args: ["id -u; auditor --version; fio --version; iperf3 --version; dig -v 2>&1; ! touch /var/tmp/x 2>/dev/null"]
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
    volumeMounts: [{name: tmp, mountPath: /tmp}]
  volumes: [{name: tmp, emptyDir: {}}]
"""

BROKER = """
apiVersion: v1
kind: Service
metadata: {name: kafka, namespace: ${NAMESPACE}}
spec: {selector: {app: kafka}, clusterIP: None, publishNotReadyAddresses: true, ports: [{port: 9092}]}
---
apiVersion: v1
kind: Pod
metadata: {name: kafka, namespace: ${NAMESPACE}, labels: {app: kafka}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000}
  containers:
  - name: kafka
    image: ${IMAGE}
    imagePullPolicy: Never
    ports: [{containerPort: 9092}]
    readinessProbe: {tcpSocket: {port: 9092}, periodSeconds: 2, failureThreshold: 60}
    env:
    - {name: CLUSTER_ID, value: ${CLUSTER_ID}}
    - {name: KAFKA_NODE_ID, value: "1"}
    - {name: KAFKA_PROCESS_ROLES, value: "broker,controller"}
    - {name: KAFKA_CONTROLLER_QUORUM_VOTERS, value: "1@localhost:9093"}
    - {name: KAFKA_CONTROLLER_LISTENER_NAMES, value: CONTROLLER}
    - {name: KAFKA_LISTENERS, value: "PLAINTEXT://:9092,CONTROLLER://:9093"}
    - {name: KAFKA_ADVERTISED_LISTENERS, value: "PLAINTEXT://kafka.${NAMESPACE}.svc:9092"}
    - {name: KAFKA_LISTENER_SECURITY_PROTOCOL_MAP, value: "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"}
    - {name: KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR, value: "1"}
    - {name: KAFKA_NUM_PARTITIONS, value: "3"}
    - {name: KAFKA_LOG_DIRS, value: /var/lib/kafka/data}
    - {name: KAFKA_HEAP_OPTS, value: -Xmx384m}
    volumeMounts: [{name: data, mountPath: /var/lib/kafka/data}]
  volumes: [{name: data, emptyDir: {}}]
"""

TOOLS = """
apiVersion: v1
kind: Pod
metadata: {name: tools, namespace: ${NAMESPACE}}
spec:
  restartPolicy: Never
  containers:
  - name: tools
    image: ${IMAGE}
    imagePullPolicy: Never
    command: [/bin/bash, -ec]
    args:
    - |
      cd /opt/kafka/bin
      kafka=kafka.${NAMESPACE}.svc:9092
      ./kafka-topics.sh --bootstrap-server $kafka --create --topic words
      ./kafka-topics.sh --bootstrap-server $kafka --describe --topic words
      seq --format=word-%g 100 | ./kafka-console-producer.sh --bootstrap-server $kafka --topic words
      ./kafka-producer-perf-test.sh --topic words --num-records 1000 --record-size 100 --throughput -1 \\
        --producer-props bootstrap.servers=$kafka acks=all
      ./kafka-console-consumer.sh --bootstrap-server $kafka --topic words --from-beginning --max-messages 1100 \\
        --timeout-ms 30000 > /tmp/read
      echo "read $(grep --count ^word- /tmp/read) words of $(wc -l < /tmp/read) records"
      ./kafka-metadata-quorum.sh --bootstrap-server $kafka describe --status
"""

SPARK = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: spark, namespace: ${NAMESPACE}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: spark, namespace: ${NAMESPACE}}
rules:
- apiGroups: [""]
  resources: [pods, services, configmaps, persistentvolumeclaims]
  verbs: [create, get, list, watch, update, patch, delete, deletecollection]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: spark, namespace: ${NAMESPACE}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: spark}
subjects: [{kind: ServiceAccount, name: spark}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: submit, namespace: ${NAMESPACE}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      serviceAccountName: spark
      securityContext: {runAsNonRoot: true, runAsUser: 185}
      containers:
      - name: submit
        image: ${IMAGE}
        imagePullPolicy: Never
        args:
        - /opt/spark/bin/spark-submit
        - --master=k8s://https://kubernetes.default.svc
        - --deploy-mode=cluster
        - --name=pi
        - --conf=spark.kubernetes.namespace=${NAMESPACE}
        - --conf=spark.kubernetes.container.image=${IMAGE}
        - --conf=spark.kubernetes.container.image.pullPolicy=Never
        - --conf=spark.kubernetes.authenticate.driver.serviceAccountName=spark
        - --conf=spark.kubernetes.driver.pod.name=pi-driver
        - --conf=spark.kubernetes.executor.deleteOnTermination=false
        - --conf=spark.executor.instances=1
        - --conf=spark.executor.memory=512m
        - --conf=spark.driver.memory=512m
        - --conf=spark.kubernetes.driver.request.cores=200m
        - --conf=spark.kubernetes.executor.request.cores=200m
        - local:///opt/spark/examples/src/main/python/pi.py
        - "4"
"""


@pytest.fixture
def run_pod(test_bed: Cluster, fresh_namespace: str) -> Callable[[str, str, str], str]:
    """Apply manifests and wait for a pod of theirs to end well; returns what it printed."""

    def run_pod(manifests: str, image: str, name: str) -> str:
        test_bed.apply(manifests, NAMESPACE=fresh_namespace, IMAGE=image)
        ended = {"Succeeded", "Failed"}
        wait_for(f"pod {name} to end", lambda: _phase(test_bed, fresh_namespace, name) in ended, timeout_seconds=240)
        log = _log(test_bed, fresh_namespace, name)
        assert _phase(test_bed, fresh_namespace, name) == "Succeeded", log
        return log

    return run_pod


def test_agent_has_its_tools_and_runs_locked_down(run_pod: Callable[[str, str, str], str]) -> None:
    image = images.provide(NODES, images.agent())

    log = run_pod(AGENT, image, "agent")

    uid, version, *tools = log.splitlines()
    assert uid == "65532"
    assert version.startswith("auditor")
    assert image.rpartition(":")[2] in version
    for tool in ("fio-3.", "iperf 3.", "DiG 9."):
        assert any(line.startswith(tool) for line in tools), tool


def test_kafka_follows_the_contract_of_the_public_image(
    test_bed: Cluster, fresh_namespace: str, run_pod: Callable[[str, str, str], str]
) -> None:
    image = images.provide(NODES, images.kafka())
    cluster_id = "MkU3OEVBNTcwNTJENDM2Qk"
    test_bed.apply(BROKER, NAMESPACE=fresh_namespace, IMAGE=image, CLUSTER_ID=cluster_id)
    wait_for("the broker", lambda: _ready(test_bed, fresh_namespace, "kafka"), timeout_seconds=120)

    log = run_pod(TOOLS, image, "tools")

    assert "PartitionCount: 3" in log
    assert "1000 records sent" in log
    assert "read 100 words of 1100 records" in log
    assert cluster_id in log


def test_spark_runs_in_cluster_mode(test_bed: Cluster, fresh_namespace: str) -> None:
    image = images.provide(NODES, images.spark())
    test_bed.apply(SPARK, NAMESPACE=fresh_namespace, IMAGE=image)
    jobs = test_bed.resource("Job", "batch/v1")

    def ended() -> Any:
        status = jobs.get(name="submit", namespace=fresh_namespace).status
        return status.succeeded or status.failed

    wait_for("the submission to end", ended, timeout_seconds=240)

    driver_log = _log(test_bed, fresh_namespace, "pi-driver")
    assert "Pi is roughly 3.1" in driver_log
    executors = test_bed.core.list_namespaced_pod(fresh_namespace, label_selector="spark-role=executor").items
    assert [pod.spec.containers[0].image for pod in executors] == [image]
    assert "Finished task" in driver_log


@pytest.mark.usefixtures("test_bed")
def test_builds_of_one_image_at_once_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CACHE", tmp_path)
    said: list[str] = []
    monkeypatch.setattr(images, "_say", said.append)
    shell = images.system_images()[0]

    threads = [threading.Thread(target=images.build, args=(shell,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(line.startswith("building") for line in said) == 1
    assert [path.name for path in (tmp_path / "images").glob("*.tar")] == [shell.archive.name]
    assert not list((tmp_path / "images").glob("*.scratch"))


def _phase(cluster: Cluster, namespace: str, name: str) -> str:
    phase: str = cluster.core.read_namespaced_pod(name, namespace).status.phase
    return phase


def _ready(cluster: Cluster, namespace: str, name: str) -> bool:
    conditions = cluster.core.read_namespaced_pod(name, namespace).status.conditions or ()
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def _log(cluster: Cluster, namespace: str, name: str) -> str:
    log: str = cluster.core.read_namespaced_pod_log(name, namespace)
    return log
