"""A pod from which tests look at the cluster's inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.testbed.client import Cluster, wait_for
from tests.testbed.images import BUSYBOX

NAMESPACE = "test-probe"
NODE = "n1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A pod with a shell, on node n1."""

    cluster: Cluster
    namespace: str = NAMESPACE

    def run(self, script: str) -> str:
        """What a shell script prints in the pod.

        Raises:
            CommandError: it ended with another code than 0.
        """
        return self.cluster.exec("probe", self.namespace, script)

    def resolves(self, name: str) -> bool:
        """Whether the cluster's DNS knows addresses of a name."""
        return bool(self.run(f"nslookup -type=a {name} | awk '/^Name:/ {{found = 1}} found && /^Address/' || true"))


@pytest.fixture(scope="module")
def probe(test_bed: Cluster) -> Iterator[Probe]:
    """A pod to look from; it and its namespace are gone afterwards."""
    core = test_bed.core
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    try:
        wait_for("the default ServiceAccount", lambda: core.read_namespaced_service_account("default", NAMESPACE))
        core.create_namespaced_pod(NAMESPACE, sleeping_pod("probe", nodeName=NODE))
        wait_for("the probe", lambda: test_bed.ready_pods(NAMESPACE) == 1)
        yield Probe(cluster=test_bed)
    finally:
        core.delete_namespace(NAMESPACE)
        wait_for(
            "the probe's namespace to be gone",
            lambda: not core.list_namespace(field_selector=f"metadata.name={NAMESPACE}").items,
        )


def sleeping_pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that does nothing and ends at once when told to."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", "while :; do sleep 1000; done"],
    }
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }
