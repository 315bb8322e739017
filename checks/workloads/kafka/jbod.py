"""Can a running broker get another disk?"""

from __future__ import annotations

from collections.abc import Iterator

from auditor import Facts, Finding, Severity, Workload, check
from auditor.facts.kube import StatefulSet

from ..._wording import listed
from ._clusters import BROKER, STRIMZI, no_strimzi, strimzi_clusters


@check(
    "kafka.jbod-storage",
    title="Kafka brokers can get and give up disks without being replaced",
    severity=Severity.MEDIUM,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet),
    aliases=("KAF-009",),
)
def jbod_storage(facts: Facts) -> Iterator[Finding]:
    """With JBOD storage a broker's disks are a list, to which one can be added.

    ## What it checks
    The storage of every node pool of Strimzi with the role `broker` has the type `jbod`; one volume is enough, more can
    be added later. A single `persistent-claim` is a warning. Ephemeral storage is judged by `kafka.broker-storage`.

    ## Why it matters
    The type cannot be changed later. A single claim can only grow: as far as the driver lets it, never back, and with a
    restart of the broker. A list can be added to while the broker runs, and a disk that is failing or no longer needed
    can be emptied by Cruise Control and removed. Strimzi recommends JBOD for production.

    ## How to fix
    Make a second node pool with JBOD storage, let Cruise Control move the partitions there, and delete the first. New
    pools begin with one volume:

        storage:
          type: jbod
          volumes:
          - {id: 0, type: persistent-claim, size: 500Gi, kraftMetadata: shared}

    ## References
    - [Strimzi: configuring storage types](https://strimzi.io/docs/operators/latest/deploying#con-config-storage-kraft-str)
    - [Strimzi: adding and removing volumes](https://strimzi.io/docs/operators/latest/deploying#proc-adding-removing-volumes-str)
    """
    clusters = strimzi_clusters(facts)
    if not clusters:
        yield no_strimzi(facts, "Whether brokers can get another disk")
        return
    pools = [pool for cluster in clusters for pool in cluster.with_role(BROKER) if pool.storage is not None]
    kept = [pool for pool in pools if pool.storage is not None and pool.storage.type != "ephemeral"]
    single = [pool for pool in kept if pool.storage is not None and pool.storage.type != "jbod"]
    if single:
        yield Finding.warn(
            f"{listed([pool.name for pool in single])}: a single persistent claim for each Kafka broker, storage of "
            "the type jbod was expected: no disk can be added later, and none taken away.",
            subjects=[pool.subject for pool in single],
            fix="Make a node pool with storage of the type jbod, and move the partitions there.",
        )
    if several := [pool for pool in kept if pool not in single]:
        yield Finding.ok(
            f"{listed([pool.name for pool in several])}: disks can be added to Kafka's brokers and taken away.",
            subjects=[pool.subject for pool in several],
        )
    if not kept:
        yield Finding.skip("No broker of Kafka has a persistent disk, so there is none that could be added to.")
