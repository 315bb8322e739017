"""Do Deployments with a volume of their own stop the old pod before they start the new one?"""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum

from auditor import Facts, Finding, Fix, Severity, Status, Workload, check
from auditor.facts.kube import Deployment, Node, PersistentVolume, PersistentVolumeClaim
from auditor.facts.kube.apps import RollingUpdate
from auditor.facts.kube.nodes import HOSTNAME_LABEL

from .._nodes import data_nodes
from .._roles import Role, role_of, template_labels
from .._wording import counted, examples, full_name, full_names
from ._sets import ScopeParameters, commands

_DEFAULT_SHARE = "25%"
"""Of the replicas: what maxSurge and maxUnavailable are where nobody says otherwise."""

_SHARED_MODES = frozenset({"ReadWriteMany", "ReadOnlyMany"})
_RECREATE = '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'


class Clash(StrEnum):
    """What happens when the new pod starts beside the old one."""

    WAITS = "the new pod waits for a volume that the old one holds, and the old one for the new one to be ready"
    TWICE = "both pods run on the same files for a while"


@check(
    "stateful.recreate-strategy",
    title="Deployments with a volume of their own stop the old pod first",
    severity=Severity.HIGH,
    workloads=(Workload.ZEPPELIN,),
    reads=(Deployment, PersistentVolumeClaim, PersistentVolume, Node),
    aliases=("STS-009",),
)
def recreate_strategy(facts: Facts, params: ScopeParameters) -> Iterator[Finding]:
    r"""A Deployment with a volume that only one node can mount must stop the old pod before it starts a new one.

    ## What it checks
    Deployments that mount a claim without ReadWriteMany or ReadOnlyMany do not start a new pod while all old ones stay:
    `strategy` is `Recreate`, or `maxSurge` comes to 0, or `maxUnavailable` comes to at least 1 pod. The default for one
    replica, 25% of each, is one pod more and none less.

    It fails for Zeppelin and is a warning for any other Deployment. Where the volume lies on a node's own disk, or the
    cluster has one data node, the new pod does start, beside the old one and on its files: a warning for Zeppelin, and
    nothing for others. A ReadWriteOncePod claim never admits a second pod, wherever it runs.

    Deployments scaled to zero, in the platform's namespaces, and of monitoring are not judged.

    ## Why it matters
    The new pod lands on another node and waits: "Multi-Attach error, volume is already used by pod". The old pod is
    only stopped when the new one is ready. The update hangs until somebody deletes the old pod, mostly when a node is
    drained at night. If both land on one node, two notebook servers write the same files.

    ## How to fix
    Set the strategy in the chart or manifest, or in place:

        kubectl patch deployment NAME -n NAMESPACE \
          --patch '{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}'

    A StatefulSet of one replica stops the old pod first, too.

    ## References
    - [Deployment strategy](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy)
    - [Access modes](https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes)
    - [Zeppelin's manifest for Kubernetes](https://github.com/apache/zeppelin/blob/master/k8s/zeppelin-server.yaml)
    - [A rolling update and a ReadWriteOnce claim](https://github.com/mattermost/mattermost-helm/issues/283)
    """
    mounting = sorted((d for d in facts.list(Deployment) if _is_judged(d, params)), key=full_name)
    if not mounting:
        yield Finding.skip("No Deployment outside the platform's namespaces mounts a claim, so there is none to judge.")
        return
    sound = []
    faulty: defaultdict[tuple[Status, Clash], list[Deployment]] = defaultdict(list)
    for deployment in mounting:
        claims = _exclusive_claims(facts, deployment)
        clash = _clash(facts, claims) if claims and starts_beside(deployment) else None
        if clash is None or (status := _status(deployment, clash)) is Status.OK:
            sound.append(deployment)
        else:
            faulty[status, clash].append(deployment)
    for (status, clash), group in sorted(faulty.items(), key=lambda item: item[0]):
        yield _finding(status, clash, group)
    if sound:
        yield Finding.ok(
            f"{_named(sound)}: an update does not end in a clash over a volume.",
            subjects=[deployment.subject for deployment in sound],
        )


def _is_judged(deployment: Deployment, params: ScopeParameters) -> bool:
    template = deployment.spec.template
    if deployment.replicas == 0 or params.leave_out(deployment.namespace, template_labels(template)):
        return False
    return bool(template.spec.claim_names)


def _exclusive_claims(facts: Facts, deployment: Deployment) -> list[PersistentVolumeClaim]:
    """The claims that only one node, or one pod, can mount; a claim that does not exist stops nobody."""
    claims = (
        facts.get(PersistentVolumeClaim, name, namespace=deployment.namespace)
        for name in deployment.spec.template.spec.claim_names
    )
    return [c for c in claims if c is not None and c.spec.access_modes and not _SHARED_MODES & set(c.spec.access_modes)]


def starts_beside(deployment: Deployment) -> bool:
    """Whether an update starts a pod while all old ones stay, rounded as the Deployment controller does."""
    strategy = deployment.spec.strategy
    if strategy.type == "Recreate":
        return False
    update = strategy.rolling_update or RollingUpdate()
    surge = math.ceil(_pods(update.max_surge, deployment.replicas))
    return surge > 0 and math.floor(_pods(update.max_unavailable, deployment.replicas)) == 0


def _pods(share: int | str | None, replicas: int) -> float:
    share = _DEFAULT_SHARE if share is None else share
    return share if isinstance(share, int) else int(share.removesuffix("%")) * replicas / 100


def _clash(facts: Facts, claims: Sequence[PersistentVolumeClaim]) -> Clash:
    if any("ReadWriteOncePod" in (claim.spec.access_modes or ()) for claim in claims):
        return Clash.WAITS
    if len(data_nodes(facts)) == 1 or any(_is_of_one_node(facts, claim) for claim in claims):
        return Clash.TWICE
    return Clash.WAITS


def _is_of_one_node(facts: Facts, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume lies on a node's own disk, so that both pods have to run there."""
    volume = facts.get(PersistentVolume, claim.spec.volume_name) if claim.spec.volume_name else None
    if volume is None:
        return False
    if volume.spec.local is not None or volume.spec.host_path is not None:
        return True
    required = volume.spec.node_affinity.required if volume.spec.node_affinity is not None else None
    return any(
        requirement.key == HOSTNAME_LABEL or requirement.key.endswith(("/node", "/hostname"))
        for term in (required.node_selector_terms if required is not None else ())
        for requirement in term.match_expressions or ()
    )


def _status(deployment: Deployment, clash: Clash) -> Status:
    if role_of(deployment) is Role.ZEPPELIN:
        return Status.FAIL if clash is Clash.WAITS else Status.WARN
    return Status.WARN if clash is Clash.WAITS else Status.OK


def _named(deployments: Sequence[Deployment]) -> str:
    names = full_names(deployments)
    return f"Deployment {names}" if len(deployments) == 1 else f"{counted(len(deployments), 'Deployment')} ({names})"


def _finding(status: Status, clash: Clash, deployments: Sequence[Deployment]) -> Finding:
    return Finding.of(
        status,
        f"{_named(deployments)}: an update starts the new pod while the old one has the volume, the other order was "
        f"expected; {clash}.",
        subjects=[deployment.subject for deployment in deployments],
        fix=Fix(
            text="Set the strategy to Recreate where the Deployment is defined.",
            command=commands(
                f"kubectl patch deployment {shlex.quote(d.name)} -n {shlex.quote(d.namespace or 'default')} "
                f"--patch '{_RECREATE}'"
                for d in deployments
            ),
        ),
        evidence=examples({full_name(d): {"claims": list(d.spec.template.spec.claim_names)} for d in deployments}),
    )
