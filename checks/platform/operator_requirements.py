"""Do the operators support this Kubernetes?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Deployment
from auditor.facts.version import SERVER_VERSION, KubeVersion, server_version

from .._wording import listed
from ._components import (
    COMPONENTS,
    Component,
    Floor,
    Installed,
    component_named,
    in_force,
    installed_components,
    written,
)
from ._server import unknown_version

_PIN = "Upgrade Kubernetes, or install a release of the component that supports this one."


class RequirementsParameters(Parameters, frozen=True, kw_only=True):
    """What the site means to install."""

    wanted_components: Annotated[
        tuple[str, ...],
        threshold(
            "Names of components that are to be installed, such as Strimzi or Kueue; their current release is judged.",
            source="The site's own plan; by default only installed components are judged.",
        ),
    ] = ()
    min_minor: Annotated[
        int,
        threshold(
            "The oldest Kubernetes, as 1.x, that the site's own components run on.",
            source="The site's own components; 0 sets no floor.",
            ge=0,
        ),
    ] = 0


@check(
    "platform.operator-requirements",
    title="Kubernetes has a version that every installed operator supports",
    severity=Severity.CRITICAL,
    reads=(SERVER_VERSION, Deployment),
    aliases=("PLT-001",),
)
def operator_requirements(facts: Facts, params: RequirementsParameters) -> Iterator[Finding]:
    """Operators drop old versions of Kubernetes, and old operators do not start on new ones.

    ## What it checks
    The version of the API server against what each installed component needs, in the version that its image's tag (or
    the label `app.kubernetes.io/version` of its Deployment) states:

    | component | documented minimum |
    | --- | --- |
    | Strimzi | 0.44: 1.25, 0.48: 1.27, 0.51: 1.30; before 0.45.1 it does not start on 1.33 and newer |
    | Apache Spark Kubernetes Operator | 0.7: 1.32; since 0.9 tested on 1.34 and newer |
    | Kubeflow Spark Operator | 1.13 |
    | Kubeflow Trainer, Training Operator | 2.0: 1.31; 1.6: 1.23 |
    | Kueue | 0.8: 1.25, 0.11: 1.29; since 0.19 tested on 1.34 and newer |
    | KubeDirector | 1.16 |

    Kubernetes below a minimum fails, and so does an operator that is known not to start on it. Kubernetes older than
    what a project tests is a warning. Components that are not installed yet are judged when `wanted_components` names
    them. YuniKorn's own table of versions is judged with the schedulers.

    ## Why it matters
    Below its minimum an operator crashes on an API that is not there, or stores resources with fields that the server
    drops. Strimzi before 0.45.1 reads the answer of `/version` field by field: since Kubernetes 1.33 it has fields that
    it does not know, so that after an upgrade of the cluster the operator never starts again.

    ## How to fix
    Upgrade Kubernetes, or install a release of the component that supports this version. Upgrade Strimzi before the
    cluster; as a stopgap tell an old one the version:

        kubectl set env deployment/strimzi-cluster-operator STRIMZI_KUBERNETES_VERSION="major=1,minor=33"

    ## References
    - [Strimzi: supported versions](https://strimzi.io/downloads/)
    - [Strimzi: Cluster Operator does not start on Kubernetes 1.33](https://github.com/strimzi/strimzi-kafka-operator/issues/11386)
    - [Apache Spark Kubernetes Operator](https://github.com/apache/spark-kubernetes-operator)
    - [Kubeflow Spark Operator: version matrix](https://github.com/kubeflow/spark-operator#version-matrix)
    - [Kubeflow Trainer: installation](https://www.kubeflow.org/docs/components/trainer/operator-guides/installation/)
    - [Kueue: installation](https://kueue.sigs.k8s.io/docs/installation/)
    """
    try:
        server = server_version(facts)
    except ValueError as error:
        yield unknown_version(error)
        return
    if server.minor < params.min_minor:
        yield Finding.fail(
            f"Kubernetes {server} is older than 1.{params.min_minor}, which the site's own components need.",
            fix="Upgrade Kubernetes.",
        )
    yield from _judge_wanted(server, params)
    installed = installed_components(facts)
    supported: list[Installed] = []
    for each in installed:
        findings = list(_judge(server, each))
        yield from findings
        if not findings:
            supported.append(each)
    if supported:
        yield Finding.ok(
            f"Kubernetes {server} has a version that {listed([_described(each) for each in supported])} "
            f"{'supports' if len(supported) == 1 else 'support'}.",
            subjects=[each.deployment.subject for each in supported],
        )
    if not installed:
        yield _none_installed(server)


def _judge(server: KubeVersion, each: Installed) -> Iterator[Finding]:
    component, release = each.component, each.release
    if release is None:
        if _depends_on_release(server, component):
            yield _release_unknown(server, each)
        return
    for ceiling in component.ceilings:
        if release < ceiling.before and server.minor >= ceiling.minor and not each.sets(ceiling.unless):
            yield Finding.fail(
                f"{_described(each)} does not start on Kubernetes 1.{ceiling.minor} and newer, and this is {server}: "
                f"release {written(ceiling.before)} or newer was expected.",
                subjects=[each.deployment.subject],
                fix=f"Upgrade {component.name} to {written(ceiling.before)} or newer; "
                f"as a stopgap set {ceiling.unless} to this version.",
                evidence=_seen(server, each, ceiling.source),
            )
    floor, advice = in_force(component.floors, release), in_force(component.advice, release)
    if floor is not None and server.minor < floor.minor:
        yield Finding.fail(
            f"Kubernetes {server} is too old for {_described(each)}: 1.{floor.minor} or newer was expected.",
            subjects=[each.deployment.subject],
            fix=_PIN,
            evidence=_seen(server, each, component.source),
        )
    elif advice is not None and server.minor < advice.minor:
        yield Finding.warn(
            f"Kubernetes {server} is older than what {_described(each)} is tested on: 1.{advice.minor} or newer was "
            "expected.",
            subjects=[each.deployment.subject],
            fix=_PIN,
            evidence=_seen(server, each, component.source),
        )


def _depends_on_release(server: KubeVersion, component: Component) -> bool:
    """Whether some releases of the component support this Kubernetes and others do not."""
    return any(server.minor < floor.minor for floor in component.floors) or any(
        server.minor >= ceiling.minor for ceiling in component.ceilings
    )


def _release_unknown(server: KubeVersion, each: Installed) -> Finding:
    return Finding.unknown(
        f"Whether {_described(each)} supports Kubernetes {server} cannot be told: neither the image's tag nor the "
        "label app.kubernetes.io/version says which release it is.",
        subjects=[each.deployment.subject],
        fix="Look up which release the image is, and compare it with the project's table of supported versions.",
        evidence=_seen(server, each, each.component.source),
    )


def _judge_wanted(server: KubeVersion, params: RequirementsParameters) -> Iterator[Finding]:
    for name in sorted(set(params.wanted_components)):
        component = component_named(name)
        if component is None:
            yield Finding.unknown(
                f"Nothing is known of the wanted component {name}.",
                fix=f"Name one of {', '.join(each.name for each in COMPONENTS)}, or set min_minor.",
            )
        elif server.minor < (floor := _current(component)).minor:
            yield Finding.fail(
                f"Kubernetes {server} is too old for current releases of {component.name} "
                f"({written(floor.since)} and newer), which is wanted: 1.{floor.minor} or newer was expected.",
                fix=_PIN,
                evidence={"server": str(server), "source": component.source},
            )


def _none_installed(server: KubeVersion) -> Finding:
    able = [each.name for each in COMPONENTS if server.minor >= _current(each).minor]
    unable = [f"{each.name} (1.{_current(each).minor})" for each in COMPONENTS if server.minor < _current(each).minor]
    current = f" Too new for it are current releases of {', '.join(unable)}." if unable else ""
    return Finding.ok(
        f"No operator that asks for a version of Kubernetes is installed; {server} would do for current releases of "
        f"{', '.join(able) or 'none of those known'}.{current}"
    )


def _current(component: Component) -> Floor:
    return component.floors[-1]


def _described(each: Installed) -> str:
    release = f" {written(each.release)}" if each.release is not None else ""
    return f"{each.component.name}{release} ({each.place})"


def _seen(server: KubeVersion, each: Installed, source: str) -> dict[str, object]:
    return {"server": str(server), "image": each.container.image, "source": source}
