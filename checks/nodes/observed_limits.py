"""May a broker or DataNode open enough files and map enough of them?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.nodes import UNLIMITED, NodeObservation, NodesObservations

from .._wording import examples
from ._observed import hidden, measured, on, subjects, unseen, visits, where_else

_MAPS_PER_SEGMENT = 2


class OpenFilesParameters(Parameters, frozen=True, kw_only=True):
    """How many files a process must be able to open."""

    min_open_files: Annotated[
        int,
        threshold(
            "Files that a process in a container may have open, by its hard limit.",
            source="Apache Kafka, Hardware and OS: at least 100000 descriptors for brokers as a starting point.",
            ge=1,
        ),
    ] = 100_000


class MapAreasParameters(Parameters, frozen=True, kw_only=True):
    """How many memory map areas a process must be able to have."""

    min_map_areas: Annotated[
        int,
        threshold(
            "Memory map areas that a process may have (vm.max_map_count).",
            source="No upstream number; four times the kernel's 65530, which Apache Kafka's documentation warns of.",
            ge=1,
        ),
    ] = 262_144


@check(
    "nodes.open-files",
    title="Containers may open enough files",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA, Workload.HDFS),
    reads=(NodesObservations,),
    aliases=("NOD-006",),
)
def open_files(facts: Facts, params: OpenFilesParameters) -> Iterator[Finding]:
    """Brokers and DataNodes keep a file open per log segment, block and connection.

    ## What it checks
    The hard limit on open files (`ulimit -Hn`) of an ordinary container on each visited node is at least
    `min_open_files`. The soft limit, often 1,024, does not count: Java raises it to the hard one by itself.

    ## Why it matters
    Containers inherit the limit of the container runtime's service. Where that has none of its own, or a small one, a
    broker with some thousand partitions ends with "Too many open files" and takes its log directory offline.

    ## How to fix
    Give the runtime's service a limit by a drop-in on the nodes, and restart it:

        # /etc/systemd/system/containerd.service.d/limits.conf
        [Service]
        LimitNOFILE=1048576

    CRI-O has `default_ulimits` in its configuration. On managed nodes this belongs into the launch template or pool
    configuration.

    ## References
    - [Apache Kafka: hardware and OS](https://kafka.apache.org/documentation/#os)
    - [containerd 2.0: LimitNOFILE has been removed](https://github.com/containerd/containerd/blob/main/docs/containerd-2.0.md#limitnofile-configuration-has-been-removed)
    - [Pods with 1,024 open files](https://github.com/canonical/k8s-snap/issues/718)
    - [systemd: LimitNOFILE](https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Process%20Properties)
    """
    document = visits(facts)
    yield from unseen(document)
    limits, silent = measured(document, lambda node: node.limits.get("nofile"))
    yield from hidden(silent, "the limit on open files")
    low = {n: limit.hard for n, limit in limits.items() if UNLIMITED < limit.hard < params.min_open_files}
    if low:
        yield Finding.fail(
            f"A process in a container on {on(low)} may open {_span(low)} files, "
            f"at least {params.min_open_files:,} were expected.",
            subjects=subjects(low),
            fix="Raise LimitNOFILE of the container runtime's service on these nodes, and restart it.",
            evidence=examples({name: {"soft": limits[name].soft, "hard": limits[name].hard} for name in low}),
        )
    if good := [name for name in limits if name not in low]:
        yield Finding.ok(
            f"A process in a container on {on(good)} may open {params.min_open_files:,} files or more"
            f"{where_else(document)}.",
            subjects=subjects(good),
        )


@check(
    "nodes.map-areas",
    title="Brokers may map the indexes of all their log segments",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(NodesObservations,),
    aliases=("NOD-007",),
)
def map_areas(facts: Facts, params: MapAreasParameters) -> Iterator[Finding]:
    """A broker maps two index files per log segment, and the kernel limits the maps of a process.

    ## What it checks
    `vm.max_map_count`, which is one for the whole node and visible in every container, is at least `min_map_areas`.
    Less is a warning: whether a broker gets there depends on its partitions, their size and retention.

    ## Why it matters
    With the kernel's default of 65,530 a broker has room for some 32,000 segments. The next one ends it with
    "OutOfMemoryError: Map failed", and so does every restart, until the limit is raised. Brokers with 300,000 maps have
    been seen in production.

    ## How to fix
    Set it on the nodes, by their image, the pool's configuration (AKS `linuxOSConfig`, GKE node system configuration,
    the Node Tuning Operator) or a privileged DaemonSet:

        sysctl --write vm.max_map_count=262144

    Pods cannot set it themselves: it is not a namespaced setting.

    ## References
    - [Apache Kafka: hardware and OS](https://kafka.apache.org/documentation/#os)
    - [A broker with 305,784 maps](https://github.com/utilitywarehouse/tf_kube_ignition/pull/185)
    - [GKE node system configuration](https://cloud.google.com/kubernetes-engine/docs/how-to/node-system-config)
    - [AKS custom node configuration](https://learn.microsoft.com/azure/aks/custom-node-configuration)
    """
    document = visits(facts)
    yield from unseen(document)
    areas, silent = measured(document, _map_areas)
    yield from hidden(silent, "vm.max_map_count")
    low = {name: value for name, value in areas.items() if value < params.min_map_areas}
    if low:
        room = min(low.values()) // _MAPS_PER_SEGMENT
        yield Finding.warn(
            f"A process on {on(low)} may have {_span(low)} map areas, at least {params.min_map_areas:,} were expected: "
            f"a broker has room for {room:,} log segments at most.",
            subjects=subjects(low),
            fix=f"Set vm.max_map_count to {params.min_map_areas} or more on the nodes of brokers.",
            command=f"sysctl --write vm.max_map_count={params.min_map_areas}",
            evidence=examples(low),
        )
    if good := [name for name in areas if name not in low]:
        yield Finding.ok(
            f"A process on {on(good)} may have {params.min_map_areas:,} map areas or more{where_else(document)}.",
            subjects=subjects(good),
        )


def _map_areas(node: NodeObservation) -> int | None:
    return node.sysctl("vm.max_map_count")


def _span(values: dict[str, int]) -> str:
    """``1,024``, ``1,024 to 65,536``."""
    least, most = min(values.values()), max(values.values())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
