"""How kubelets are configured, from what one kubelet says of itself or from what kubeadm gives to all.

Two sources are known. ``raw/kubelet-configz.json`` is the configuration in force on one node, the first of the list; it
is collected on request only (``auditor collect --kubelet-config``). The ConfigMap kube-system/kubelet-config is what
kubeadm hands to the nodes that join; drop-ins, patches and flags of a node may differ from it. Managed services have
neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
import yaml

from auditor.facts.durations import parse_duration
from auditor.facts.kube.core import ConfigMap
from auditor.facts.parts import Part, PartState, PartStatus, UnreadableError, named, raw
from auditor.facts.store import Facts
from auditor.facts.version import KubeVersion

V = TypeVar("V")

CONFIGZ_FILE = "kubelet-configz.json"
"""The file below raw/ with one node's configuration."""

KUBEADM_CONFIG_MAP = "kubelet-config"
KUBEADM_NAMESPACE = "kube-system"

_CONFIGZ = raw(CONFIGZ_FILE)
_KUBEADM = named(ConfigMap, KUBEADM_CONFIG_MAP, namespace=KUBEADM_NAMESPACE)

KUBELET_PARTS: tuple[Part, ...] = (_CONFIGZ, _KUBEADM)
"""What a check that calls :func:`kubelet_configuration` declares to read."""

REFUSES_CGROUP_V1_SINCE = (1, 35)
"""Since this release ``failCgroupV1`` is true where it is left out (KEP-5573); the field came with 1.31."""

_EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
}
"""The documented thresholds where ``evictionHard`` is left out; one that is given replaces all of them."""


class KubeletSource(StrEnum):
    """Where a configuration comes from, as messages say it."""

    CONFIGZ = "the configuration in force on one node"
    KUBEADM = "kubeadm's ConfigMap kube-system/kubelet-config"


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what a configuration states; None is "not stated"."""


class PriorityGracePeriod(_Struct, frozen=True, kw_only=True):
    """How long pods of a priority, up to the next one in the list, may take when the node shuts down."""

    priority: int = 0
    shutdown_grace_period_seconds: int = 0


class _MemorySwap(_Struct, frozen=True, kw_only=True):
    swap_behavior: str | None = None


class _Stated(_Struct, frozen=True, kw_only=True):
    cgroup_driver: str | None = None
    cluster_dns: tuple[str, ...] | None = msgspec.field(name="clusterDNS", default=None)
    cluster_domain: str | None = None
    container_log_max_size: str | None = None
    eviction_hard: dict[str, str] | None = None
    fail_cgroup_v1: bool | None = msgspec.field(name="failCgroupV1", default=None)
    fail_swap_on: bool | None = None
    image_gc_high_threshold_percent: int | None = msgspec.field(name="imageGCHighThresholdPercent", default=None)
    kube_reserved: dict[str, str] | None = None
    max_parallel_image_pulls: int | None = None
    max_pods: int | None = None
    memory_swap: _MemorySwap | None = None
    node_status_update_frequency: str | None = None
    resolv_conf: str | None = None
    serialize_image_pulls: bool | None = None
    shutdown_grace_period: str | None = None
    shutdown_grace_period_by_pod_priority: tuple[PriorityGracePeriod, ...] | None = None
    shutdown_grace_period_critical_pods: str | None = None
    system_reserved: dict[str, str] | None = None


class _Configz(msgspec.Struct, frozen=True):
    kubeletconfig: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletConfiguration:
    """What is in force: a field that the source does not state has its documented default.

    Attributes:
        source: where it comes from.
        stated: the fields that the source states, by their names in KubeletConfiguration.
        shutdown_grace_period: for all pods together when the node shuts down; 0 means that the kubelet does nothing.
        shutdown_grace_period_critical_pods: the share of it that is kept for critical pods.
        shutdown_grace_period_by_pod_priority: the same per priority; replaces the two where it is set.
        fail_cgroup_v1: whether the kubelet refuses cgroup v1; None leaves it to the kubelet's release.
        fail_swap_on: whether the kubelet refuses to start on a node with swap.
        swap_behavior: what pods may do with swap, ``NoSwap`` or ``LimitedSwap``.
        max_pods: pods per node.
        resolv_conf: the file that pods' DNS configuration is made from; empty means none.
        cluster_dns: addresses of the cluster's DNS.
        cluster_domain: its domain.
        cgroup_driver: ``systemd`` or ``cgroupfs``. Where the runtime tells the kubelet, that wins.
        eviction_hard: thresholds by signal, as quantities or percentages.
        image_gc_high_threshold_percent: disk usage at which images are removed.
        container_log_max_size: the size, as a quantity, at which a container's log is rotated.
        system_reserved: resources that are kept for the system, as quantities.
        kube_reserved: resources that are kept for the kubelet and the runtime, as quantities.
        node_status_update_frequency: how often the kubelet computes its node's status.
        serialize_image_pulls: whether images are pulled one at a time.
        max_parallel_image_pulls: how many at once otherwise; None means no limit.
    """

    source: KubeletSource
    stated: frozenset[str] = frozenset()
    shutdown_grace_period: timedelta = timedelta()
    shutdown_grace_period_critical_pods: timedelta = timedelta()
    shutdown_grace_period_by_pod_priority: tuple[PriorityGracePeriod, ...] = ()
    fail_cgroup_v1: bool | None = None
    fail_swap_on: bool = True
    swap_behavior: str = "NoSwap"
    max_pods: int = 110
    resolv_conf: str = "/etc/resolv.conf"
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = ""
    cgroup_driver: str = "cgroupfs"
    eviction_hard: Mapping[str, str]
    image_gc_high_threshold_percent: int = 85
    container_log_max_size: str = "10Mi"
    system_reserved: Mapping[str, str]
    kube_reserved: Mapping[str, str]
    node_status_update_frequency: timedelta = timedelta(seconds=10)
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: int | None = None

    def refuses_cgroup_v1(self, kubelet: KubeVersion) -> bool:
        """Whether a kubelet of that version and this configuration does not start on cgroup v1."""
        if self.fail_cgroup_v1 is None:
            return (kubelet.major, kubelet.minor) >= REFUSES_CGROUP_V1_SINCE
        return self.fail_cgroup_v1


def kubelet_configuration(facts: Facts) -> KubeletConfiguration | None:
    """The configuration, of a check that reads :data:`KUBELET_PARTS`; one node's own where it was collected.

    None is "not known": the cluster has no ConfigMap of kubeadm's, and no node was asked.

    Raises:
        UnreadableError: kubeadm's ConfigMap could not be read and no node was asked, or what was read is no
            configuration.
    """
    if facts.status(_CONFIGZ).state is PartState.OK:
        return parse_configz(facts.text(CONFIGZ_FILE))
    config_map = facts.get_named(ConfigMap, KUBEADM_CONFIG_MAP, namespace=KUBEADM_NAMESPACE)
    text = (config_map.data or {}).get("kubelet") if config_map is not None else None
    return parse_kubeadm(text) if text is not None else None


def parse_configz(text: str) -> KubeletConfiguration:
    """What a kubelet answers at /configz.

    Raises:
        UnreadableError: it is something else.
    """
    try:
        return _effective(msgspec.json.decode(text, type=_Configz).kubeletconfig, KubeletSource.CONFIGZ)
    except (ValueError, msgspec.DecodeError) as error:
        raise _no_configuration(_CONFIGZ, error) from error


def parse_kubeadm(text: str) -> KubeletConfiguration:
    """What kubeadm's ConfigMap holds under the key ``kubelet``.

    Raises:
        UnreadableError: it is something else.
    """
    try:
        return _effective(yaml.safe_load(text), KubeletSource.KUBEADM)
    except (ValueError, msgspec.ValidationError, yaml.YAMLError) as error:
        raise _no_configuration(_KUBEADM, error) from error


def _no_configuration(part: Part, error: Exception) -> UnreadableError:
    first_line = str(error).partition("\n")[0]
    return UnreadableError(part, PartStatus(state=PartState.FAILED, reason=f"no kubelet configuration: {first_line}"))


def _effective(written: Any, source: KubeletSource) -> KubeletConfiguration:
    """The configuration with the documented default for what is not stated, or stated with its type's zero.

    The kubelet takes the zero of a number, text or duration for "not stated"; that of an optional field it takes as is.

    Raises:
        ValueError: a duration is none.
        msgspec.ValidationError: a field has another type.
    """
    said = msgspec.convert(written, type=_Stated)
    return KubeletConfiguration(
        source=source,
        stated=frozenset(key for key, value in written.items() if value is not None),
        shutdown_grace_period=_duration(said.shutdown_grace_period),
        shutdown_grace_period_critical_pods=_duration(said.shutdown_grace_period_critical_pods),
        shutdown_grace_period_by_pod_priority=said.shutdown_grace_period_by_pod_priority or (),
        fail_cgroup_v1=said.fail_cgroup_v1,
        fail_swap_on=_stated_or(said.fail_swap_on, default=True),
        swap_behavior=(said.memory_swap and said.memory_swap.swap_behavior) or "NoSwap",
        max_pods=said.max_pods or 110,
        resolv_conf=_stated_or(said.resolv_conf, default="/etc/resolv.conf"),
        cluster_dns=said.cluster_dns or (),
        cluster_domain=said.cluster_domain or "",
        cgroup_driver=said.cgroup_driver or "cgroupfs",
        eviction_hard=said.eviction_hard or _EVICTION_HARD,
        image_gc_high_threshold_percent=_stated_or(said.image_gc_high_threshold_percent, default=85),
        container_log_max_size=said.container_log_max_size or "10Mi",
        system_reserved=said.system_reserved or {},
        kube_reserved=said.kube_reserved or {},
        node_status_update_frequency=_duration(said.node_status_update_frequency) or timedelta(seconds=10),
        serialize_image_pulls=_stated_or(said.serialize_image_pulls, default=(said.max_parallel_image_pulls or 1) < 2),
        max_parallel_image_pulls=said.max_parallel_image_pulls,
    )


def _duration(text: str | None) -> timedelta:
    return timedelta() if text is None else parse_duration(text)


def _stated_or(value: V | None, *, default: V) -> V:
    return default if value is None else value
