"""Tells Prometheus where the CoreDNS pods are: Debian's build has no discovery for Kubernetes, only for files."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from tests.testbed.client import Cluster

POLL_SECONDS = 2
METRICS_PORT = 9153


def targets(cluster: Cluster) -> list[dict[str, object]]:
    """One target per CoreDNS pod that has an address, in Prometheus' format for file_sd."""
    pods = cluster.core.list_namespaced_pod("kube-system", label_selector="k8s-app=kube-dns").items
    return [
        {"targets": [f"{pod.status.pod_ip}:{METRICS_PORT}"], "labels": {"pod": pod.metadata.name}}
        for pod in pods
        if pod.status.pod_ip
    ]


def main(path: Path) -> None:
    """Write the targets whenever they change, until stopped."""
    cluster, written = Cluster(), ""
    while True:
        try:
            found = json.dumps(targets(cluster))
        except (ApiException, HTTPError):  # the API server may be away: the last targets stay
            found = written
        if found != written:
            aside = path.with_suffix(".new")
            aside.write_text(found)
            aside.replace(path)
            written = found
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
