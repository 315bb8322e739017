"""The configuration files of schedulers and of Kueue, as they lie in ConfigMaps: YAML in, typed facts out.

Only the fields that checks read are kept. A file that is no such configuration raises ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import yaml

from auditor.facts.kube.meta import View

V = TypeVar("V", bound=View)

ALL_PLUGINS = "*"
"""Stands for every plugin in a list of disabled ones."""

DEFAULT_PLUGINS = frozenset(
    {
        "DefaultBinder",
        "DefaultPreemption",
        "DynamicResources",
        "ImageLocality",
        "InterPodAffinity",
        "NodeAffinity",
        "NodeName",
        "NodePorts",
        "NodeResourcesBalancedAllocation",
        "NodeResourcesFit",
        "NodeUnschedulable",
        "NodeVolumeLimits",
        "PodTopologySpread",
        "PrioritySort",
        "SchedulingGates",
        "TaintToleration",
        "VolumeBinding",
        "VolumeRestrictions",
        "VolumeZone",
    }
)
"""What kube-scheduler runs unless a profile says otherwise (pkg/scheduler/apis/config/v1/default_plugins.go)."""

_SCHEDULER_API_GROUP = "kubescheduler.config.k8s.io/"
_KUEUE_API_GROUP = "config.kueue.x-k8s.io/"
_KUEUE_APIS_WITH_SWITCH = ("config.kueue.x-k8s.io/v1beta1", "config.kueue.x-k8s.io/v1alpha1")
"""Up to these, ``waitForPodsReady`` has a switch of its own; later its presence switches it on."""

_FIFO = "fifo"
_SORT_POLICY = "application.sort.policy"


class PluginName(View, frozen=True, kw_only=True):
    """One plugin of a list."""

    name: str


class PluginSet(View, frozen=True, kw_only=True):
    """What a profile changes at one extension point."""

    enabled: tuple[PluginName, ...] | None = None
    disabled: tuple[PluginName, ...] | None = None

    def decides(self, plugin: str) -> bool | None:
        """Whether it switches the plugin on or off; None where it says nothing of it."""
        if any(each.name == plugin for each in self.enabled or ()):
            return True
        return False if any(each.name in (plugin, ALL_PLUGINS) for each in self.disabled or ()) else None


class PluginConfig(View, frozen=True, kw_only=True):
    """The arguments of one plugin, such as ``scoringStrategy`` of NodeResourcesFit."""

    name: str
    args: dict[str, Any] | None = None


class SchedulerProfile(View, frozen=True, kw_only=True):
    """One way to schedule; a pod chooses it by its ``schedulerName``."""

    scheduler_name: str = "default-scheduler"
    plugins: dict[str, PluginSet | None] | None = None
    """By extension point, such as ``filter``; ``multiPoint`` stands for all points."""
    plugin_config: tuple[PluginConfig, ...] | None = None

    def runs(self, plugin: str, point: str) -> bool:
        """Whether a plugin runs at an extension point: the point's own list wins, then multiPoint, then the default."""
        for where in (point, "multiPoint"):
            decided = self._set(where).decides(plugin)
            if decided is not None:
                return decided
        return plugin in DEFAULT_PLUGINS

    def enables(self, plugin: str) -> bool:
        """Whether a plugin that does not run by default is switched on, at whatever point."""
        return any(self._set(point).decides(plugin) for point in self.plugins or ())

    def arguments(self, plugin: str) -> Mapping[str, Any]:
        """The arguments given to a plugin; empty where it runs with its defaults."""
        return next((each.args or {} for each in self.plugin_config or () if each.name == plugin), {})

    def _set(self, point: str) -> PluginSet:
        return (self.plugins or {}).get(point) or PluginSet()


class SchedulerConfiguration(View, frozen=True, kw_only=True):
    """KubeSchedulerConfiguration: the profiles of a kube-scheduler, or of a scheduler built from it."""

    api_version: str
    profiles: tuple[SchedulerProfile, ...] | None = None

    @property
    def all_profiles(self) -> tuple[SchedulerProfile, ...]:
        """Its profiles; where it names none, the one that kube-scheduler has by default."""
        return self.profiles or (SchedulerProfile(),)


class VolcanoPlugin(View, frozen=True, kw_only=True):
    """One plugin of a tier."""

    name: str


class VolcanoTier(View, frozen=True, kw_only=True):
    """Plugins of equal rank."""

    plugins: tuple[VolcanoPlugin, ...] | None = None


class VolcanoConfiguration(View, frozen=True, kw_only=True):
    """``volcano-scheduler.conf``."""

    actions: str = ""
    tiers: tuple[VolcanoTier, ...] | None = None

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins of all tiers."""
        return frozenset(plugin.name for tier in self.tiers or () for plugin in tier.plugins or ())


class WaitForPodsReady(View, frozen=True, kw_only=True):
    """Whether Kueue takes a job back whose pods do not all become ready in time."""

    enable: bool | None = None


class KueueConfiguration(View, frozen=True, kw_only=True):
    """``controller_manager_config.yaml`` of Kueue."""

    api_version: str
    wait_for_pods_ready: WaitForPodsReady | None = None

    @property
    def waits_for_pods_ready(self) -> bool:
        """Whether a job that is admitted must get all its pods ready, or gives its quota back."""
        setting = self.wait_for_pods_ready
        if setting is None:
            return False
        return bool(setting.enable) if self.api_version in _KUEUE_APIS_WITH_SWITCH else setting.enable is not False


class YuniKornQueue(View, frozen=True, kw_only=True):
    """A queue of YuniKorn, with those below it."""

    name: str
    properties: dict[str, Any] | None = None
    queues: tuple[YuniKornQueue, ...] | None = None


class YuniKornPartition(View, frozen=True, kw_only=True):
    """A share of the cluster with queues of its own."""

    name: str = "default"
    queues: tuple[YuniKornQueue, ...] | None = None


class YuniKornQueues(View, frozen=True, kw_only=True):
    """``queues.yaml`` of YuniKorn."""

    partitions: tuple[YuniKornPartition, ...] = ()

    def sort_policies(self) -> dict[str, str]:
        """How each leaf queue sorts its applications, by the queue's full name; ``fifo`` where nothing is said.

        Names in other partitions than ``default`` begin with the partition: ``gpu/root.jobs``.
        """
        return {
            name: policy
            for partition in self.partitions
            for name, policy in _leaf_policies(
                partition.queues,
                prefix="" if partition.name == "default" else f"{partition.name}/",
                inherited=_FIFO,
            )
        }


def _leaf_policies(
    queues: tuple[YuniKornQueue, ...] | None, *, prefix: str, inherited: str
) -> Iterator[tuple[str, str]]:
    for queue in queues or ():
        name = f"{prefix}{queue.name}"
        policy = str((queue.properties or {}).get(_SORT_POLICY, inherited)).lower()
        if queue.queues:
            yield from _leaf_policies(queue.queues, prefix=f"{name}.", inherited=policy)
        else:
            yield name, policy


def parse_scheduler_configuration(text: str) -> SchedulerConfiguration:
    """A KubeSchedulerConfiguration.

    Raises:
        ValueError: it is none.
    """
    found = _parse(text, SchedulerConfiguration)
    if not found.api_version.startswith(_SCHEDULER_API_GROUP):
        raise ValueError(f"its apiVersion is {found.api_version}, not {_SCHEDULER_API_GROUP}…")
    return found


def parse_kueue_configuration(text: str) -> KueueConfiguration:
    """The configuration of Kueue's controller.

    Raises:
        ValueError: it is none.
    """
    found = _parse(text, KueueConfiguration)
    if not found.api_version.startswith(_KUEUE_API_GROUP):
        raise ValueError(f"its apiVersion is {found.api_version}, not {_KUEUE_API_GROUP}…")
    return found


def parse_volcano_configuration(text: str) -> VolcanoConfiguration:
    """The configuration of Volcano's scheduler.

    Raises:
        ValueError: it is none.
    """
    found = _parse(text, VolcanoConfiguration)
    if found.tiers is None:
        raise ValueError("it has no tiers of plugins")
    return found


def parse_yunikorn_queues(text: str) -> YuniKornQueues:
    """The queues of YuniKorn.

    Raises:
        ValueError: they are none.
    """
    return _parse(text, YuniKornQueues)


class _Loader(yaml.SafeLoader):
    """Refuses aliases, through which a few lines can stand for more objects than fit into memory."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases, which are not followed")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _parse(text: str, kind: type[V]) -> V:
    try:
        return msgspec.convert(yaml.load(text, _Loader), type=kind)  # noqa: S506  a safe loader made stricter
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
