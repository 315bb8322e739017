"""Faults of the pod network."""

from __future__ import annotations

from collections.abc import Iterator

from tests.testbed.client import Cluster
from tests.testbed.faults.changes import created
from tests.testbed.faults.journal import fault


@fault
def network_policy_not_enforced(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A namespace has a policy that denies everything, and traffic goes on; yields the policy's name.

    The bridge plugin of the test bed's nodes knows no policies.
    """
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    with created(cluster, policy):
        yield "deny-all"
