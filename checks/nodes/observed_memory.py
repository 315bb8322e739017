"""Memory as containers find it: swap, compaction for huge pages, and room in /dev/shm."""

from __future__ import annotations

from collections.abc import Iterator

from auditor import STATEFUL_WORKLOADS, Facts, Finding, Severity, Workload, check
from auditor.facts.observations import StepState
from auditor.facts.observations.nodes import NodeObservation, NodesObservations

from .._wording import examples
from ._observed import hidden, measured, on, subjects, unseen, visits, where_else
from ._shared import gib

_MIB = 1024**2

_REFUSALS = {"Admission", "LimitRange", "PodSecurity", "Refused", "Webhook"}
"""Reasons of a cause that say: this cluster does not admit such a pod; where it admits others, for its volume."""


@check(
    "nodes.swap-observed",
    title="Containers of data systems cannot be swapped out",
    severity=Severity.MEDIUM,
    workloads=(*STATEFUL_WORKLOADS, Workload.SPARK),
    reads=(NodesObservations,),
)
def swap_observed(facts: Facts) -> Iterator[Finding]:
    """A container sees the node's swap, and how much of it it may use.

    ## What it checks
    An ordinary, Burstable pod on each visited node reads the node's swap and its own limit on it: no swap, or a limit
    of 0 bytes, is as it should be; a share of the swap (`LimitedSwap`) is a warning; no limit fails.

    `nodes.no-swap` tells the same from node objects and the kubelet's configuration; this check has seen it.

    ## Why it matters
    A garbage collector walks the whole heap; if parts of it lie on disk, a pause of milliseconds takes many seconds, a
    broker or DataNode misses its heartbeats, and a healthy process is taken for dead.

    ## How to fix
    Switch swap off on nodes for data (`swapoff -a`, and out of /etc/fstab), or leave the kubelet's `swapBehavior` at
    `NoSwap`. Pods of the class Guaranteed, whose requests equal their limits, never swap.

    ## References
    - [Swap memory management](https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/)
    - [Linux node swap behaviors](https://kubernetes.io/docs/reference/node/swap-behavior/)
    """
    document = visits(facts)
    yield from unseen(document)
    totals, silent = measured(document, lambda node: node.swap.total_bytes)
    yield from hidden(silent, "how much swap there is")
    swapping = {name: document.nodes[name].swap for name, total in totals.items() if total}
    free = [n for n, swap in swapping.items() if swap.allowed_bytes is not None and swap.allowed_bytes < 0]
    limited = [n for n, swap in swapping.items() if swap.allowed_bytes is not None and swap.allowed_bytes > 0]
    evidence = {name: {"swap_bytes": s.total_bytes, "allowed_bytes": s.allowed_bytes} for name, s in swapping.items()}
    yield from hidden(
        [n for n, swap in swapping.items() if swap.allowed_bytes is None],
        "whether it may use the node's swap",
    )
    if free:
        most = max(totals[name] for name in free)
        yield Finding.fail(
            f"All containers on {on(free)} can be swapped out to {gib(most)}, none was expected to.",
            subjects=subjects(free),
            fix="Switch swap off on nodes for data, or set the kubelet's swapBehavior to NoSwap.",
            evidence=examples({name: evidence[name] for name in free}),
        )
    if limited:
        yield Finding.warn(
            f"Burstable containers on {on(limited)} can be swapped out in part, none was expected to.",
            subjects=subjects(limited),
            fix="Set requests equal to limits for pods of data systems, or swapBehavior to NoSwap on their nodes.",
            evidence=examples({name: evidence[name] for name in limited}),
        )
    if good := [name for name in totals if name not in swapping or swapping[name].allowed_bytes == 0]:
        yield Finding.ok(
            f"Containers on {on(good)} cannot be swapped out{where_else(document)}.", subjects=subjects(good)
        )


@check(
    "nodes.huge-page-compaction",
    title="The kernel does not stop processes to make huge pages",
    severity=Severity.MEDIUM,
    workloads=(Workload.HDFS, Workload.DATA_FABRIC),
    reads=(NodesObservations,),
)
def huge_page_compaction(facts: Facts) -> Iterator[Finding]:
    """Transparent huge pages are no trouble by themselves; compacting memory for every one of them is.

    ## What it checks
    `/sys/kernel/mm/transparent_hugepage` on each visited node: `enabled` and `defrag` are not both `always`. The
    kernel's own default for `defrag`, `madvise`, is fine with any setting of `enabled`.

    ## Why it matters
    With both at `always`, any process that touches new memory may have to wait until the kernel has moved other pages
    about. On Hadoop clusters that showed as very high system time on all processors, and as pauses of DataNodes.

    ## How to fix
    On the nodes, by their image or the pool's configuration:

        echo madvise > /sys/kernel/mm/transparent_hugepage/defrag

    ## References
    - [Kernel: transparent hugepage support](https://docs.kernel.org/admin-guide/mm/transhuge.html)
    - [Cloudera: kernel and OS tuning](https://docs.cloudera.com/cdp-reference-architectures/latest/cdp-pvc-base-ra/topics/ra-cdpdc-kernel-and-os-tuning.html)
    - [Transparent huge pages and Hadoop workloads](https://structureddata.org/2012/06/18/linux-6-transparent-huge-pages-and-hadoop-workloads/)
    """
    document = visits(facts)
    yield from unseen(document)
    settings, silent = measured(document, _huge_page_settings)
    yield from hidden(silent, "the settings of transparent huge pages")
    stalling = {name: chosen for name, chosen in settings.items() if chosen == ("always", "always")}
    if stalling:
        yield Finding.warn(
            f"The kernel compacts memory for every process that could have huge pages on {on(stalling)}: "
            "defrag is always, madvise was expected.",
            subjects=subjects(stalling),
            fix="Set defrag to madvise on the nodes of DataNodes, and in their image.",
            command="echo madvise > /sys/kernel/mm/transparent_hugepage/defrag",
        )
    if good := [name for name in settings if name not in stalling]:
        yield Finding.ok(
            f"The kernel does not stop processes to make huge pages on {on(good)}{where_else(document)}.",
            subjects=subjects(good),
            evidence=examples({n: {"enabled": settings[n][0], "defrag": settings[n][1]} for n in good}),
        )


@check(
    "nodes.shared-memory",
    title="Pods may have a larger /dev/shm",
    severity=Severity.HIGH,
    workloads=(Workload.TENSORFLOW, Workload.CAFFE),
    reads=(NodesObservations,),
    aliases=("MLX-002",),
)
def shared_memory(facts: Facts) -> Iterator[Finding]:
    """Training passes batches between processes through /dev/shm, for which runtimes give 64 MiB.

    ## What it checks
    A pod with an emptyDir of `medium: Memory` at /dev/shm, twice as large as the default, is admitted, finds the size
    that it asked for, and can fill it beyond the default.

    ## Why it matters
    Data loaders and NCCL end with "Bus error" or "No space left on device" when 64 MiB are full. A larger /dev/shm is
    the only remedy that needs no privileges; where a policy forbids volumes in memory, training does not run.

    ## How to fix
    Allow emptyDir in the policy that refuses it, and mount one in every template of training pods. It counts against
    the container's memory limit:

        volumes:
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: 8Gi}
        volumeMounts:
        - {name: shm, mountPath: /dev/shm}

    ## References
    - [emptyDir](https://kubernetes.io/docs/concepts/storage/volumes/#emptydir)
    - [/dev/shm of 64 MiB](https://github.com/kubernetes/kubernetes/issues/28272)
    - [Bus error in data loaders](https://github.com/kubeflow/pipelines/issues/6510)
    """
    document = visits(facts)
    step = document.shared_memory
    asked, size = (int(step.detail.get(key, 0)) for key in ("asked_bytes", "size_bytes"))
    written, cause = int(step.detail.get("written_bytes", 0)), step.cause
    fix = "Allow emptyDir volumes with medium Memory, and mount one at /dev/shm in templates of training pods."
    if step.state is StepState.OK and size >= asked:
        yield Finding.ok(
            f"A pod may have a /dev/shm of {asked // _MIB} MiB and more as an emptyDir in memory; without one it has "
            f"{_default(document)}."
        )
    elif step.state is StepState.OK:
        yield Finding.fail(
            f"A pod that asks for a /dev/shm of {asked // _MIB} MiB gets {size // _MIB} MiB, of which "
            f"{written // _MIB} MiB could be written.",
            fix=fix,
            evidence=dict(step.detail),
        )
    elif cause is not None and cause.reason in _REFUSALS and document.nodes:
        yield Finding.fail(
            f"A pod with a larger /dev/shm is not admitted ({cause.reason}): {cause.message.rstrip('.')}.",
            fix=fix,
            evidence={"events": list(cause.events)},
        )
    else:
        why = f"{cause.message.rstrip('.')} ({cause.reason})" if cause is not None else "it was not tried"
        yield Finding.unknown(
            f"Whether a pod may have a larger /dev/shm could not be told: {why}.",
            fix="Remove what kept the probe's pod from running, and probe again.",
            evidence={"events": list(cause.events), "log": list(cause.log_tail)} if cause is not None else {},
        )


def _huge_page_settings(node: NodeObservation) -> tuple[str, str] | None:
    """``enabled`` and ``defrag``; None where one of them could not be read."""
    if not node.transparent_huge_pages or not node.transparent_huge_pages_defrag:
        return None
    return node.transparent_huge_pages, node.transparent_huge_pages_defrag


def _default(document: NodesObservations) -> str:
    """What containers have at /dev/shm by default, as a message says it."""
    sizes = sorted(
        {n.file_systems["shm"].size_bytes // _MIB for n in document.nodes.values() if "shm" in n.file_systems}
    )
    if not sizes:
        return "what the runtime gives"
    return f"{sizes[0]} MiB" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} MiB"
