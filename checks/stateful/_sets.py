"""What the stateful checks share: which StatefulSets keep data, and what a site may leave out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Parameters, threshold
from auditor.facts.kube import StatefulSet

from .._roles import role_of, template_labels
from .._wording import EXAMPLES_AT_MOST, counted, full_name, full_names

_APPLICATION_LABEL = "app.kubernetes.io/name"


class ScopeParameters(Parameters, frozen=True, kw_only=True):
    """What does not belong to the data systems; base of the parameters of all stateful checks."""

    platform_namespaces: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of namespaces whose workloads belong to the platform and are not judged.",
            source="Namespaces that Kubernetes, OpenShift, Rancher and the managed services keep for themselves.",
        ),
    ] = (
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "aks-*",
        "amazon-*",
        "calico-*",
        "cattle-*",
        "gke-*",
        "gmp-*",
        "openshift",
        "openshift-*",
        "tigera-*",
    )
    other_applications: Annotated[
        tuple[str, ...],
        threshold(
            "Globs over the label app.kubernetes.io/name of workloads that are no data systems and are not judged.",
            source="Monitoring is not among the audited workloads; names as kube-prometheus and Grafana's charts set.",
        ),
    ] = ("alertmanager", "grafana", "loki", "mimir", "prometheus", "tempo", "thanos*")

    def leave_out(self, namespace: str | None, labels: dict[str, str]) -> bool:
        """Whether a workload in that namespace, or pods with these labels, are outside the audit."""
        return any(fnmatchcase(namespace or "", glob) for glob in self.platform_namespaces) or any(
            fnmatchcase(labels.get(_APPLICATION_LABEL, ""), glob) for glob in self.other_applications
        )


def data_sets(facts: Facts, params: ScopeParameters) -> list[StatefulSet]:
    """The StatefulSets that keep data: they have claims, or run a system that does; by name."""
    return sorted((s for s in facts.list(StatefulSet) if _keeps_data(s, params)), key=full_name)


def _keeps_data(stateful_set: StatefulSet, params: ScopeParameters) -> bool:
    if params.leave_out(stateful_set.namespace, template_labels(stateful_set.spec.template)):
        return False
    if has_claims(stateful_set):
        return True
    role = role_of(stateful_set)
    return role is not None and role.keeps_data


def has_claims(stateful_set: StatefulSet) -> bool:
    """Whether its pods have claims of their own, or share one."""
    return bool(stateful_set.spec.volume_claim_templates or stateful_set.spec.template.spec.claim_names)


def no_data_sets() -> Finding:
    """The finding where there is none."""
    return Finding.skip("No StatefulSet outside the platform's namespaces keeps data, so there is none to judge.")


def sets_named(sets: Sequence[StatefulSet]) -> str:
    """``StatefulSet ns/a``, ``2 StatefulSets (ns/a and ns/b)``."""
    if len(sets) == 1:
        return f"StatefulSet {full_name(sets[0])}"
    return f"{counted(len(sets), 'StatefulSet')} ({full_names(sets)})"


def commands(lines: Iterable[str]) -> str | None:
    """The first few commands, one per line; the finding's text speaks of the others."""
    return "\n".join(list(lines)[:EXAMPLES_AT_MOST]) or None
