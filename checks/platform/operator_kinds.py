"""Which operators are there, and do two of them claim one kind?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube.apiextensions import CustomResourceDefinition

from .._wording import counted, listed
from ._operators import OPERATORS, kinds_by_group, named


@check(
    "platform.operator-kinds",
    title="Each kind of data system has one operator",
    severity=Severity.INFO,
    reads=(CustomResourceDefinition,),
    aliases=("PLT-006",),
)
def operator_kinds(facts: Facts) -> Iterator[Finding]:
    """An inventory of operators, and of kinds that two of them define.

    ## What it checks
    The CustomResourceDefinitions of known operators for Kafka, Spark, Flink, HDFS, ZooKeeper, training and batch
    queueing. A kind that two API groups define, such as SparkApplication of both the Kubeflow and the Apache operator,
    is a warning. Different kinds side by side, such as TFJob and TrainJob, are not.

    ## Why it matters
    `kubectl get sparkapplications` shows the resources of one of the groups and never those of the other. Manifests,
    RBAC rules and dashboards for one look right and act on nothing. Two operators for one system also mean two sets of
    webhooks, defaults and upgrades.

    ## How to fix
    Choose one, move its resources, and delete the other's definitions; that deletes its resources too:

        kubectl get crds
        kubectl get sparkapplications.sparkoperator.k8s.io --all-namespaces

    Where both are meant, always write the group: `sparkapplications.spark.apache.org`.

    ## References
    - [Custom resources](https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/custom-resources/)
    - [Kubeflow Spark Operator](https://github.com/kubeflow/spark-operator)
    - [Apache Spark Kubernetes Operator](https://github.com/apache/spark-kubernetes-operator)
    - [Stackable operators](https://docs.stackable.tech/home/stable/operators/)
    """
    groups = kinds_by_group(facts)
    if not groups:
        yield Finding.skip(f"No custom resource of {counted(len(OPERATORS), 'known operator')} is defined.")
        return
    inventory: dict[str, object] = {group: sorted(kinds) for group, kinds in groups.items()}
    claims: defaultdict[str, list[str]] = defaultdict(list)
    for group, kinds in groups.items():
        for kind in kinds:
            claims[kind].append(group)
    contested: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for kind, claimants in sorted(claims.items()):
        if len(claimants) > 1:
            contested[tuple(claimants)].append(kind)
    for both, kinds_of_both in sorted(contested.items()):
        yield Finding.warn(
            f"{'Kind' if len(kinds_of_both) == 1 else 'Kinds'} {listed(kinds_of_both)} "
            f"{'is' if len(kinds_of_both) == 1 else 'are'} defined by {listed([named(group) for group in both])}; "
            "one operator per kind was expected.",
            subjects=[groups[group][kind].subject for group in both for kind in kinds_of_both],
            fix="Choose one operator and delete the other's definitions, or always write the group with the kind.",
            evidence=inventory,
        )
    if not contested:
        yield Finding.ok(
            f"{counted(len(groups), 'operator')} with kinds of {'its' if len(groups) == 1 else 'their'} own: "
            f"{listed([named(group) for group in groups])}.",
            evidence=inventory,
        )
