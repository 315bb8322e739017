"""kafka.strimzi.io and core.strimzi.io: Kafka clusters, their node pools and pod sets, as Strimzi takes them.

v1beta2 and v1 differ little in what is read here: v1 has no ZooKeeper and leaves replicas, storage and resources to the
node pools.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from auditor.facts.kube.custom import CustomRequirements
from auditor.facts.kube.meta import KubeObject, NodeSelector, View
from auditor.facts.kube.pods import EnvVar, PodAntiAffinity, TopologySpreadConstraint
from auditor.facts.parts import Api

CLUSTER_LABEL = "strimzi.io/cluster"
"""Names the Kafka that an object belongs to."""

KRAFT_ANNOTATION = "strimzi.io/kraft"
"""Says ``enabled`` where the operator is older than 0.46; newer ones know nothing else."""


def _api(kind: str, plural: str, *, group: str = "kafka.strimzi.io") -> Api:
    return Api(group=group, versions=("v1", "v1beta2"), plural=plural, kind=kind, namespaced=True)


class JvmOptions(View, frozen=True, kw_only=True):
    """How the JVM is started."""

    xmx: str | None = msgspec.field(name="-Xmx", default=None)
    """The largest heap: digits and k, m or g."""


class KafkaVolume(View, frozen=True, kw_only=True):
    """One disk of each broker."""

    type: str
    """``persistent-claim`` or ``ephemeral``."""
    storage_class: str | None = msgspec.field(name="class", default=None)
    """None: the default class."""
    delete_claim: bool = False
    selector: dict[str, str] | None = None


class KafkaStorage(View, frozen=True, kw_only=True):
    """The disks of each broker: one, or with the type ``jbod`` those of ``volumes``."""

    type: str
    volumes: tuple[KafkaVolume, ...] | None = None
    storage_class: str | None = msgspec.field(name="class", default=None)
    delete_claim: bool = False
    selector: dict[str, str] | None = None

    @property
    def disks(self) -> tuple[KafkaVolume, ...]:
        """The disks, in the order in which they are written."""
        if self.type == "jbod":
            return self.volumes or ()
        return (
            KafkaVolume(
                type=self.type,
                storage_class=self.storage_class,
                delete_claim=self.delete_claim,
                selector=self.selector,
            ),
        )


class KafkaNodeAffinity(View, frozen=True, kw_only=True):
    """The nodes on which pods may run."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None


class KafkaAffinity(View, frozen=True, kw_only=True):
    """Where pods want to be."""

    node_affinity: KafkaNodeAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class KafkaPodTemplate(View, frozen=True, kw_only=True):
    """What a site adds to the pods."""

    affinity: KafkaAffinity | None = None
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] | None = None


class KafkaContainerTemplate(View, frozen=True, kw_only=True):
    """What a site adds to the brokers' container."""

    env: tuple[EnvVar, ...] | None = None


class KafkaTemplate(View, frozen=True, kw_only=True):
    """What a site adds to the objects that the operator makes."""

    pod: KafkaPodTemplate | None = None
    kafka_container: KafkaContainerTemplate | None = None


class ListenerAuthentication(View, frozen=True, kw_only=True):
    """How clients say who they are."""

    type: str


class KafkaListener(View, frozen=True, kw_only=True):
    """Where clients connect."""

    name: str
    port: int
    type: str
    """``internal``, ``cluster-ip``, ``route``, ``loadbalancer``, ``nodeport`` or ``ingress``."""
    tls: bool = False
    authentication: ListenerAuthentication | None = None
    network_policy_peers: tuple[dict[str, Any], ...] | None = None


class KafkaRack(View, frozen=True, kw_only=True):
    """Where a broker learns its rack from."""

    type: str | None = None
    """``topology-label``, which None means too, or ``environment-variable``."""
    topology_key: str | None = None
    env_var_name: str | None = None

    @property
    def is_from_label(self) -> bool:
        """Whether a label of the node names the rack."""
        return self.type in (None, "topology-label")


class KafkaBrokers(View, frozen=True, kw_only=True):
    """``spec.kafka``: what all brokers share."""

    replicas: int | None = None
    """Only where there are no node pools; so are ``storage`` and ``resources``, which pools otherwise override."""
    storage: KafkaStorage | None = None
    resources: CustomRequirements | None = None
    jvm_options: JvmOptions | None = None
    config: dict[str, Any] | None = None
    listeners: tuple[KafkaListener, ...] | None = None
    rack: KafkaRack | None = None
    template: KafkaTemplate | None = None


class ZooKeeper(View, frozen=True, kw_only=True):
    """``spec.zookeeper`` of an old cluster."""

    replicas: int = 0
    storage: KafkaStorage | None = None


class KafkaSpec(View, frozen=True, kw_only=True):
    """What is asked of a Kafka cluster."""

    kafka: KafkaBrokers = KafkaBrokers()
    zookeeper: ZooKeeper | None = None


class Kafka(KubeObject, frozen=True, kw_only=True):
    """A Kafka cluster."""

    api: ClassVar[Api] = _api("Kafka", "kafkas")
    spec: KafkaSpec = KafkaSpec()

    @property
    def uses_zookeeper(self) -> bool:
        """Whether ZooKeeper, and not a quorum of controllers, keeps the metadata."""
        return self.spec.zookeeper is not None and self.annotations.get(KRAFT_ANNOTATION) != "enabled"


class KafkaNodePoolSpec(View, frozen=True, kw_only=True):
    """What is asked of a node pool; what it leaves out is as the Kafka says."""

    replicas: int = 0
    roles: tuple[str, ...] = ()
    """``controller``, ``broker`` or both."""
    storage: KafkaStorage
    resources: CustomRequirements | None = None
    jvm_options: JvmOptions | None = None
    template: KafkaTemplate | None = None


class KafkaNodePool(KubeObject, frozen=True, kw_only=True):
    """Like nodes of a Kafka cluster, which the label :data:`CLUSTER_LABEL` names."""

    api: ClassVar[Api] = _api("KafkaNodePool", "kafkanodepools")
    spec: KafkaNodePoolSpec


class StrimziPodSetStatus(View, frozen=True, kw_only=True):
    """How many pods there are."""

    pods: int = 0


class StrimziPodSet(KubeObject, frozen=True, kw_only=True):
    """Pods that Strimzi's operator keeps alive, as a StatefulSet would."""

    api: ClassVar[Api] = _api("StrimziPodSet", "strimzipodsets", group="core.strimzi.io")
    status: StrimziPodSetStatus = StrimziPodSetStatus()
