"""Faults of the API server are seen by who uses the proxy's kubeconfig, and by nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from tests.testbed import faults
from tests.testbed.client import Cluster, wait_for
from tests.testbed.proxy import ApiProxy


def nodes_through(proxy: ApiProxy) -> list[str]:
    """The nodes as a client sees them that does not try again by itself."""
    cluster = proxy.cluster
    cluster.api.rest_client.pool_manager.connection_pool_kw["retries"] = False
    return [node.metadata.name for node in cluster.core.list_node(_request_timeout=10).items]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda cluster: faults.api_throttled(cluster, "nodes", times=1), ApiException, "429"),
        (
            lambda cluster: faults.api_throttled(cluster, "nodes", retry_after_seconds=7),
            ApiException,
            "Retry-After': '7",
        ),
        (lambda cluster: faults.api_forbidden(cluster, "nodes"), ApiException, "403"),
        (lambda cluster: faults.api_failing(cluster, "nodes", seconds=1), ApiException, "503"),
        (lambda cluster: faults.api_failing(cluster, status=500), ApiException, "500"),
        (lambda cluster: faults.api_connection_dropped(cluster, "nodes"), (HTTPError, OSError), None),
        (lambda cluster: faults.api_connection_dropped(cluster, "nodes", after_bytes=None), (HTTPError, OSError), None),
        (faults.api_certificate_expired, ApiException, "certificate has expired"),
    ],
    ids=["429", "429 with Retry-After", "403", "503", "500", "dropped", "dropped at once", "expired"],
)
def test_an_api_server_that_fails(
    test_bed: Cluster,
    make: Callable[[Cluster], AbstractContextManager[ApiProxy]],
    error: type[Exception] | tuple[type[Exception], ...],
    message: str | None,
) -> None:
    with make(test_bed) as proxy, pytest.raises(error, match=message):
        nodes_through(proxy)
    assert test_bed.core.list_node().items


def test_api_failing_ends(test_bed: Cluster) -> None:
    with faults.api_failing(test_bed, "nodes", seconds=0.5) as proxy:
        with pytest.raises(ApiException, match="503"):
            nodes_through(proxy)
        assert wait_for("the end of the failure", lambda: nodes_through(proxy))


def test_api_slow(test_bed: Cluster) -> None:
    with faults.api_slow(test_bed, "nodes", delay_seconds=0.7) as proxy:
        started = time.monotonic()
        assert nodes_through(proxy)
        assert time.monotonic() - started >= 0.7


def test_api_json_truncated(test_bed: Cluster) -> None:
    with faults.api_json_truncated(test_bed, "nodes") as proxy:
        text = proxy.cluster.get("/api/v1/nodes")
        assert text.startswith('{"kind":"NodeList"')
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


def test_api_continue_expired(test_bed: Cluster) -> None:
    with faults.api_continue_expired(test_bed, "nodes") as proxy:
        core = proxy.cluster.core
        first = core.list_node(limit=1)
        with pytest.raises(ApiException) as caught:
            core.list_node(limit=1, _continue=first.metadata._continue)
        assert caught.value.status == HTTPStatus.GONE
        assert len(core.list_node(limit=1, _continue=first.metadata._continue).items) == 1
