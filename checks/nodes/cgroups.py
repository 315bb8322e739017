"""Which version of cgroups do the nodes run, as far as it can be told without looking?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor import Facts, Finding, Fix, Severity, Status, check
from auditor.facts.kube import Node
from auditor.facts.kubelet import KUBELET_PARTS, REFUSES_CGROUP_V1_SINCE, KubeletConfiguration, kubelet_configuration
from auditor.facts.version import KubeVersion, parse_version

from .._nodes import workers
from .._wording import counted, examples, listed
from ._shared import names, no_node_to_judge

_FIRST_KERNEL = (5, 8)
"""From this kernel on Kubernetes supports cgroup v2."""

_BACKPORTS = re.compile(r"\.el8")
"""Red Hat's kernel 4.18 has cgroup v2 from later ones."""

_V1_ONLY = re.compile(
    r"Amazon Linux 2(?: \(.*\))?$|(Red Hat Enterprise Linux|CentOS|Oracle Linux|Scientific Linux)\D* 7\b"
)
"""OS images whose systemd, 219, knows only cgroup v1."""

_V1_BY_DEFAULT = re.compile(
    r"(Red Hat Enterprise Linux|CentOS|Rocky Linux|AlmaLinux|Oracle Linux)( \D*| )8\b"
    r"|Red Hat Enterprise Linux CoreOS 4([6-9]|1[0-3])\."
    r"|Ubuntu (1\d\.\d\d|20\.\d\d|21\.04)\b"
    r"|Debian GNU/Linux (8|9|10)\b"
    r"|Fedora\D* (2\d|30)\b"
    r"|Flatcar .* (1\d{3}|2[0-8]\d\d|29[0-5]\d|296[0-8])\."
)
"""OS images that boot with cgroup v1 unless their kernel's command line says otherwise."""

_KERNEL = re.compile(r"(?P<major>\d+)\.(?P<minor>\d+)")

_DEFAULT_SINCE = ".".join(map(str, REFUSES_CGROUP_V1_SINCE))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is told of a node, and why."""

    status: Status
    reason: str


@check(
    "nodes.cgroup-v2",
    title="The nodes run cgroup v2",
    severity=Severity.HIGH,
    reads=(Node, *KUBELET_PARTS),
    aliases=("NOD-004",),
)
def cgroup_v2(facts: Facts) -> Iterator[Finding]:
    """With cgroup v2 the kernel gives page cache back before it kills a pod, and Kubernetes no longer supports v1.

    ## What it checks
    The API does not tell a node's version of cgroups, so that the check goes by what proves it:

    - A kernel before 5.8, which Kubernetes asks for, and OS images whose systemd knows only v1 (Amazon Linux 2, the
      family of RHEL 7), fail.
    - OS images that boot with v1 unless they are told otherwise (RHEL 8, Ubuntu 20.04, Debian 10 …) are a warning.
    - A kubelet whose configuration has `failCgroupV1`, the default since 1.35, does not start on v1: where it runs, v2
      is proved. The configuration is that of one node (`auditor collect --kubelet-config`) or kubeadm's.
    - Everything else is unknown, an OS image that boots with v2 by default too: nodes in containers have the image of
      the container and the cgroups of the host. `stat -fc %T /sys/fs/cgroup` on the node tells.

    Judged are Linux machines that are there for pods, not Fargate, virtual-kubelet or KWOK.

    ## Why it matters
    On v1 the page cache of a shuffle or a log segment counts towards the container's limit, and executors are killed
    with exit code 137 although their heap is half empty. The kubelet of 1.35 refuses to start on v1: the next upgrade
    of the nodes fails.

    ## How to fix
    Move the nodes to an OS image that boots with v2 (Amazon Linux 2023, Bottlerocket, RHEL 9, Ubuntu 22.04, Debian 12).
    On an image that knows both, add `systemd.unified_cgroup_hierarchy=1` to the kernel's command line. Java before
    8u372, 11.0.16 and 15 does not see v2's limits: rebuild such images first.

    ## References
    - [About cgroup v2](https://kubernetes.io/docs/concepts/architecture/cgroups/)
    - [KEP-5573: remove cgroup v1](https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5573-cgroup-v1-unsupported)
    - [runc: distributions with cgroup v2](https://github.com/opencontainers/runc/blob/main/docs/cgroup-v2.md)
    - [Amazon Linux 2023: cgroup v2](https://docs.aws.amazon.com/linux/al2023/ug/cgroupv2.html)
    - [Spark: executors killed for page cache](https://awslabs.github.io/data-on-eks/docs/bestpractices/analytics/spark-oom-kills)
    """
    nodes = workers(facts)
    if not nodes:
        yield no_node_to_judge(facts)
        return
    certain = {node.name: verdict for node in nodes if (verdict := _by_machine(node)) is not None}
    yield from _findings([node for node in nodes if node.name in certain], certain)
    if rest := [node for node in nodes if node.name not in certain]:
        configuration = kubelet_configuration(facts)
        yield from _findings(rest, {node.name: _by_kubelet(node, configuration) for node in rest})


def _by_machine(node: Node) -> _Verdict | None:
    """What kernel and OS image tell for certain; a kubelet that may refuse v1 speaks against what is only a default."""
    info = node.status.node_info
    if _V1_ONLY.search(info.os_image):
        return _Verdict(Status.FAIL, f"{info.os_image} knows only cgroup v1")
    kernel = _KERNEL.match(info.kernel_version)
    if kernel is not None and not _BACKPORTS.search(info.kernel_version):
        version = (int(kernel["major"]), int(kernel["minor"]))
        if version < _FIRST_KERNEL:
            return _Verdict(
                Status.FAIL, f"kernel {kernel[0]} is older than 5.8, which Kubernetes asks for on cgroup v2"
            )
    kubelet = _kubelet(node)
    if _boots_with_v1(node) and kubelet is not None and (kubelet.major, kubelet.minor) < REFUSES_CGROUP_V1_SINCE:
        return _Verdict(Status.WARN, f"{info.os_image} boots with cgroup v1 unless it is told otherwise")
    return None


def _by_kubelet(node: Node, configuration: KubeletConfiguration | None) -> _Verdict:
    kubelet = _kubelet(node)
    if kubelet is None:
        return _Verdict(Status.UNKNOWN, "the kubelet's version is not told")
    if configuration is not None and configuration.refuses_cgroup_v1(kubelet):
        said = "sets failCgroupV1" if configuration.fail_cgroup_v1 else "leaves failCgroupV1 at its default, true"
        return _Verdict(
            Status.OK,
            f"kubelet {kubelet.release} runs and refuses cgroup v1 ({configuration.source} {said})",
        )
    if (kubelet.major, kubelet.minor) < REFUSES_CGROUP_V1_SINCE:
        reason = (
            f"kubelet {kubelet.release} runs on both, and the OS image {node.status.node_info.os_image} is no proof"
        )
    elif configuration is None:
        reason = f"kubelet {kubelet.release} refuses cgroup v1 unless it is configured otherwise, which was not read"
    else:
        reason = (
            f"kubelet {kubelet.release} is told to accept cgroup v1 ({configuration.source} has failCgroupV1: false)"
        )
    return _Verdict(Status.UNKNOWN, reason)


def _boots_with_v1(node: Node) -> bool:
    return _V1_BY_DEFAULT.search(node.status.node_info.os_image) is not None


def _kubelet(node: Node) -> KubeVersion | None:
    try:
        return parse_version(node.status.node_info.kubelet_version)
    except ValueError:
        return None


def _findings(nodes: Sequence[Node], verdicts: dict[str, _Verdict]) -> Iterator[Finding]:
    """One finding per status, with the reasons and how many nodes have each."""
    by_status: defaultdict[Status, list[Node]] = defaultdict(list)
    for node in nodes:
        by_status[verdicts[node.name].status].append(node)
    for status, group in sorted(by_status.items()):
        yield Finding.of(
            status,
            _message(status, group, verdicts),
            subjects=[node.subject for node in group],
            fix=_FIXES.get(status),
            evidence=_seen(group),
        )


def _message(status: Status, nodes: Sequence[Node], verdicts: dict[str, _Verdict]) -> str:
    counts: defaultdict[str, int] = defaultdict(int)
    for node in nodes:
        counts[verdicts[node.name].reason] += 1
    many = len(counts) > 1
    reasons = listed([f"{reason} ({count})" if many else reason for reason, count in sorted(counts.items())])
    return _SENTENCES[status].format(nodes=f"{counted(len(nodes), 'node')} ({names(nodes)})", reasons=reasons)


_SENTENCES = {
    Status.OK: "Cgroup v2 on {nodes}: {reasons}.",
    Status.WARN: "Cgroup v1 by default on {nodes}, v2 was expected: {reasons}.",
    Status.FAIL: "No cgroup v2 on {nodes}, which was expected: {reasons}.",
    Status.UNKNOWN: "Whether cgroup v2 runs on {nodes} cannot be told: {reasons}.",
}

_FIXES = {
    Status.WARN: Fix(
        text="Look at each node (cgroup2fs is v2); move it to an OS image that boots with cgroup v2.",
        command="stat -fc %T /sys/fs/cgroup",
    ),
    Status.FAIL: Fix(text="Move the nodes to an OS image with kernel 5.8 or later that boots with cgroup v2."),
    Status.UNKNOWN: Fix(
        text=f"Collect one node's kubelet configuration (it proves v2 from {_DEFAULT_SINCE} on), or look at the nodes.",
        command="auditor collect --kubelet-config",
    ),
}


def _seen(nodes: Sequence[Node]) -> dict[str, object]:
    return examples(
        {
            node.name: {
                "osImage": node.status.node_info.os_image,
                "kernelVersion": node.status.node_info.kernel_version,
                "kubeletVersion": node.status.node_info.kubelet_version,
            }
            for node in nodes
        }
    )
