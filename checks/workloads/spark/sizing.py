"""Can the Spark operator keep up, and does it see every application?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.kube import Deployment
from auditor.facts.kube.spark import AnySparkApplication

from ..._wording import counted, examples, full_name, listed
from ._applications import APPLICATIONS, applications, described
from ._operators import OperatorKind, SparkOperator, operators


class OperatorParameters(Parameters, frozen=True, kw_only=True):
    """How much one operator can do."""

    applications_per_minute: Annotated[
        int,
        threshold(
            "Applications that one Kubeflow operator can submit in a minute.",
            source="The operator's own benchmark: 130 to 150 a minute, with 25 to 35 cores in use.",
            ge=1,
        ),
    ] = 130


@check(
    "spark.operator-sizing",
    title="The Spark operator is sized for its work and sees every application",
    severity=Severity.MEDIUM,
    workloads=(Workload.SPARK,),
    reads=(*APPLICATIONS, Deployment),
    aliases=("SPK-007",),
)
def operator_sizing(facts: Facts, params: OperatorParameters) -> Iterator[Finding]:
    """Every submission goes through the operator's controller, which starts a JVM for each.

    ## What it checks
    - The controller of every Spark operator requests CPU and memory. Kubeflow's chart leaves both unset: a warning.
    - Every SparkApplication lies in a namespace that an operator of its kind watches (`spark.jobNamespaces` of the
      chart). One that no operator has taken on, and none will, fails.
    - No more applications were created within one minute than the operators can submit. Otherwise a warning.

    Whether the operator's webhook can be reached is judged by `platform.*`.

    ## Why it matters
    The controller is bound by CPU: with 36 cores it submitted about 130 applications a minute, and the last of 6000
    waited an hour for its driver. Without requests it shares what the node has left, is evicted early, and with it stop
    all submissions and updates of status. An application outside of the watched namespaces is accepted by the API
    server and never becomes anything.

    ## How to fix
    Set requests, and more workers where applications come in bursts; watch the namespaces that teams use:

        helm upgrade spark-operator spark-operator/spark-operator --reuse-values -f values.yaml

    with these values:

        controller:
          workers: 20
          resources: {requests: {cpu: "2", memory: 4Gi}}
        spark:
          jobNamespaces: [team-a, team-b]

    For more than one operator can do, install one per group of namespaces.

    ## References
    - [Benchmark of Kubeflow's operator](https://github.com/kubeflow/spark-operator/blob/master/docs/performance/benchmarking.md)
    - [Values of Kubeflow's chart](https://github.com/kubeflow/spark-operator/tree/master/charts/spark-operator-chart)
    - [Running multiple instances of the operator](https://github.com/kubeflow/spark-operator/blob/master/docs/user-guide/running-multiple-instances-of-the-operator.md)
    """
    installed = operators(facts)
    if not installed:
        yield Finding.skip("No Deployment runs a Spark operator here, so there is none to judge.")
        return
    apps = applications(facts)
    if unseen := [app for app in apps if not app.is_seen and not any(each.takes(app) for each in installed)]:
        yield _unseen(unseen, installed)
    if bare := [each for each in installed if _missing_requests(each)]:
        yield _without_requests(bare)
    if burst := _burst(apps, installed, params):
        yield burst
    sound = [each for each in installed if each not in bare]
    if sound:
        yield Finding.ok(
            f"{_described(sound)} requests CPU and memory for its controller.",
            subjects=[each.deployment.subject for each in sound],
        )


def _missing_requests(operator: SparkOperator) -> list[str]:
    resources = operator.container.resources
    given = {**((resources and resources.limits) or {}), **((resources and resources.requests) or {})}
    return [name for name in ("cpu", "memory") if name not in given]


def _without_requests(bare: Sequence[SparkOperator]) -> Finding:
    missing = sorted({name for each in bare for name in _missing_requests(each)})
    return Finding.warn(
        f"{_described(bare)} requests no {' and no '.join(missing)} for its controller, a request was expected: "
        "it is slowed down and evicted first when its node is busy.",
        subjects=[each.deployment.subject for each in bare],
        fix="Set controller.resources.requests in the chart's values.",
        command="\n".join(
            f"kubectl set resources deployment {each.deployment.name} --namespace {each.deployment.namespace} "
            f"--containers {each.container.name} --requests cpu=2,memory=4Gi"
            for each in bare[:_COMMANDS_AT_MOST]
        ),
        evidence=examples({full_name(each.deployment): {"missing": _missing_requests(each)} for each in bare}),
    )


_COMMANDS_AT_MOST = 5


def _unseen(apps: Sequence[AnySparkApplication], installed: Sequence[SparkOperator]) -> Finding:
    watched = sorted({namespace for each in installed for namespace in each.namespaces or ()})
    where = f"the operators watch {listed(watched)} only" if watched else "no operator of its kind is installed"
    return Finding.fail(
        f"{described(apps)}: no Spark operator has taken it on, and none will: {where}.",
        subjects=[app.subject for app in apps],
        fix="Let an operator of its kind watch the namespace (spark.jobNamespaces), or move the application.",
        evidence={"watched namespaces": watched[:10]},
    )


def _burst(
    apps: Sequence[AnySparkApplication], installed: Sequence[SparkOperator], params: OperatorParameters
) -> Finding | None:
    """What to say of the minute with the most submissions."""
    able = params.applications_per_minute * sum(each.kind is OperatorKind.KUBEFLOW for each in installed)
    minutes = Counter((app.metadata.creation_timestamp or "")[:16] for app in apps if _goes_through_kubeflow(app))
    minutes.pop("", None)
    if not able or not minutes:
        return None
    minute, count = max(minutes.items(), key=lambda item: (item[1], item[0]))
    if count <= able:
        return None
    return Finding.warn(
        f"{counted(count, 'SparkApplication')} were created within one minute ({minute}Z), and the operators can "
        f"submit about {able} a minute: the last of them waited for its driver.",
        subjects=[each.deployment.subject for each in installed],
        fix="Install an operator per group of namespaces, or spread the submissions.",
        evidence={"minute": f"{minute}Z", "created": count, "operators": len(installed)},
    )


def _goes_through_kubeflow(app: AnySparkApplication) -> bool:
    return app.api.group == "sparkoperator.k8s.io"


def _described(found: Sequence[SparkOperator]) -> str:
    names = listed([full_name(each.deployment) for each in found])
    return f"Spark operator {names}" if len(found) == 1 else f"Each of {len(found)} Spark operators ({names})"
