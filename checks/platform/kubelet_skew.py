"""Do the kubelets fit the API server?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import Node
from auditor.facts.version import SERVER_VERSION, KubeVersion, parse_version, server_version

from .._wording import counted, examples, listed
from ._server import unknown_version
from ._virtual import is_fargate, is_virtual

_FIRST_WITH_THREE = 25
"""Kubelets older than 1.25 may be two minor releases behind, and no more."""

_UPGRADE = "kubectl get nodes --output custom-columns=NODE:.metadata.name,KUBELET:.status.nodeInfo.kubeletVersion"

_Kubelets = Sequence[tuple[Node, KubeVersion]]


class SkewParameters(Parameters, frozen=True, kw_only=True):
    """How far kubelets may be behind."""

    max_minors_behind: Annotated[
        int,
        threshold(
            "Minor releases that a kubelet may be older than the API server.",
            source="Kubernetes version skew policy: three (two for kubelets older than 1.25); GKE allows two.",
            ge=0,
            le=3,
        ),
    ] = 3


@check(
    "platform.kubelet-skew",
    title="Every kubelet has a version that the API server supports",
    severity=Severity.HIGH,
    reads=(SERVER_VERSION, Node),
    aliases=("PLT-002-SKEW",),
)
def kubelet_skew(facts: Facts, params: SkewParameters) -> Iterator[Finding]:
    """No kubelet is newer than the API server, and none is too old for it.

    ## What it checks
    `status.nodeInfo.kubeletVersion` of every node against the version of the API server: not a newer minor release, and
    at most three minor releases older (two, if the kubelet is older than 1.25). Patch releases may differ. Virtual
    kubelets and simulated nodes have versions of their own and are left out; Fargate's are kubelets like others.

    ## Why it matters
    Nobody tests other combinations. A kubelet that is newer sends fields and calls APIs that the server does not know;
    one that is too old does not see fields that the server relies on, in volumes, in-place resizing and pod lifecycle,
    so that a broker's volume or a job's resources are handled by rules that no longer hold. The next upgrade of the
    control plane is refused, or breaks these nodes.

    ## How to fix
    Drain the old nodes one by one and upgrade them, or replace their pool:

        kubectl get nodes --output wide

    Kubelets that are newer: upgrade the control plane first.

    ## References
    - [Version skew policy: kubelet](https://kubernetes.io/releases/version-skew-policy/#kubelet)
    - [Upgrade a cluster](https://kubernetes.io/docs/tasks/administer-cluster/cluster-upgrade/)
    """
    try:
        server = server_version(facts)
    except ValueError as error:
        yield unknown_version(error)
        return
    nodes = sorted(facts.list(Node), key=lambda node: node.name)
    judged = [node for node in nodes if is_fargate(node) or not is_virtual(node)]
    if not judged:
        yield Finding.unknown(f"No node is a machine of the cluster ({counted(len(nodes), 'node')} in all).")
        return
    kubelets: list[tuple[Node, KubeVersion]] = []
    strange: list[Node] = []
    for node in judged:
        try:
            kubelets.append((node, parse_version(node.status.node_info.kubelet_version)))
        except ValueError:
            strange.append(node)
    yield from _judge(server, kubelets, params)
    if strange:
        yield _not_told(strange)


def _judge(server: KubeVersion, kubelets: _Kubelets, params: SkewParameters) -> Iterator[Finding]:
    newer = [(node, version) for node, version in kubelets if version.minors_behind(server) < 0]
    older = [(node, version) for node, version in kubelets if version.minors_behind(server) > _allowed(version, params)]
    if newer:
        yield Finding.fail(
            f"{_counted(newer, kubelets)} newer than the API server, {server}; none may be.",
            subjects=[node.subject for node, _ in newer],
            fix="Upgrade the control plane before its nodes.",
            command=_UPGRADE,
            evidence=_seen(server, newer),
        )
    if older:
        yield Finding.fail(
            f"{_counted(older, kubelets)} too old for the API server, {server}: at most "
            f"{counted(params.max_minors_behind, 'minor release')} older was expected{_before_three(older)}.",
            subjects=[node.subject for node, _ in older],
            fix="Drain these nodes one by one and upgrade them, or replace their pool.",
            command=_UPGRADE,
            evidence=_seen(server, older),
        )
    if kubelets and not newer and not older:
        yield Finding.ok(
            f"The API server, {server}, supports {counted(len(kubelets), 'kubelet')} ({_versions(kubelets)}).",
            evidence={"server": str(server)},
        )


def _before_three(older: _Kubelets) -> str:
    oldest = min(version for _, version in older)
    return f", and 2 for kubelets before 1.{_FIRST_WITH_THREE}" if oldest.minor < _FIRST_WITH_THREE else ""


def _allowed(kubelet: KubeVersion, params: SkewParameters) -> int:
    return params.max_minors_behind if kubelet.minor >= _FIRST_WITH_THREE else min(params.max_minors_behind, 2)


def _counted(some: _Kubelets, kubelets: _Kubelets) -> str:
    """``2 of 5 kubelets (a and b: v1.34.1) are``."""
    names = listed([node.name for node, _ in some])
    return (
        f"{len(some)} of {counted(len(kubelets), 'kubelet')} ({names}: {_versions(some)}) "
        f"{'is' if len(some) == 1 else 'are'}"
    )


def _versions(kubelets: _Kubelets) -> str:
    return listed([str(version) for version in sorted({version for _, version in kubelets})])


def _seen(server: KubeVersion, kubelets: _Kubelets) -> dict[str, object]:
    return {"server": str(server), "kubelets": examples({node.name: str(version) for node, version in kubelets})}


def _not_told(nodes: Sequence[Node]) -> Finding:
    said = sorted({node.status.node_info.kubelet_version or "nothing" for node in nodes})
    return Finding.unknown(
        f"The kubelets of {counted(len(nodes), 'node')} ({listed([node.name for node in nodes])}) state no version of "
        f"Kubernetes but {listed(said)}.",
        subjects=[node.subject for node in nodes],
        fix="Look up which release these kubelets are.",
        command=_UPGRADE,
    )
