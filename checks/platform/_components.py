"""What is known of operators and queueing systems: which Kubernetes each of their versions runs on.

A floor is a minimum that the project documents; an advice is the oldest Kubernetes that it tests or recommends; a
ceiling is a Kubernetes on which versions up to a release are known not to start. Each entry names its source; where a
project changed its documentation between releases (Kueue), the release that followed counts. A version older than the
first entry has no known floor. As of October 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor import Facts
from auditor.facts.kube import Deployment
from auditor.facts.kube.pods import TemplateContainer

Release = tuple[int, ...]
"""A component's own version: 0.45.1 as ``(0, 45, 1)``."""


@dataclass(frozen=True, slots=True)
class Floor:
    """From a release of the component on, Kubernetes ``1.minor`` or newer."""

    since: Release
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """Before a release of the component, it does not start on Kubernetes ``1.minor`` or newer.

    Attributes:
        before: the release that repaired it.
        minor: the first Kubernetes that it does not start on.
        unless: the environment variable that works around it.
        source: where it was reported.
    """

    before: Release
    minor: int
    unless: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """An operator or queueing system.

    Attributes:
        name: what people call it.
        image: a regular expression that is searched in the path of its controller's image, without registry and tag.
        source: where its floors come from.
        floors: the oldest first.
        advice: the same for what is recommended.
        ceilings: what it does not start on.
    """

    name: str
    image: str
    source: str
    floors: tuple[Floor, ...] = ()
    advice: tuple[Floor, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()


STRIMZI = Component(
    name="Strimzi",
    image=r"(^|/)(strimzi/operator|strimzi-(kafka-|cluster-)?operator)$",
    source="https://strimzi.io/downloads/",
    floors=(
        Floor((0, 32), 19),
        Floor((0, 36), 21),
        Floor((0, 40), 23),
        Floor((0, 44), 25),
        Floor((0, 48), 27),
        Floor((0, 51), 30),
    ),
    ceilings=(
        Ceiling(
            before=(0, 45, 1),
            minor=33,
            unless="STRIMZI_KUBERNETES_VERSION",
            source="https://github.com/strimzi/strimzi-kafka-operator/issues/11386",
        ),
    ),
)

COMPONENTS = (
    STRIMZI,
    Component(
        name="Apache Spark Kubernetes Operator",
        image=r"(^|/)spark-kubernetes-operator$",
        source="https://github.com/apache/spark-kubernetes-operator/blob/main/README.md",
        floors=(Floor((0, 7), 32),),
        advice=(Floor((0, 9), 34),),
    ),
    Component(
        name="Kubeflow Spark Operator",
        image=r"(^|/)spark-operator(/controller)?$",
        source="https://github.com/kubeflow/spark-operator#version-matrix",
        floors=(Floor((0,), 13),),
    ),
    Component(
        name="Kubeflow Trainer",
        image=r"(^|/)trainer-controller-manager$",
        source="https://www.kubeflow.org/docs/components/trainer/operator-guides/installation/",
        floors=(Floor((2,), 31),),
    ),
    Component(
        name="Kubeflow Training Operator",
        image=r"(^|/)training-operator$",
        source="https://github.com/kubeflow/trainer/tree/release-1.9",
        floors=(Floor((1, 6), 23),),
    ),
    Component(
        name="Kueue",
        image=r"(^|/)kueue$",
        source="https://kueue.sigs.k8s.io/docs/installation/",
        floors=(Floor((0, 8), 25), Floor((0, 11), 29)),
        advice=(Floor((0, 19), 34),),
    ),
    Component(
        name="KubeDirector",
        image=r"(^|/)kubedirector$",
        source="https://github.com/bluek8s/kubedirector/blob/master/doc/quickstart.md",
        floors=(Floor((0,), 16),),
    ),
)

_RELEASE = re.compile(r"v?(?P<numbers>\d+(?:\.\d+){1,2})(?:[-.+_].*)?")
_VERSION_LABEL = "app.kubernetes.io/version"
_MANAGED_BY_STRIMZI = "strimzi.io/cluster"
"""Deployments that Strimzi makes for a Kafka run other programs from the operator's image."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A Deployment that runs a component's controller.

    Attributes:
        component: what it is.
        deployment: where it runs.
        container: the container that runs it.
        release: its version; None where neither the image's tag nor a label tells it.
    """

    component: Component
    deployment: Deployment
    container: TemplateContainer
    release: Release | None

    @property
    def place(self) -> str:
        """The Deployment as a message names it."""
        return f"Deployment {self.deployment.namespace}/{self.deployment.name}"

    def sets(self, variable: str) -> bool:
        """Whether the container has that environment variable, whatever its value: bundles do not keep values."""
        return any(each.name == variable for each in self.container.env or ())


def installed_components(facts: Facts) -> list[Installed]:
    """The components whose controllers are Deployments of the cluster, by name and place."""
    found = [each for deployment in facts.list(Deployment) for each in _of_deployment(deployment)]
    return sorted(found, key=lambda each: (each.component.name, each.place))


def component_named(name: str) -> Component | None:
    """The component of that name, in any case."""
    return next((each for each in COMPONENTS if each.name.lower() == name.strip().lower()), None)


def in_force(floors: Sequence[Floor], release: Release) -> Floor | None:
    """The floor of a release: the last that began with it or before."""
    return next((floor for floor in reversed(floors) if floor.since <= release), None)


def written(release: Release) -> str:
    """``0.45.1`` of ``(0, 45, 1)``."""
    return ".".join(map(str, release))


def parse_release(text: str) -> Release | None:
    """The release that a tag or label states; None where it states none, such as ``latest`` or a commit."""
    match = _RELEASE.fullmatch(text)
    return tuple(map(int, match["numbers"].split("."))) if match else None


def _of_deployment(deployment: Deployment) -> Iterator[Installed]:
    if _MANAGED_BY_STRIMZI in deployment.labels:
        return
    for container in deployment.spec.template.spec.containers:
        path, tag = _split(container.image or "")
        component = next((each for each in COMPONENTS if re.search(each.image, path)), None)
        if component is not None:
            release = parse_release(tag) or parse_release(deployment.labels.get(_VERSION_LABEL, ""))
            yield Installed(component, deployment, container, release)
            return


def _split(image: str) -> tuple[str, str]:
    """Path and tag of an image: ``strimzi/operator`` and ``0.45.0`` of ``quay.io:443/strimzi/operator:0.45.0@…``."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    own, _, tag = last.partition(":")
    return f"{folder}{slash}{own}", tag
