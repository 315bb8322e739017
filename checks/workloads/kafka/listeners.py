"""Who can reach the brokers, and must they say who they are?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from auditor import Facts, Finding, Severity, Subject, Workload, check
from auditor.facts.kube import Deployment, StatefulSet
from auditor.facts.kube.strimzi import KafkaListener

from ..._wording import examples, listed
from ._clusters import STRIMZI, KafkaCluster, no_strimzi, strimzi_clusters
from ._operator import cluster_operators, says_no

_INSIDE = ("internal", "cluster-ip")
"""The types of listeners that only pods of the cluster reach."""

_Found = tuple[KafkaCluster, KafkaListener]


@check(
    "kafka.listener-security",
    title="Kafka's listeners ask who connects, and encrypt what leaves the cluster",
    severity=Severity.HIGH,
    workloads=(Workload.KAFKA,),
    reads=(*STRIMZI, StatefulSet, Deployment),
    aliases=("KAF-007",),
)
def listener_security(facts: Facts) -> Iterator[Finding]:
    """A listener without authentication lets everybody read and write every topic.

    ## What it checks
    For every listener of Strimzi's Kafkas (`spec.kafka.listeners`):

    - one that can be reached from outside (`loadbalancer`, `nodeport`, `route`, `ingress`) has TLS and authentication:
      otherwise a failure;
    - one that only pods reach (`internal`, `cluster-ip`) has authentication, or `networkPolicyPeers` that say which
      pods may connect: otherwise a warning. The peers count only where the operator makes NetworkPolicies
      (`STRIMZI_NETWORK_POLICY_GENERATION`); whether the network enforces them is proved by a probe.

    ## Why it matters
    Load balancers and node ports are public more often than anybody meant. Inside, the `plain` listener of every
    example is open to all pods of the cluster, those of other teams and of whoever breaks into one of them.

    ## How to fix
    Give the listener TLS and a way to authenticate, and make a KafkaUser for each application:

        listeners:
        - name: external
          port: 9094
          type: loadbalancer
          tls: true
          authentication: {type: scram-sha-512}

    ## References
    - [Strimzi: listeners](https://strimzi.io/docs/operators/latest/configuring#type-GenericKafkaListener-reference)
    - [Strimzi: securing access to Kafka](https://strimzi.io/docs/operators/latest/deploying#assembly-securing-access-str)
    - [Strimzi: network policies for listeners](https://strimzi.io/docs/operators/latest/configuring#configuration-listener-network-policy-reference)
    """
    clusters = strimzi_clusters(facts)
    if not clusters:
        yield no_strimzi(facts, "The listeners")
        return
    found = [(cluster, each) for cluster in clusters for each in cluster.kafka.spec.kafka.listeners or ()]
    outside = [(cluster, each) for cluster, each in found if each.type not in _INSIDE]
    exposed = list(_exposed(outside))
    yield from exposed
    if outside and not exposed:
        yield Finding.ok(
            f"Listeners that can be reached from outside have TLS and authentication: {_names(outside)}.",
            subjects=_subjects(outside),
        )
    inside = [(cluster, each) for cluster, each in found if each.type in _INSIDE]
    open_ones = [(cluster, each) for cluster, each in inside if each.authentication is None]
    if open_ones:
        fenced = not says_no([each for _, each in cluster_operators(facts)], "STRIMZI_NETWORK_POLICY_GENERATION")
        open_ones = [(cluster, each) for cluster, each in open_ones if not (fenced and each.network_policy_peers)]
    if open_ones:
        yield Finding.warn(
            f"Every pod can read and write Kafka through {_names(open_ones)}: neither authentication nor "
            "networkPolicyPeers that count, one of them was expected.",
            subjects=_subjects(open_ones),
            fix="Set authentication on the listener, or name in networkPolicyPeers the pods that may connect.",
            evidence=_seen(open_ones),
        )
    if guarded := [each for each in inside if each not in open_ones]:
        yield Finding.ok(
            f"Listeners for pods ask who connects, or say which pods may: {_names(guarded)}.",
            subjects=_subjects(guarded),
        )
    if not found:
        yield Finding.skip("Strimzi's Kafkas here have no listeners, so there is nothing to reach.")


def _exposed(outside: Sequence[_Found]) -> Iterator[Finding]:
    by_lack: defaultdict[str, list[_Found]] = defaultdict(list)
    for cluster, each in outside:
        lacks = [*(() if each.tls else ("TLS",)), *(() if each.authentication else ("authentication",))]
        if lacks:
            by_lack[" and no ".join(lacks)].append((cluster, each))
    for lack, group in sorted(by_lack.items()):
        yield Finding.fail(
            f"No {lack} on what can be reached from outside of the cluster, TLS and authentication were expected: "
            f"{_names(group)}.",
            subjects=_subjects(group),
            fix="Set tls: true and an authentication on the listener.",
            evidence=_seen(group),
        )


def _names(found: Sequence[_Found]) -> str:
    return listed([f"listener {each.name} of Kafka {cluster.name}" for cluster, each in found])


def _subjects(found: Sequence[_Found]) -> list[Subject]:
    return list(dict.fromkeys(cluster.kafka.subject for cluster, _ in found))


def _seen(found: Sequence[_Found]) -> dict[str, object]:
    return examples(
        {
            f"{cluster.name}/{each.name}": {
                "type": each.type,
                "tls": each.tls,
                "authentication": each.authentication.type if each.authentication is not None else "",
            }
            for cluster, each in found
        }
    )
