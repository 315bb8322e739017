"""Strimzi's resources: what v1 and v1beta2 say, old clusters and new."""

import msgspec
import pytest
import yaml

from auditor.facts.kube.strimzi import Kafka, KafkaNodePool, KafkaStorage

ZOOKEEPER = """
apiVersion: kafka.strimzi.io/v1beta2
kind: Kafka
metadata: {name: old, namespace: kafka}
spec:
  kafka:
    version: 3.6.0
    replicas: 3
    resources: {requests: {memory: 8Gi, cpu: 2}, limits: {memory: 8589934592}}
    jvmOptions: {"-Xms": 4g, "-Xmx": 4g, gcLoggingEnabled: true}
    listeners:
    - {name: plain, port: 9092, type: internal, tls: false}
    - name: external
      port: 9094
      type: loadbalancer
      tls: true
      authentication: {type: scram-sha-512}
      configuration: {loadBalancerSourceRanges: [10.0.0.0/8]}
      networkPolicyPeers: [{podSelector: {matchLabels: {app: one}}}]
    config: {default.replication.factor: 3, min.insync.replicas: "2", auto.create.topics.enable: false}
    rack: {topologyKey: topology.kubernetes.io/zone}
    storage: {type: persistent-claim, size: 100Gi, class: fast, deleteClaim: true}
  zookeeper: {replicas: 3, storage: {type: ephemeral}}
  entityOperator: {topicOperator: {}, userOperator: {}}
"""


def kafka(text: str) -> Kafka:
    return msgspec.json.decode(msgspec.json.encode(yaml.safe_load(text)), type=Kafka)


def test_an_old_cluster() -> None:
    found = kafka(ZOOKEEPER)

    assert found.uses_zookeeper
    brokers = found.spec.kafka
    assert brokers.replicas == 3
    assert brokers.resources is not None
    assert brokers.resources.requests == {"memory": "8Gi", "cpu": 2}
    assert brokers.jvm_options is not None
    assert brokers.jvm_options.xmx == "4g"
    assert brokers.config == {
        "default.replication.factor": 3,
        "min.insync.replicas": "2",
        "auto.create.topics.enable": False,
    }
    plain, external = brokers.listeners or ()
    assert (plain.tls, plain.authentication, plain.network_policy_peers) == (False, None, None)
    assert external.authentication is not None
    assert external.authentication.type == "scram-sha-512"
    assert external.network_policy_peers
    assert brokers.rack is not None
    assert brokers.rack.is_from_label


@pytest.mark.parametrize(
    ("annotations", "uses_zookeeper"),
    [({}, True), ({"strimzi.io/kraft": "disabled"}, True), ({"strimzi.io/kraft": "enabled"}, False)],
)
def test_kraft_is_told_by_the_annotation_beside_zookeeper(annotations: dict[str, str], *, uses_zookeeper: bool) -> None:
    given = yaml.safe_load(ZOOKEEPER)
    given["metadata"]["annotations"] = annotations

    assert msgspec.convert(given, Kafka).uses_zookeeper is uses_zookeeper


def test_a_cluster_without_zookeeper_is_kraft() -> None:
    assert not msgspec.convert({"metadata": {"name": "new"}, "spec": {"kafka": {}}}, Kafka).uses_zookeeper


def test_the_disk_of_a_single_claim_is_the_storage_itself() -> None:
    storage = {"type": "persistent-claim", "class": "fast", "size": "1Ti", "deleteClaim": True, "selector": {"a": "b"}}

    [disk] = msgspec.convert(storage, KafkaStorage).disks

    assert (disk.type, disk.storage_class, disk.delete_claim) == ("persistent-claim", "fast", True)
    assert disk.selector == {"a": "b"}


def test_the_disks_of_jbod_are_its_volumes() -> None:
    volumes = [{"id": 0, "type": "persistent-claim", "class": "fast"}, {"id": 1, "type": "ephemeral"}]

    disks = msgspec.convert({"type": "jbod", "volumes": volumes}, KafkaStorage).disks

    assert [(disk.type, disk.storage_class) for disk in disks] == [("persistent-claim", "fast"), ("ephemeral", None)]


def test_a_node_pool() -> None:
    text = """
    apiVersion: kafka.strimzi.io/v1
    kind: KafkaNodePool
    metadata: {name: brokers, namespace: kafka, labels: {strimzi.io/cluster: new}}
    spec:
      replicas: 3
      roles: [broker]
      storage: {type: jbod, volumes: [{id: 0, type: persistent-claim, size: 1Ti, kraftMetadata: shared}]}
      template:
        kafkaContainer: {env: [{name: RACK, value: a}, {name: SECRET, valueFrom: {secretKeyRef: {name: s, key: k}}}]}
        pod:
          affinity:
            nodeAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]
          topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
    status: {nodeIds: [0, 1, 2], roles: [broker]}
    """

    pool = msgspec.json.decode(msgspec.json.encode(yaml.safe_load(text)), type=KafkaNodePool)

    template = pool.spec.template
    assert template is not None
    assert template.kafka_container is not None
    assert [each.value for each in template.kafka_container.env or ()] == ["a", None]
    assert template.pod is not None
    assert [each.topology_key for each in template.pod.topology_spread_constraints or ()] == ["zone"]
