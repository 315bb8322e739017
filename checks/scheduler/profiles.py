"""Do second schedulers respect volumes, spread and resources?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor import Facts, Finding, Severity, Status, Subject, check
from auditor.facts.kube import ConfigMap, Deployment, Pod
from auditor.facts.schedulers import SchedulerProfile, parse_scheduler_configuration

from .._wording import counted, full_name, full_names, listed
from ._deployments import Marks, config_map_parts, deployments, mounted_config
from ._mechanisms import SECOND_SCHEDULER_CONFIGS

_KIND = "KubeSchedulerConfiguration"

_ANY = Marks(names=("*",))
_KUBE_SCHEDULER = Marks(images=("*/kube-scheduler", "kube-scheduler"))

_NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "VolumeBinding": (("preFilter", "filter", "reserve", "preBind"), "claims that wait for their pod are never bound"),
    "VolumeZone": (("filter",), "pods are placed where their volumes cannot be reached"),
    "NodeVolumeLimits": (("filter",), "pods are placed on nodes that can attach no more volumes"),
    "NodeResourcesFit": (("preFilter", "filter"), "pods are placed on full nodes, which refuse them"),
    "NodeAffinity": (("filter",), "racks and pools are ignored"),
    "TaintToleration": (("filter",), "pods are placed on nodes that are kept for others"),
    "InterPodAffinity": (("preFilter", "filter"), "replicas may share a node"),
    "PodTopologySpread": (("preFilter", "filter"), "replicas may share a zone"),
}
"""The plugins that data systems depend on, where each must run, and what happens without it."""


@dataclass(frozen=True, slots=True)
class Second:
    """A profile of a second scheduler.

    Attributes:
        deployment: the scheduler.
        config: where the profile is written.
        profile: the profile.
    """

    deployment: Deployment
    config: ConfigMap
    profile: SchedulerProfile

    @property
    def lacks(self) -> list[str]:
        """The plugins that data systems need and that do not run."""
        return [
            plugin
            for plugin, (points, _) in _NEEDED.items()
            if not all(self.profile.runs(plugin, point) for point in points)
        ]


@check(
    "scheduler.profile-plugins",
    title="Second schedulers keep the plugins that data systems depend on",
    severity=Severity.MEDIUM,
    reads=(Deployment, Pod, *config_map_parts(SECOND_SCHEDULER_CONFIGS)),
)
def profile_plugins(facts: Facts) -> Iterator[Finding]:
    """A scheduler that was trimmed for batch breaks volumes, spread and pools for whoever names it.

    ## What it checks
    For Deployments that mount a KubeSchedulerConfiguration from a ConfigMap whose name documentation suggests
    (`scheduler-config` in `scheduler-plugins` or `kube-system`, `my-scheduler-config` in `kube-system`): every profile
    runs, at the points where they decide, VolumeBinding, VolumeZone, NodeVolumeLimits, NodeResourcesFit, NodeAffinity,
    TaintToleration, InterPodAffinity and PodTopologySpread. What is switched off for scoring only is fine.

    A profile that pods name fails; one that no pod names is a warning. A kube-scheduler that mounts its configuration
    from elsewhere is unknown. Configurations of Volcano and others of their own kind have no such plugins.

    ## Why it matters
    Without VolumeBinding a claim with `WaitForFirstConsumer` never gets its node and the pod hangs; without
    InterPodAffinity and PodTopologySpread all brokers may lie on one node although their specification forbids it.

    ## How to fix
    Take the plugin out of the profile's `disabled` lists, mind `name: "*"` there, and restart the scheduler:

        kubectl -n scheduler-plugins edit configmap scheduler-config
        kubectl -n scheduler-plugins rollout restart deployment scheduler-plugins-scheduler

    ## References
    - [Scheduler configuration](https://kubernetes.io/docs/reference/scheduling/config/)
    - [Configure multiple schedulers](https://kubernetes.io/docs/tasks/extend-kubernetes/configure-multiple-schedulers/)
    - [scheduler-plugins as a second scheduler](https://github.com/kubernetes-sigs/scheduler-plugins/tree/master/manifests/install/charts/as-a-second-scheduler)
    """
    seconds: list[Second] = []
    unclear: list[Finding] = []
    for deployment in deployments(facts, _ANY):
        config = mounted_config(facts, deployment, SECOND_SCHEDULER_CONFIGS)
        if config is None:
            unclear += [_not_read(deployment)] if _KUBE_SCHEDULER.fit(deployment) else []
            continue
        try:
            seconds += _profiles(deployment, config)
        except ValueError as error:
            unclear.append(_not_understood(config, error))
    yield from unclear
    if sound := [second for second in seconds if not second.lacks]:
        yield Finding.ok(f"{_named(sound)}: all plugins that data systems depend on run.", subjects=_subjects(sound))
    if poor := [second for second in seconds if second.lacks]:
        yield from _judge_poor(facts, poor)
    if not seconds and not unclear:
        yield Finding.skip(f"No Deployment mounts a {_KIND} that is known by its name: there is no second scheduler.")


def _profiles(deployment: Deployment, config: ConfigMap) -> Iterator[Second]:
    for text in (config.data or {}).values():
        if _KIND in text:
            for profile in parse_scheduler_configuration(text).all_profiles:
                yield Second(deployment, config, profile)


def _judge_poor(facts: Facts, poor: Sequence[Second]) -> Iterator[Finding]:
    names = {second.profile.scheduler_name for second in poor}
    users: dict[str, int] = dict.fromkeys(names, 0)
    for pod in facts.list(Pod):
        if pod.spec.scheduler_name in names and not pod.is_finished:
            users[pod.spec.scheduler_name] += 1
    for second in poor:
        used = users[second.profile.scheduler_name]
        effects = [f"{plugin} ({_NEEDED[plugin][1]})" for plugin in second.lacks]
        yield Finding.of(
            Status.FAIL if used else Status.WARN,
            f"{_named([second])}, named by {counted(used, 'pod')}, runs without {listed(effects)}; "
            "all of them were expected.",
            subjects=_subjects([second]),
            fix="Take these plugins out of the profile's disabled lists and restart the scheduler.",
            command=f"kubectl -n {second.config.namespace} edit configmap {second.config.name}\n"
            f"kubectl -n {second.deployment.namespace} rollout restart deployment {second.deployment.name}",
            evidence={"disabled": second.lacks, "pods": used},
        )


def _named(seconds: Sequence[Second]) -> str:
    names = [second.profile.scheduler_name for second in seconds]
    owners = {full_name(second.deployment): second.deployment for second in seconds}
    return f"{'Profile' if len(names) == 1 else 'Profiles'} {listed(names)} of {full_names(list(owners.values()))}"


def _subjects(seconds: Sequence[Second]) -> list[Subject]:
    return list({full_name(second.config): second.config.subject for second in seconds}.values())


def _not_read(deployment: Deployment) -> Finding:
    return Finding.unknown(
        f"Which plugins the scheduler {full_name(deployment)} runs cannot be told: it mounts none of the ConfigMaps "
        "that are read.",
        subjects=[deployment.subject],
        fix=f"See which plugins its {_KIND} disables, or mount it from a ConfigMap scheduler-config in kube-system.",
    )


def _not_understood(config: ConfigMap, error: ValueError) -> Finding:
    return Finding.unknown(
        f"Which plugins a second scheduler runs cannot be told: {full_name(config)} cannot be understood.",
        subjects=[config.subject],
        evidence={"error": str(error)},
    )
