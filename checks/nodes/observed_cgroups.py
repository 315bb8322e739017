"""Which cgroup version do containers see?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.observations.nodes import NodesObservations

from .._wording import examples
from ._observed import hidden, measured, on, subjects, unseen, visits, where_else

_V1, _V2 = 1, 2
_RELEASE = re.compile(r"(\d+)\.(\d+)")


class CgroupParameters(Parameters, frozen=True, kw_only=True):
    """The oldest kernel with a whole cgroup v2."""

    min_kernel: Annotated[
        str,
        threshold(
            "Oldest kernel release, as major.minor, on which cgroup v2 is taken for whole.",
            source="Kubernetes, About cgroup v2, requirements: Linux kernel 5.8 or later.",
        ),
    ] = "5.8"


@check(
    "nodes.cgroup-observed",
    title="Containers find cgroup v2 on the nodes",
    severity=Severity.HIGH,
    reads=(NodesObservations,),
)
def cgroup_observed(facts: Facts, params: CgroupParameters) -> Iterator[Finding]:
    """A container sees for itself which version of cgroups limits it.

    ## What it checks
    An ordinary pod on each visited node looks at `/sys/fs/cgroup`: with cgroup v2 it holds `cgroup.controllers`. The
    kernel should be at least `min_kernel`.

    `nodes.cgroup-v2` tells the same from node objects, where they are enough to tell; this check has seen it.

    ## Why it matters
    Kubernetes keeps cgroup v1 in maintenance only, and kubelets since 1.35 refuse to start on it unless `failCgroupV1`
    is switched off: the next upgrade may lose such nodes. On v1 the page cache of shuffle and log files counts up to a
    container's limit without being given back in time, and executors end with exit code 137 although their heap is
    far from full.

    ## How to fix
    Use an OS image with cgroup v2 (Amazon Linux 2023 instead of 2, RHEL 9 instead of 8, any recent Ubuntu, Debian,
    Bottlerocket, Flatcar or COS), or boot with `systemd.unified_cgroup_hierarchy=1`.

    ## References
    - [About cgroup v2](https://kubernetes.io/docs/concepts/architecture/cgroups/)
    - [KEP-5573: cgroup v1 is unsupported](https://www.kubernetes.dev/resources/keps/5573/)
    - [kubelet 1.35 refuses cgroup v1 nodes](https://github.com/kubernetes/kubernetes/issues/134298)
    """
    document = visits(facts)
    yield from unseen(document)
    versions, silent = measured(document, lambda node: node.cgroup.version or None)
    yield from hidden(silent, "the version of cgroups")
    old = [name for name, version in versions.items() if version == _V1]
    aged = {
        name: document.nodes[name].kernel
        for name, version in versions.items()
        if version == _V2 and _older(document.nodes[name].kernel, params.min_kernel)
    }
    if old:
        yield Finding.fail(
            f"Containers find cgroup v1 on {on(old)}, v2 was expected.",
            subjects=subjects(old),
            fix="Move these nodes to an OS image that boots with cgroup v2.",
            evidence=examples({name: document.nodes[name].kernel for name in old}),
        )
    if aged:
        yield Finding.warn(
            f"Containers find cgroup v2 on {on(aged)} under a kernel older than {params.min_kernel}, which Kubernetes "
            "requires for it.",
            subjects=subjects(aged),
            fix=f"Move these nodes to an OS image with a kernel of {params.min_kernel} or later.",
            evidence=examples(aged),
        )
    if good := [name for name in versions if name not in (*old, *aged)]:
        yield Finding.ok(f"Containers find cgroup v2 on {on(good)}{where_else(document)}.", subjects=subjects(good))


def _older(release: str, than: str) -> bool:
    """Whether a kernel is older; one whose release says nothing is not."""
    found, wanted = _RELEASE.match(release), _RELEASE.match(than)
    if found is None or wanted is None:
        return False
    return (int(found[1]), int(found[2])) < (int(wanted[1]), int(wanted[2]))
