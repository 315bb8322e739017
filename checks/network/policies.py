"""Are NetworkPolicies more than paper?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from auditor import Facts, Finding, Severity, check
from auditor.facts.kube.networking import NetworkPolicy
from auditor.facts.observations import Step, StepState
from auditor.facts.observations.network import NetworkObservations

from .._wording import counted, examples, full_name, full_names
from ._observed import observed

_DENIED = ("ingress-denied", "egress-denied")
_WORDS = {
    "reached-before": "whether pods are reached without a policy",
    "ingress-denied": "whether a policy keeps incoming connections out",
    "ingress-allowed": "whether a policy lets in whom it names",
    "egress-denied": "whether a policy keeps outgoing connections in",
    "names-resolved": "whether names resolve under a policy that allows port 53",
}
_DIRECTION = {"ingress-denied": "incoming", "egress-denied": "outgoing"}


@check(
    "network.policy-enforced",
    title="NetworkPolicies are enforced",
    severity=Severity.HIGH,
    reads=(NetworkObservations, NetworkPolicy),
    aliases=("NET-013",),
)
def policy_enforced(facts: Facts) -> Iterator[Finding]:
    """A NetworkPolicy is accepted by every cluster, and obeyed only where the network plugin knows how.

    ## What it checks
    The probe lets pods of its own talk, then denies incoming connections to one and outgoing ones from another, and
    watches them stop; allows one client again, and watches it come through while another does not; and sees that names
    still resolve where only port 53 is allowed. Each may take 20 s. A policy without effect is a failure where the
    cluster has NetworkPolicies that somebody relies on, and a warning where it has none.

    ## Why it matters
    HDFS without Kerberos believes any user name, Flink's REST server runs any code it is sent, and Kafka listeners
    without authentication serve everybody who reaches them. Operators such as Strimzi create policies for just that,
    and nothing says that nobody reads them.

    ## How to fix
    Install or switch on what enforces policies: Calico or Cilium; `enableNetworkPolicy` of the Amazon VPC CNI;
    Dataplane V2 on GKE; `--network-policy` on AKS. Plain flannel and bridge plugins do not.

    ## References
    - [Network policies: prerequisites](https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites)
    - [Amazon EKS: network policies](https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html)
    - [GKE: network policies](https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy)
    - [AKS: network policies](https://learn.microsoft.com/en-us/azure/aks/use-network-policies)
    - [Strimzi: network policies](https://strimzi.io/docs/operators/latest/deploying#con-common-configuration-networkpolicy-str)
    """
    steps = {step.name: step for step in observed(facts).policy}
    ignored = [name for name in _DENIED if _is(steps, name, StepState.FAILED)]
    worked = [name for name in _DENIED if _is(steps, name, StepState.OK)]
    troubles = list(_half_done(steps))
    yield from troubles
    if ignored:
        yield _ignored(facts, ignored, steps)
    else:
        yield from _untold(steps)
    if worked and not ignored and not troubles:
        slowest = max(steps[name].seconds for name in worked)
        yield Finding.ok(f"NetworkPolicies are enforced, within {slowest:.0f} s of their creation.")


def _is(steps: Mapping[str, Step], name: str, state: StepState) -> bool:
    return name in steps and steps[name].state is state


def _ignored(facts: Facts, ignored: list[str], steps: Mapping[str, Step]) -> Finding:
    directions = " and ".join(_DIRECTION[name] for name in ignored)
    seconds = max(steps[name].seconds for name in ignored)
    told = f"A NetworkPolicy that denies {directions} connections had no effect within {seconds:.0f} s"
    fix = "Install or switch on a network plugin that enforces NetworkPolicies, such as Calico or Cilium."
    own = sorted(facts.list(NetworkPolicy), key=full_name)
    if not own:
        return Finding.warn(f"{told}; the cluster has no NetworkPolicy that somebody would rely on.", fix=fix)
    return Finding.fail(
        f"{told}, while {counted(len(own), 'NetworkPolicy object')} of the cluster ({full_names(own)}) "
        f"{'asks' if len(own) == 1 else 'ask'} for protection.",
        subjects=[policy.subject for policy in own],
        fix=fix,
    )


def _half_done(steps: Mapping[str, Step]) -> Iterator[Finding]:
    """Enforced, but not as the policy says: what data systems then meet is a connection that should work."""
    for name in ("ingress-allowed", "names-resolved"):
        if _is(steps, name, StepState.FAILED):
            cause = steps[name].cause
            said = cause.message if cause else "it did not"
            yield Finding.fail(
                f"NetworkPolicies are enforced, but not as they say: {said}.",
                fix="Look at the network plugin's log and version, and report it to its makers.",
            )


def _untold(steps: Mapping[str, Step]) -> Iterator[Finding]:
    untold = {name: step for name in _WORDS if (step := steps.get(name)) and step.state is StepState.NOT_DONE}
    untold = {name: step for name, step in untold.items() if name in _DENIED or _is(steps, _DENIED[0], StepState.OK)}
    if not steps or untold:
        causes = {name: step.cause.message if step.cause else "" for name, step in untold.items()}
        lacks = next(
            (s.cause.missing_permission for s in untold.values() if s.cause and s.cause.missing_permission), ""
        )
        why = (
            f"the account may not {lacks}" if lacks else next(iter(causes.values()), "no step was recorded").rstrip(".")
        )
        what = _WORDS[next(iter(untold), "ingress-denied")]
        yield Finding.unknown(
            f"It could not be told {what}: {why}.",
            fix="Remove what kept the probe from trying it, and probe again.",
            evidence=examples(causes),
        )
