"""What places the pods of a job all together or not at all, or admits jobs as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditor.facts.kube.kueue import ClusterQueue
from auditor.facts.kube.meta import KubeObject
from auditor.facts.kube.scheduling import CoschedulingPodGroup, KaiQueue
from auditor.facts.kube.volcano import VolcanoQueue
from auditor.facts.schedulers import parse_scheduler_configuration, parse_volcano_configuration

from ._deployments import ConfigMapKey, Marks

VOLCANO_CONFIG: ConfigMapKey = ("volcano-system", "volcano-scheduler-configmap")
"""The name that the chart and the manifests of Volcano give it."""

SECOND_SCHEDULER_CONFIGS: tuple[ConfigMapKey, ...] = (
    ("kube-system", "my-scheduler-config"),
    ("kube-system", "scheduler-config"),
    ("scheduler-plugins", "scheduler-config"),
)
"""Names of KubeSchedulerConfigurations in the documentation of Kubernetes, OpenShift and scheduler-plugins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """One way to run a job's pods together.

    Attributes:
        name: what people call it.
        marks: by what its scheduler or controller is known.
        view: one of its resource types, whose CRD stays behind when it is uninstalled; None where it has none.
        configs: where its configuration may lie.
        plugin: what its configuration must switch on.
        switched_on: whether a text is a configuration that does; raises ValueError where it is none.
    """

    name: str
    marks: Marks
    view: type[KubeObject] | None = None
    configs: tuple[ConfigMapKey, ...] = ()
    plugin: str = ""
    switched_on: Callable[[str], bool] = bool


def _has_gang(text: str) -> bool:
    return "gang" in parse_volcano_configuration(text).plugins


def has_coscheduling(text: str) -> bool:
    """Whether a profile of a KubeSchedulerConfiguration switches the Coscheduling plugin on.

    Raises:
        ValueError: the text is none.
    """
    return any(profile.enables("Coscheduling") for profile in parse_scheduler_configuration(text).all_profiles)


KUEUE = Mechanism(
    name="Kueue",
    marks=Marks(names=("kueue-controller-manager",), images=("*/kueue/kueue", "*/kueue-rhel*")),
    view=ClusterQueue,
)
YUNIKORN = Mechanism(
    name="YuniKorn",
    marks=Marks(names=("yunikorn-scheduler",), labels=(("component", "yunikorn-scheduler"),)),
)
MECHANISMS = (
    Mechanism(
        name="Volcano",
        marks=Marks(names=("volcano-scheduler",), images=("*vc-scheduler",), labels=(("app", "volcano-scheduler"),)),
        view=VolcanoQueue,
        configs=(VOLCANO_CONFIG,),
        plugin="gang",
        switched_on=_has_gang,
    ),
    YUNIKORN,
    KUEUE,
    Mechanism(
        name="Scheduler Plugins",
        marks=Marks(names=("scheduler-plugins-scheduler",), images=("*scheduler-plugins/kube-scheduler",)),
        view=CoschedulingPodGroup,
        configs=SECOND_SCHEDULER_CONFIGS,
        plugin="Coscheduling",
        switched_on=has_coscheduling,
    ),
    Mechanism(
        name="KAI Scheduler",
        marks=Marks(names=("kai-scheduler-default",), images=("*kai-scheduler/scheduler",)),
        view=KaiQueue,
    ),
    Mechanism(
        name="Koordinator",
        marks=Marks(
            names=("koord-scheduler",), images=("*koord-scheduler",), labels=(("koord-app", "koord-scheduler"),)
        ),
    ),
)
"""In the order in which findings speak of them."""
