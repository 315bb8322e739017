"""Is this a cluster for production at all?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube import Node, StorageClass
from auditor.facts.vendor import UNDETERMINED, detect


@check(
    "platform.production-distribution",
    title="The cluster is of a kind that is made for production",
    severity=Severity.MEDIUM,
    reads=(Node, StorageClass),
    aliases=("PLT-009",),
)
def production_distribution(facts: Facts) -> Iterator[Finding]:
    """What is learned on a development cluster does not hold in production.

    ## What it checks
    Nodes and StorageClasses carry no mark of kind, minikube, k3d or Docker Desktop. With such a mark it is a warning,
    so that no workload's verdict is better than "ready with warnings", however well the rest looks.

    k3s, MicroK8s and k0s are not development tools in themselves and are judged by what they run.

    ## Why it matters
    All nodes are containers or virtual machines of one computer: replicas, zones and disruption budgets protect from
    nothing, volumes are folders, and the network passes no wire. minikube's default size lies below what Spark's
    documentation asks for (3 CPUs and 4 GiB) and what Zeppelin asks for (4 CPUs and 6 GiB).

    ## How to fix
    Run the audit on the cluster that will carry the load. To judge a development cluster as such, waive this finding.

    ## References
    - [Kubernetes: production environment](https://kubernetes.io/docs/setup/production-environment/)
    - [kind: quick start](https://kind.sigs.k8s.io/docs/user/quick-start/)
    - [Spark on Kubernetes: prerequisites](https://spark.apache.org/docs/latest/running-on-kubernetes.html#prerequisites)
    - [Zeppelin on Kubernetes](https://zeppelin.apache.org/docs/latest/quickstart/kubernetes.html)
    """
    nodes = facts.list(Node)
    facts.list(StorageClass)
    found = detect(facts)
    if found.is_development and found.vendor is not None:
        name = "several kinds" if found.vendor.id == UNDETERMINED else found.vendor.name
        yield Finding.warn(
            f"The cluster carries marks of a distribution for development ({name}); one for production was expected.",
            fix="Audit the cluster that will carry the load.",
            evidence={"marks": list(found.vendor.evidence)},
        )
        return
    if nodes:
        yield Finding.ok(f"Nodes ({len(nodes)}) and StorageClasses carry no mark of a distribution for development.")
    else:
        yield Finding.unknown("No node was seen that could carry a mark.", fix="Collect again when there are nodes.")
