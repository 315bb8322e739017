"""Debian's Prometheus, scraping the API server, the kubelets, CoreDNS and etcd."""

from __future__ import annotations

import sys

import yaml

from tests.testbed import processes
from tests.testbed.layout import (
    CONTROL_PLANE_ADDRESS,
    CONTROL_PLANE_NETNS,
    ETCD,
    NODES,
    PKI,
    STATE,
)

URL = f"http://{CONTROL_PLANE_ADDRESS}:9090"
SCRAPE_INTERVAL_SECONDS = 5

FOLDER = STATE / "prometheus"
COREDNS_TARGETS = FOLDER / "coredns.json"


def start() -> None:
    """Write the configuration, and start it and what finds the CoreDNS pods for it."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "prometheus.yml").write_text(yaml.safe_dump(_configuration()))
    processes.start("coredns-discovery", [sys.executable, "-m", "tests.testbed.discovery", COREDNS_TARGETS])
    processes.start(
        "prometheus",
        [
            "prometheus",
            f"--config.file={FOLDER / 'prometheus.yml'}",
            f"--storage.tsdb.path={FOLDER / 'data'}",
            "--storage.tsdb.retention.time=6h",
            f"--web.listen-address={CONTROL_PLANE_ADDRESS}:9090",
        ],
        netns=CONTROL_PLANE_NETNS,
    )


def _configuration() -> object:
    kubelets = [f"{node.address}:10250" for node in NODES]
    return {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL_SECONDS}s", "scrape_timeout": "4s"},
        "scrape_configs": [
            _https("apiserver", [f"{CONTROL_PLANE_ADDRESS}:6443"]),
            _https("kubelet", kubelets),
            _https("kubelet-cadvisor", kubelets, metrics_path="/metrics/cadvisor"),
            {"job_name": "etcd", "static_configs": [{"targets": [f"{member.address}:2381" for member in ETCD]}]},
            {
                "job_name": "coredns",
                "file_sd_configs": [{"files": [str(COREDNS_TARGETS)], "refresh_interval": "5s"}],
            },
        ],
    }


def _https(job: str, targets: list[str], **settings: str) -> dict[str, object]:
    identity = {
        "ca_file": str(PKI / "ca.crt"),
        "cert_file": str(PKI / "admin.crt"),
        "key_file": str(PKI / "admin.key"),
    }
    static = [{"targets": targets}]
    return {"job_name": job, "scheme": "https", "tls_config": identity, "static_configs": static, **settings}
