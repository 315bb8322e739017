"""How fast are volumes, and the nodes' own disks? Measured by the storage probe for a few seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, Workload, check, threshold
from auditor.facts.observations.storage import BIND, DISK, DiskSpeed, StorageObservations

from .._wording import examples
from ._observed import classes, nothing_proved, quoted, subjects, volumes

_MEGA = 1e6
_MILLI = 1e-3
_GIB = 1024**3

Speeds = dict[str, DiskSpeed]


class VolumeSpeedParameters(Parameters, frozen=True, kw_only=True):
    """What volumes must bear."""

    written_megabytes_per_second: Annotated[
        float,
        threshold(
            "MB (10^6 bytes) per second that a volume must take of sequential writes.",
            source="No upstream number; the smallest gp3 disk of AWS gives 125 MB/s.",
            ge=0,
        ),
    ] = 100
    sync_p99_milliseconds: Annotated[
        float,
        threshold(
            "Milliseconds within which 99 of 100 writes of 8 KiB must be synced; more is a warning.",
            source="etcd's own figure for its log, which the logs of KRaft, JournalNodes and ZooKeeper resemble.",
            ge=0.001,
        ),
    ] = 10
    failing_sync_p99_milliseconds: Annotated[
        float,
        threshold(
            "Milliseconds at which slow syncs fail.",
            source="No upstream number; ten times the figure of etcd, where elections begin to time out.",
            ge=0.001,
        ),
    ] = 100


class NodeDiskParameters(Parameters, frozen=True, kw_only=True):
    """What the nodes' own disks must bear."""

    written_megabytes_per_second: Annotated[
        float,
        threshold(
            "MB (10^6 bytes) per second that an emptyDir must take of sequential writes.",
            source="No upstream number; half of what a SATA SSD gives.",
            ge=0,
        ),
    ] = 200
    random_iops: Annotated[
        float,
        threshold(
            "Reads and writes of 4 KiB per second, together, that an emptyDir must bear.",
            source="No upstream number; the baseline of a gp3 disk of AWS.",
            ge=0,
        ),
    ] = 3000


@check(
    "storage.volume-speed",
    title="Volumes sync fast enough for logs, and take sequential writes",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA, Workload.HDFS, Workload.FLINK),
    reads=(StorageObservations,),
    aliases=("STO-019",),
)
def volume_speed(facts: Facts, params: VolumeSpeedParameters) -> Iterator[Finding]:
    """A volume of each class was written for some seconds.

    ## What it checks
    With fio where the image has it, with the probe's own agent otherwise (the evidence names the tool), one measurement
    after another:

    - 99 of 100 syncs after a write of 8 KiB end within `sync_p99_milliseconds`; more is a warning, and from
      `failing_sync_p99_milliseconds` on it fails;
    - sequential writes reach `written_megabytes_per_second`; less is a warning, since many clouds give more to larger
      volumes, and the probe's are small: its option `storage_bytes` makes them as large as the real ones.

    A few seconds show gross faults. Burst credits and neighbours take longer to show; the benchmarks do that.

    ## Why it matters
    KRaft, JournalNodes and ZooKeeper answer only after their log is on disk: a slow sync is the latency of the whole
    system, and a very slow one its elections.

    ## How to fix
    Use a class of SSDs or of provisioned IOPS, or local NVMe for systems that replicate by themselves.

    ## References
    - [etcd: hardware recommendations](https://etcd.io/docs/latest/op-guide/hardware/)
    - [etcd: what does the warning "failed to send out heartbeat on time" mean](https://etcd.io/docs/latest/faq/)
    - [fio](https://fio.readthedocs.io/en/latest/fio_doc.html)
    - [Kafka: disks and file system](https://kafka.apache.org/documentation/#diskandfs)
    """
    document = volumes(facts)
    yield from nothing_proved(document)
    speeds = {name: seen.disk for name, seen in sorted(document.classes.items()) if seen.disk is not None}
    limit, failing = params.sync_p99_milliseconds * _MILLI, params.failing_sync_p99_milliseconds * _MILLI
    very_slow = {name: speed for name, speed in speeds.items() if speed.sync.p99_seconds >= failing}
    slow = {n: speed for n, speed in speeds.items() if speed.sync.p99_seconds > limit and n not in very_slow}
    for seen, speak in ((very_slow, Finding.fail), (slow, Finding.warn)):
        if seen:
            worst = max(speed.sync.p99_seconds for speed in seen.values())
            yield speak(
                f"99 of 100 synced writes to volumes of {classes(seen)} took up to {worst / _MILLI:.1f} ms, at most "
                f"{params.sync_p99_milliseconds:g} ms were expected.",
                subjects=subjects(seen),
                fix="Use a class of SSDs or of provisioned IOPS for logs.",
                evidence=_told(seen),
            )
    thin = {name: s for name, s in speeds.items() if _megabytes(s) < params.written_megabytes_per_second}
    if thin:
        least = min(map(_megabytes, thin.values()))
        size = max(document.classes[name].bytes for name in thin) / _GIB
        yield Finding.warn(
            f"Volumes of {classes(thin)}, of {size:g} GiB, took {least:.0f} MB/s of sequential writes, at least "
            f"{params.written_megabytes_per_second:g} MB/s were expected.",
            subjects=subjects(thin),
            fix="Set the probe's storage_bytes to the size of the real volumes and probe again, or use a faster class.",
            evidence=_told(thin),
        )
    if good := {name: s for name, s in speeds.items() if not {name} & {*very_slow, *slow, *thin}}:
        worst = max(speed.sync.p99_seconds for speed in good.values())
        yield Finding.ok(
            f"Volumes of {classes(good)} sync 99 of 100 writes within {worst / _MILLI:.1f} ms, and take "
            f"{min(map(_megabytes, good.values())):.0f} MB/s of sequential writes.",
            subjects=subjects(good),
            evidence=_told(good),
        )
    yield from _not_measured(document)


@check(
    "storage.node-disk-speed",
    title="The nodes' own disks bear shuffles and state",
    severity=Severity.HIGH,
    workloads={Workload.SPARK: Severity.HIGH, Workload.FLINK: Severity.HIGH},
    reads=(StorageObservations,),
)
def node_disk_speed(facts: Facts, params: NodeDiskParameters) -> Iterator[Finding]:
    """An emptyDir on one node was written and read for some seconds.

    ## What it checks
    In an emptyDir on a node that the scheduler chose, sequential writes reach `written_megabytes_per_second`, and
    random reads and writes of 4 KiB together `random_iops`. Less is a warning. Other nodes may have other disks: what
    is measured here is one.

    ## Why it matters
    Spark shuffles and RocksDB's state live on the node's disk unless told otherwise. On clouds that is often a small
    root disk, shared with images and logs; a job is slow there, and so is every other pod of the node.

    ## How to fix
    Give nodes for Spark and Flink local NVMe disks, or larger and faster root disks, and put `spark.local.dir` and
    `state.backend.rocksdb.localdir` there.

    ## References
    - [Spark on Kubernetes: local storage](https://spark.apache.org/docs/latest/running-on-kubernetes.html#local-storage)
    - [Flink: RocksDB state backend](https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/large_state_tuning/#tuning-rocksdb)
    - [Amazon EBS: gp3](https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html)
    """
    document = volumes(facts)
    speed, step = document.node_disk, document.node_disk_step
    if speed is None:
        why = quoted(step.cause.message) if step and step.cause else "the option disk_seconds is 0"
        yield Finding.unknown(
            f"The speed of an emptyDir was not measured: {why}.",
            fix="Remove what kept the probe from measuring, and probe again.",
        )
        return
    iops = speed.random_read_iops + speed.random_write_iops
    written = f"{_megabytes(speed):.0f} MB/s of sequential writes"
    seen = f"An emptyDir took {written}, and {iops:.0f} requests of 4 KiB per second"
    is_slow = _megabytes(speed) < params.written_megabytes_per_second or iops < params.random_iops
    if is_slow:
        yield Finding.warn(
            f"{seen}, at least {params.written_megabytes_per_second:g} MB/s and {params.random_iops:g} per second were "
            "expected.",
            fix="Give nodes for Spark and Flink local NVMe disks, or larger and faster root disks.",
            evidence=_told({"emptyDir": speed}),
        )
    else:
        yield Finding.ok(f"{seen}.", evidence=_told({"emptyDir": speed}))


def _not_measured(document: StorageObservations) -> Iterator[Finding]:
    for name, seen in sorted(document.classes.items()):
        step = seen.step(DISK)
        if seen.disk is None and seen.step(BIND):
            why = quoted(step.cause.message) if step and step.cause else "the option disk_seconds is 0"
            yield Finding.unknown(
                f"The speed of volumes of {classes([name])} was not measured: {why}.",
                subjects=subjects([name]),
                fix="Remove what kept the probe from measuring, and probe again.",
            )


def _megabytes(speed: DiskSpeed) -> float:
    return speed.sequential_write_bytes_per_second / _MEGA


def _told(speeds: Speeds) -> dict[str, object]:
    return examples(
        {
            name: {
                "tool": speed.tool,
                "direct": speed.direct,
                "file_bytes": speed.file_bytes,
                "sequential_write_megabytes_per_second": round(_megabytes(speed), 1),
                "random_read_iops": round(speed.random_read_iops),
                "random_write_iops": round(speed.random_write_iops),
                "random_read_p99_milliseconds": round(speed.random_read.p99_seconds / _MILLI, 3),
                "random_write_p99_milliseconds": round(speed.random_write.p99_seconds / _MILLI, 3),
                "sync_p50_milliseconds": round(speed.sync.p50_seconds / _MILLI, 3),
                "sync_p99_milliseconds": round(speed.sync.p99_seconds / _MILLI, 3),
                "sync_max_milliseconds": round(speed.sync.max_seconds / _MILLI, 3),
                "synced_writes": speed.sync.count,
            }
            for name, speed in speeds.items()
        }
    )
