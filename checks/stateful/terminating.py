"""Do pods with data hang on nodes that are gone?"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Fix, Severity, Status, check, threshold
from auditor.facts.kube import Node, Pod
from auditor.facts.times import age_at_collection

from .._roles import role_of
from .._wording import EXAMPLES_AT_MOST, counted, examples, full_name, full_names, listed
from ._replicas import owner_of
from ._sets import ScopeParameters, commands

_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class TerminatingParameters(ScopeParameters, frozen=True, kw_only=True):
    """How long a pod may take to go."""

    stuck_seconds: Annotated[
        int,
        threshold(
            "Seconds after the end of its grace period from which a pod on a lost node counts as stuck.",
            source="The attach/detach controller's ReconcilerMaxWaitForUnmountDuration, 6 minutes.",
            ge=0,
        ),
    ] = 360


@dataclass(frozen=True, slots=True)
class Lost:
    """A pod that is to go, on a node that cannot confirm it.

    Attributes:
        pod: the pod.
        node: name of its node.
        exists: whether the cluster still has the node.
        fenced: whether the node carries the out-of-service taint.
        overdue: since when its grace period is over; None where the time of collection is not known.
        matters: whether it keeps data of a data system.
    """

    pod: Pod
    node: str
    exists: bool
    fenced: bool
    overdue: timedelta | None
    matters: bool


@check(
    "stateful.stuck-terminating",
    title="No pod with a volume hangs on a node that is gone",
    severity=Severity.HIGH,
    workloads=STATEFUL_WORKLOADS,
    reads=(Pod, Node),
    aliases=("STS-010",),
)
def stuck_terminating(facts: Facts, params: TerminatingParameters) -> Iterator[Finding]:
    """A pod of a lost node must be given up before its name and its volume can be used again.

    ## What it checks
    No pod of a StatefulSet or StrimziPodSet, and no other pod with a claim, is on its way out for more than
    `stuck_seconds` on a node that is not ready or no longer exists. The time counts from the pod's `deletionTimestamp`,
    which lies at the end of its grace period, to the end of the collection.

    Pods with claims or of known data systems fail; other pods of StatefulSets, and pods in the platform's namespaces,
    are a warning.

    ## Why it matters
    When a node dies, Kubernetes marks its pods for deletion after 300 s, and then waits for the kubelet to confirm that
    they stopped. A StatefulSet starts no second pod of the same name meanwhile, and the volume stays attached: the
    broker or NameNode is missing until somebody acts. Kubernetes does so on purpose, since a node that is merely cut
    off may still write.

    ## How to fix
    Make sure that the machine is switched off, then say so; Kubernetes deletes its pods and detaches their volumes:

        kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute

    Never do this to a machine that still runs: two pods would write one disk. Take the taint off when the node is back:

        kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute-

    A node that will not come back can be deleted from the cluster instead. Machine health checks or the cloud's
    controller can do either by themselves.

    ## References
    - [Non-graceful node shutdown](https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown)
    - [The taint node.kubernetes.io/out-of-service](https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-out-of-service)
    - [Force delete StatefulSet pods](https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/)
    - [Volumes stay attached to a dead node for 6 minutes](https://github.com/kubernetes/kubernetes/issues/53059)
    """
    nodes = {node.name: node for node in facts.list(Node)}
    lost = sorted(_lost(facts, nodes, params), key=lambda each: full_name(each.pod))
    untold = [each for each in lost if each.overdue is None]
    limit = timedelta(seconds=params.stuck_seconds)
    stuck = [each for each in lost if each.overdue is not None and each.overdue > limit]
    yield from _stuck(Status.FAIL, [each for each in stuck if each.matters], params)
    yield from _stuck(Status.WARN, [each for each in stuck if not each.matters], params)
    if untold:
        yield Finding.unknown(
            f"{counted(len(untold), 'pod')} ({full_names([each.pod for each in untold])}) on the way out, on nodes "
            "that are gone or not ready; for how long cannot be told, since the time of collection is not known.",
            subjects=[each.pod.subject for each in untold],
        )
    if not stuck and not untold:
        leaving = f" ({counted(len(lost), 'pod')} on the way out for less time)" if lost else ""
        yield Finding.ok(
            f"No pod with a volume hangs on a node not ready or gone for more than {params.stuck_seconds} s{leaving}."
        )


def _lost(facts: Facts, nodes: Mapping[str, Node], params: ScopeParameters) -> Iterator[Lost]:
    for pod in facts.list(Pod):
        if pod.metadata.deletion_timestamp is None or not pod.spec.node_name:
            continue
        node = nodes.get(pod.spec.node_name)
        if (node is not None and node.is_ready) or not (pod.claim_names or owner_of(pod) is not None):
            continue
        role = role_of(pod)
        keeps_data = bool(pod.claim_names) or (role is not None and role.keeps_data)
        yield Lost(
            pod=pod,
            node=pod.spec.node_name,
            exists=node is not None,
            fenced=node is not None and any(taint.key == _OUT_OF_SERVICE for taint in node.spec.taints or ()),
            overdue=age_at_collection(facts, pod.metadata.deletion_timestamp),
            matters=keeps_data and not params.leave_out(pod.namespace, pod.labels),
        )


def _stuck(status: Status, stuck: Sequence[Lost], params: TerminatingParameters) -> Iterator[Finding]:
    if not stuck:
        return
    pods_on = Counter(each.node for each in stuck)
    pods = f"{counted(len(stuck), 'pod')} ({full_names([each.pod for each in stuck])})"
    nodes = f"{counted(len(pods_on), 'node')} not ready or gone ({listed(sorted(pods_on))})"
    longest = max(each.overdue for each in stuck if each.overdue is not None)
    yield Finding.of(
        status,
        f"{pods} on {nodes} should have ended up to {int(longest.total_seconds())} s before the collection, at most "
        f"{params.stuck_seconds} s were expected; no replacement starts, and volumes stay attached.",
        subjects=[each.pod.subject for each in stuck],
        fix=_fix(stuck),
        evidence={
            "nodes": dict(sorted(pods_on.items())[:EXAMPLES_AT_MOST]),
            "deletionTimestamps": examples({full_name(e.pod): e.pod.metadata.deletion_timestamp for e in stuck}),
        },
    )


def _fix(stuck: Sequence[Lost]) -> Fix:
    to_fence = sorted({each.node for each in stuck if each.exists and not each.fenced})
    if to_fence:
        return Fix(
            text="Make sure that the machines are switched off, then taint their nodes as out of service.",
            command=commands(
                f"kubectl taint nodes {shlex.quote(node)} {_OUT_OF_SERVICE}=nodeshutdown:NoExecute" for node in to_fence
            ),
        )
    return Fix(
        text="Make sure that the machines are switched off, then delete the pods by force.",
        command=commands(
            f"kubectl delete pod {shlex.quote(each.pod.name)} -n {shlex.quote(each.pod.namespace or 'default')} "
            "--grace-period=0 --force"
            for each in stuck
        ),
    )
