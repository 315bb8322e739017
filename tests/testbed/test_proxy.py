"""The proxy in front of the API server forwards faithfully what no rule catches, and does what rules say."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.client import HTTPException, HTTPSConnection

import pytest
import yaml
from kubernetes import watch
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from tests.testbed.client import Cluster, wait_for
from tests.testbed.layout import AUDIT_KUBECONFIG, KUBECONFIG, PKI
from tests.testbed.probe import Probe
from tests.testbed.proxy import Answer, ApiProxy, Delay, Drop, Rule, Truncate
from tests.testbed.proxy_rules import understand
from tests.testbed.shell import CommandError

NODES = "/api/v1/nodes"


@pytest.fixture
def clear(test_bed: Cluster) -> Iterator[ApiProxy]:
    """A proxy without rules."""
    with ApiProxy() as proxy:
        yield proxy


class Client:
    """Bare HTTPS to a proxy, with the audit's token: what came is what is seen, without retries."""

    def __init__(self, proxy: ApiProxy) -> None:
        self._proxy = proxy
        self._token = yaml.safe_load(AUDIT_KUBECONFIG.read_text())["users"][0]["user"]["token"]

    def get(self, path: str, *, as_administrator: bool = False, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (small letters) and body of an answer."""
        tls = ssl.create_default_context(cafile=PKI / "ca.crt")
        if as_administrator:
            tls.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
        else:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = HTTPSConnection("127.0.0.1", self._proxy.port, context=tls, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods?limit=500", "list pods"),
        ("GET", "/api/v1/namespaces/a/pods?watch=true", "watch pods a"),
        ("GET", "/api/v1/namespaces/a", "get namespaces a"),
        ("GET", "/apis/apps/v1/namespaces/a/deployments/b", "get deployments a b"),
        ("GET", "/api/v1/namespaces/a/pods/b/log", "get pods/log a b"),
        ("POST", "/api/v1/namespaces/a/pods", "create pods a"),
        ("PATCH", "/apis/storage.k8s.io/v1/storageclasses/c", "patch storageclasses c"),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection pods a"),
        ("DELETE", "/api/v1/nodes/n1", "delete nodes n1"),
        ("GET", "/readyz?verbose", "get"),
        ("GET", "/apis/apps/v1", "get"),
    ],
)
def test_requests_are_understood_as_rbac_does(method: str, path: str, expected: str) -> None:
    asked = understand(method, path)

    assert " ".join(filter(None, (asked.verb, asked.resource, asked.namespace, asked.name))) == expected


def test_objects_are_made_read_and_removed_through_it(clear: ApiProxy, fresh_namespace: str) -> None:
    core = clear.cluster.core
    large = {"metadata": {"name": "large"}, "data": {"text": "ä" * 200_000}}

    core.create_namespaced_config_map(fresh_namespace, large)
    assert core.read_namespaced_config_map("large", fresh_namespace).data == large["data"]
    core.delete_namespaced_config_map("large", fresh_namespace)

    with pytest.raises(ApiException, match="404"):
        core.read_namespaced_config_map("large", fresh_namespace)
    assert clear.count(resource="configmaps", verb="create") == 1
    assert clear.count(path="configmaps/large", verb="get") == 2
    assert clear.count(caught=True) == 0


def test_answers_are_those_of_the_api_server(clear: ApiProxy, test_bed: Cluster) -> None:
    status, headers, body = Client(clear).get(NODES, as_administrator=True)

    assert status == 200
    assert headers["content-type"] == "application/json"
    assert "audit-id" in headers
    names = [item["metadata"]["name"] for item in json.loads(body)["items"]]
    assert names == [node.metadata.name for node in test_bed.core.list_node().items]


def test_a_compressed_answer_stays_compressed(clear: ApiProxy) -> None:
    _, headers, body = Client(clear).get("/openapi/v2", as_administrator=True, **{"Accept-Encoding": "gzip"})

    assert headers["content-encoding"] == "gzip"
    assert body.startswith(b"\x1f\x8b")


def test_a_token_stays_its_own_user_and_no_credentials_stay_nobody(clear: ApiProxy, test_bed: Cluster) -> None:
    with (
        ApiProxy(kubeconfig=AUDIT_KUBECONFIG) as proxy,
        pytest.raises(ApiException, match="system:serviceaccount:auditor:auditor"),
    ):
        proxy.cluster.core.list_secret_for_all_namespaces()

    status, _, _ = Client(clear).get("/api/v1/secrets", as_administrator=True, Authorization="Bearer nonsense")
    assert status == 401


def test_a_watch_streams(clear: ApiProxy, test_bed: Cluster, fresh_namespace: str) -> None:
    seen: list[str] = []

    def follow() -> None:
        events = watch.Watch().stream(
            clear.cluster.core.list_namespaced_config_map,
            fresh_namespace,
            timeout_seconds=10,
            label_selector="seen=yes",
        )
        for event in events:
            seen.append(f"{event['type']} {event['object'].metadata.name}")
            if len(seen) == 2:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    wait_for("the watch", lambda: clear.count(verb="watch"), poll_seconds=0.05)
    for name in ("first", "second"):
        test_bed.core.create_namespaced_config_map(
            fresh_namespace, {"metadata": {"name": name, "labels": {"seen": "yes"}}}
        )
        wait_for(
            f"{name} to be seen", partial(seen.__contains__, f"ADDED {name}"), timeout_seconds=5, poll_seconds=0.05
        )
    follower.join()


def test_exec_works_through_it(clear: ApiProxy, probe: Probe) -> None:
    through_proxy = Probe(cluster=clear.cluster, namespace=probe.namespace)

    assert through_proxy.run("echo out; echo $((6 * 7))") == "out\n42\n"
    with pytest.raises(CommandError, match="ended with 3"):
        through_proxy.run("exit 3")
    assert clear.count(resource="pods/exec") == 2


@pytest.mark.parametrize("retry_after_seconds", [None, 1])
def test_throttling(test_bed: Cluster, retry_after_seconds: int | None) -> None:
    rule = Rule(do=Answer(status=429, retry_after_seconds=retry_after_seconds), resource="nodes", times=2)
    with ApiProxy(rules=[rule]) as proxy:
        answers = [Client(proxy).get(NODES, as_administrator=True) for _ in range(3)]
        other, *_ = Client(proxy).get("/api/v1/namespaces", as_administrator=True)

    assert [status for status, _, _ in answers] == [429, 429, 200]
    assert answers[0][1].get("retry-after") == (None if retry_after_seconds is None else "1")
    assert json.loads(answers[0][2])["reason"] == "TooManyRequests"
    assert other == 200
    assert proxy.count(resource="nodes", caught=True) == 2
    assert proxy.count(resource="nodes", caught=False) == 1


def test_a_rule_begins_late_and_lasts_a_while(test_bed: Cluster) -> None:
    with ApiProxy(rules=[Rule(do=Answer(status=503), path="^/api/v1/nodes$", skip=1, seconds=0.5)]) as proxy:
        assert [Client(proxy).get(NODES, as_administrator=True)[0] for _ in range(3)] == [200, 503, 503]
        wait_for("the end", lambda: Client(proxy).get(NODES, as_administrator=True)[0] == 200, poll_seconds=0.1)


def test_a_delay(test_bed: Cluster) -> None:
    with ApiProxy(rules=[Rule(do=Delay(0.5), verb="list", resource="nodes")]) as proxy:
        started = time.monotonic()
        assert Client(proxy).get(NODES, as_administrator=True)[0] == 200
        assert time.monotonic() - started >= 0.5


@pytest.mark.parametrize("after_bytes", [None, 0, 100])
def test_a_broken_connection(test_bed: Cluster, after_bytes: int | None) -> None:
    with ApiProxy(rules=[Rule(do=Drop(after_bytes), resource="nodes", times=1)]) as proxy:
        with pytest.raises((HTTPException, OSError)):
            Client(proxy).get(NODES, as_administrator=True)
        assert Client(proxy).get(NODES, as_administrator=True)[0] == 200


def test_truncated_json(test_bed: Cluster) -> None:
    with ApiProxy(rules=[Rule(do=Truncate(0.5), resource="nodes")]) as proxy:
        status, headers, body = Client(proxy).get(NODES, as_administrator=True, **{"Accept-Encoding": "gzip"})

    assert status == 200
    assert int(headers["content-length"]) == len(body)
    assert body.startswith(b'{"kind":"NodeList"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_an_expired_certificate(test_bed: Cluster) -> None:
    with (
        ApiProxy(certificate_lifetime=timedelta(minutes=-1)) as proxy,
        pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"),
    ):
        Client(proxy).get(NODES)


def test_it_leaves_nothing_behind(test_bed: Cluster) -> None:
    before = set(PKI.iterdir())
    with ApiProxy() as proxy:
        cluster = proxy.cluster
        assert set(PKI.iterdir()) > before
    assert set(PKI.iterdir()) == before
    assert not proxy.kubeconfig.exists()
    assert KUBECONFIG.exists()
    with pytest.raises(HTTPError, match="refused"):
        cluster.core.list_node(_request_timeout=2)
