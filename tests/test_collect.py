"""Collecting from the real API server, and through a proxy that misbehaves before it."""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from auditor.bundle.manifest import ResourceEntry
from auditor.errors import ClusterUnreachableError, OutputError
from auditor.facts.kube import ConfigMap, Namespace, Node, PersistentVolume, Pod, StorageClass
from auditor.facts.parts import Api, PartState, if_served, named, part_of, raw
from auditor.reading_plan import Plan, plan
from tests.collecting import QUICK, collected, entry, items, listing, manifest, names, not_ok
from tests.testbed import faults
from tests.testbed.client import Cluster, wait_for
from tests.testbed.proxy import Answer, ApiProxy, Delay, Drop, Rule, Truncate

Fault = Callable[[AbstractContextManager[ApiProxy]], ApiProxy]
Broken = Callable[..., ApiProxy]

MAPS = 23
PAGE = 5
CLUSTER_ROLES = Api(
    group="rbac.authorization.k8s.io", versions=("v1",), plural="clusterroles", kind="ClusterRole", namespaced=False
)
METRICS = Api(group="metrics.k8s.io", versions=("v1beta1",), plural="nodes", kind="NodeMetrics", namespaced=False)
KAFKA = Api(group="kafka.strimzi.io", versions=("v1",), plural="kafkas", kind="Kafka", namespaced=True)
WANTED = listing(ConfigMap.api, Node.api, StorageClass.api)
MAPS_PATH = "^/api/v1/configmaps"


@pytest.fixture
def broken(test_bed: Cluster) -> Iterator[Broken]:
    """Puts a proxy with rules before the API server."""
    with ExitStack() as stack:
        yield lambda *rules: stack.enter_context(ApiProxy(rules=rules))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists come in small pages."""
    monkeypatch.setattr("auditor.collect.PAGE_OBJECTS", PAGE)


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[str]:
    """A namespace for what the tests of this module want to find."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    wait_for("the default ServiceAccount", lambda: cluster.core.read_namespaced_service_account("default", name))
    yield name
    cluster.core.delete_namespace(name, grace_period_seconds=0)


@pytest.fixture(scope="module")
def _many_maps(cluster: Cluster, home: str) -> None:
    for number in range(MAPS):
        cluster.core.create_namespaced_config_map(home, {"metadata": {"name": f"map-{number:02}"}})


@pytest.fixture
def maps(home: str, _many_maps: None, pages: None) -> str:
    """A namespace with many ConfigMaps, several pages of them."""
    return home


def assert_all_maps_once(bundle: Path, namespace: str) -> None:
    """No ConfigMap is missing and none is there twice; the manifest counts what the file holds."""
    found = [name for name in names(bundle, "configmaps", namespace=namespace) if name.startswith("map-")]
    assert found == [f"map-{number:02}" for number in range(MAPS)]
    every = Counter((item["metadata"]["namespace"], item["metadata"]["name"]) for item in items(bundle, "configmaps"))
    assert every.most_common(1)[0][1] == 1
    assert entry(bundle, "configmaps").count == every.total()


def assert_rest_is_whole(bundle: Path, cluster: Cluster) -> None:
    """Nodes and StorageClasses came, whatever became of the ConfigMaps."""
    assert {"n1", "n2", "n3"} <= set(names(bundle, "nodes"))
    assert names(bundle, "storageclasses")
    assert entry(bundle, "nodes").status is entry(bundle, "storageclasses").status is PartState.OK


def assert_failed(found: ResourceEntry, *, http_status: int | None, reason: str) -> None:
    """A type failed and holds nothing."""
    assert found.status is PartState.FAILED
    assert found.http_status == http_status
    assert re.search(reason, found.reason)
    assert found.count is None
    assert found.sha256 is None


# --- a cluster in good order


def test_a_cluster_becomes_a_bundle(cluster: Cluster, maps: str, tmp_path: Path) -> None:
    wanted = plan([part_of(ConfigMap), part_of(Node), raw("readyz.txt"), raw("metrics.txt")])
    outcome = collected(wanted, tmp_path / "bundle")

    assert_all_maps_once(tmp_path / "bundle", maps)
    found = manifest(tmp_path / "bundle")
    assert found.server_version.startswith("v1.")
    assert found.name == "testbed"
    assert not not_ok([*found.resources, *found.files])
    assert entry(tmp_path / "bundle", "configmaps").http_status == 200
    assert entry(tmp_path / "bundle", "configmaps").tries == 1
    assert entry(tmp_path / "bundle", "nodes").from_watch_cache
    assert not entry(tmp_path / "bundle", "configmaps").from_watch_cache
    assert "[+]etcd ok" in (tmp_path / "bundle/raw/readyz.txt").read_text()
    assert "apiserver_request_total" in (tmp_path / "bundle/raw/metrics.txt").read_text()
    assert outcome.objects == sum(each.count or 0 for each in found.resources)
    assert outcome.gaps == ()


def test_what_is_not_ready_says_so_with_an_error_and_is_kept(broken: Broken, tmp_path: Path) -> None:
    said = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"
    proxy = broken(Rule(do=Answer(status=500, text=said), path="^/readyz"))
    collected(plan([raw("readyz.txt")]), tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert (tmp_path / "bundle/raw/readyz.txt").read_text() == said
    assert not not_ok(manifest(tmp_path / "bundle").files)


def test_only_what_is_wanted_is_asked_for(broken: Broken, tmp_path: Path) -> None:
    proxy = broken()
    wanted = plan([part_of(Node), named(ConfigMap, "coredns", namespace="kube-system")])
    collected(wanted, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert {request.verb for request, _ in proxy.requests} <= {"get", "list"}
    assert {request.path for request, _ in proxy.requests} == {
        "/version",
        "/apis",
        "/api/v1",
        "/api/v1/nodes?limit=500&resourceVersion=0",
        "/api/v1/namespaces/kube-system/configmaps/coredns",
    }


def test_a_custom_resource_without_its_crd_is_absent_and_not_asked_for(broken: Broken, tmp_path: Path) -> None:
    proxy = broken()
    collected(listing(Node.api, KAFKA), tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    found = entry(tmp_path / "bundle", "kafkas")
    assert found.status is PartState.ABSENT
    assert found.reason == "the server serves kafka.strimzi.io/kafkas not at all"
    assert proxy.count(path="strimzi") == 0


def test_named_objects(cluster: Cluster, home: str, tmp_path: Path) -> None:
    cluster.core.create_namespaced_config_map(home, {"metadata": {"name": "there"}, "data": {"a": "b"}})
    wanted = plan([named(ConfigMap, name, namespace=home) for name in ("there", "not-there")])
    collected(wanted, tmp_path / "bundle")

    found = {each.object: (each.status, each.count) for each in manifest(tmp_path / "bundle").resources}
    assert found == {
        f"{home}/there": (PartState.OK, 1),
        f"{home}/not-there": (PartState.OK, 0),
    }


def test_a_large_object(cluster: Cluster, home: str, tmp_path: Path) -> None:
    text = 'ä€\\"\n' * 100_000  # 700 kB, 1 MB in JSON
    cluster.core.create_namespaced_config_map(home, {"metadata": {"name": "large"}, "data": {"text": text}})
    collected(listing(ConfigMap.api), tmp_path / "bundle")

    found = {item["metadata"]["name"]: item for item in items(tmp_path / "bundle", "configmaps", namespace=home)}
    assert found["large"]["data"]["text"] == text


def test_names_with_every_allowed_character(cluster: Cluster, home: str, pages: None, tmp_path: Path) -> None:
    longest = ".".join(["a" * 63, "b-0" * 21, "c" * 63, "d" * 61])
    assert len(longest) == 253
    for name in (longest, "0", "a.b-c.0"):
        cluster.core.create_namespaced_config_map(home, {"metadata": {"name": name}})
    roles = [f"{home}:a b", f"{home}:ä?&=#+\"'\\", f"system:{home}:A_b~!@$^*()"]
    rbac = cluster.resource("ClusterRole", "rbac.authorization.k8s.io/v1")
    try:
        for name in roles:
            rbac.create(body={"metadata": {"name": name}, "rules": []})
        collected(listing(ConfigMap.api, CLUSTER_ROLES), tmp_path / "listed")
        wanted = [named(ConfigMap, longest, namespace=home)]
        collected(plan(wanted), tmp_path / "named")
    finally:
        for name in roles:
            cluster.api.call_api(
                "DELETE",
                f"{cluster.api.configuration.host}/apis/rbac.authorization.k8s.io/v1/clusterroles/{_quoted(name)}",
            ).read()

    assert {longest, "0", "a.b-c.0"} <= set(names(tmp_path / "listed", "configmaps", namespace=home))
    assert set(roles) <= set(names(tmp_path / "listed", "clusterroles"))
    assert entry(tmp_path / "named", "configmaps").count == 1


def test_hundreds_of_pods_over_several_pages(
    cluster: Cluster, home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are bound to a node that does not exist, so nobody runs them."""
    monkeypatch.setattr("auditor.collect.PAGE_OBJECTS", 100)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: cluster.core.create_namespaced_pod(home, _pod(number)), range(350)))
    outcome = collected(listing(Pod.api), tmp_path / "bundle")

    found = names(tmp_path / "bundle", "pods", namespace=home)
    assert found == [f"pod-{number:03}" for number in range(350)]
    assert outcome.requests >= 4


def _pod(number: int) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "env": [{"name": "PASSWORD", "value": "not in a bundle"}]}
    return {
        "metadata": {"name": f"pod-{number:03}"},
        "spec": {
            "schedulingGates": [{"name": "example.org/never"}],
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }


def _quoted(name: str) -> str:
    return quote(name, safe="")


# --- a bad one


@pytest.mark.parametrize("after_bytes", [None, 0, 1000])
@pytest.mark.parametrize("page", [0, 2])
def test_a_connection_that_breaks(
    broken: Broken, cluster: Cluster, maps: str, tmp_path: Path, after_bytes: int | None, page: int
) -> None:
    proxy = broken(Rule(do=Drop(after_bytes), path=MAPS_PATH, skip=page, times=2))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert_rest_is_whole(tmp_path / "bundle", cluster)
    found = entry(tmp_path / "bundle", "configmaps")
    assert (found.status, found.http_status, found.tries) == (PartState.OK, 200, 3)


@pytest.mark.parametrize("keep_share", [0.0, 0.5, 0.95])
def test_json_that_is_cut_short(broken: Broken, cluster: Cluster, maps: str, tmp_path: Path, keep_share: float) -> None:
    proxy = broken(Rule(do=Truncate(keep_share), path=MAPS_PATH, skip=1, times=2))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert_rest_is_whole(tmp_path / "bundle", cluster)
    assert entry(tmp_path / "bundle", "configmaps").tries == 3


def test_json_that_is_always_cut_short(fault: Fault, test_bed: Cluster, tmp_path: Path) -> None:
    proxy = fault(faults.api_json_truncated(test_bed, "configmaps"))
    limits = replace(QUICK, deadline_seconds=2)
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    assert_failed(entry(tmp_path / "bundle", "configmaps"), http_status=None, reason="is cut short")
    assert not list((tmp_path / "bundle").rglob("configmaps.json"))
    assert_rest_is_whole(tmp_path / "bundle", test_bed)


@pytest.mark.parametrize("path", ["^/version", "^/apis$", "^/apis/storage.k8s.io/v1$", "coredns"])
def test_a_short_answer_that_is_cut_once(broken: Broken, tmp_path: Path, path: str) -> None:
    proxy = broken(Rule(do=Truncate(0.5), path=path, times=1))
    wanted = plan([part_of(StorageClass), named(ConfigMap, "coredns", namespace="kube-system")])
    collected(wanted, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert proxy.count(caught=True) == 1
    assert not not_ok(manifest(tmp_path / "bundle").resources)
    assert entry(tmp_path / "bundle", "configmaps").count == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_errors_of_a_server_for_a_while(
    fault: Fault, test_bed: Cluster, maps: str, tmp_path: Path, status: int
) -> None:
    proxy = fault(faults.api_failing(test_bed, "configmaps", status=status, seconds=0.5))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert_rest_is_whole(tmp_path / "bundle", test_bed)
    found = entry(tmp_path / "bundle", "configmaps")
    assert found.http_status == 200
    assert found.tries == 1 + proxy.count(resource="configmaps", caught=True) > 1


def test_a_whole_server_that_fails_for_a_while(fault: Fault, test_bed: Cluster, maps: str, tmp_path: Path) -> None:
    proxy = fault(faults.api_failing(test_bed, seconds=1))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert_rest_is_whole(tmp_path / "bundle", test_bed)


def test_errors_for_ever(fault: Fault, test_bed: Cluster, tmp_path: Path) -> None:
    proxy = fault(faults.api_failing(test_bed, "configmaps", status=500))
    limits = replace(QUICK, deadline_seconds=2)
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    found = entry(tmp_path / "bundle", "configmaps")
    assert_failed(found, http_status=500, reason="so says the proxy")
    assert found.tries == proxy.count(resource="configmaps") > 2
    assert_rest_is_whole(tmp_path / "bundle", test_bed)


@pytest.mark.parametrize(("retry_after_seconds", "pause_seconds"), [(2, 2.0), (None, 1.0)])
def test_too_many_requests(
    test_bed: Cluster, maps: str, tmp_path: Path, retry_after_seconds: int | None, pause_seconds: float
) -> None:
    rule = Rule(do=Answer(status=429, retry_after_seconds=retry_after_seconds), path=MAPS_PATH, skip=1, times=2)
    with Timed(rules=[rule]) as proxy:
        collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert_rest_is_whole(tmp_path / "bundle", test_bed)
    assert entry(tmp_path / "bundle", "configmaps").tries == 3
    refused_at = [at for at, (_, rule) in zip(proxy.times, proxy.requests, strict=True) if rule]
    assert len(refused_at) == 2
    for start in refused_at:
        asked_meanwhile = [at - start for at in proxy.times if start + 0.1 < at < start + pause_seconds - 0.05]
        assert not asked_meanwhile


class Timed(ApiProxy):
    """A proxy that notes when it was asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.times: list[float] = []

    async def _handle(self, request: Any) -> Any:
        self.times.append(time.monotonic())
        return await super()._handle(request)


def test_too_many_requests_for_ever(fault: Fault, test_bed: Cluster, tmp_path: Path) -> None:
    proxy = fault(faults.api_throttled(test_bed, "configmaps", retry_after_seconds=1))
    limits = replace(QUICK, deadline_seconds=4)
    started = time.monotonic()
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    assert time.monotonic() - started < 8
    found = entry(tmp_path / "bundle", "configmaps")
    assert_failed(found, http_status=429, reason="too many requests")
    assert 2 <= found.tries <= 5
    assert_rest_is_whole(tmp_path / "bundle", test_bed)


def test_an_answer_after_the_timeout(fault: Fault, test_bed: Cluster, tmp_path: Path) -> None:
    proxy = fault(faults.api_slow(test_bed, "configmaps", delay_seconds=30))
    limits = replace(QUICK, request_timeout_seconds=1, deadline_seconds=3)
    started = time.monotonic()
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    assert time.monotonic() - started < 6
    found = entry(tmp_path / "bundle", "configmaps")
    assert_failed(found, http_status=None, reason="no answer within 1 s")
    assert found.tries >= 2
    assert_rest_is_whole(tmp_path / "bundle", test_bed)


def test_a_slow_answer_within_the_timeout_is_waited_for(broken: Broken, maps: str, tmp_path: Path) -> None:
    proxy = broken(Rule(do=Delay(1.0), path=MAPS_PATH, skip=1, times=1))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert entry(tmp_path / "bundle", "configmaps").tries == 1


@pytest.mark.parametrize("times", [1, 3])
def test_a_continue_token_that_expires(fault: Fault, test_bed: Cluster, maps: str, tmp_path: Path, times: int) -> None:
    proxy = fault(faults.api_continue_expired(test_bed, "configmaps", times=times))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert_rest_is_whole(tmp_path / "bundle", test_bed)
    assert proxy.count(path=rf"{MAPS_PATH}\?limit={PAGE}$") == 1 + times
    assert entry(tmp_path / "bundle", "configmaps").tries == 1 + times


def test_a_continue_token_that_expires_late(broken: Broken, maps: str, tmp_path: Path) -> None:
    gone = Answer(status=410, reason="Expired")
    proxy = broken(Rule(do=gone, path=f"{MAPS_PATH}.*continue=", skip=2, times=1))
    outcome = collected(listing(ConfigMap.api), tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_all_maps_once(tmp_path / "bundle", maps)
    assert outcome.objects == entry(tmp_path / "bundle", "configmaps").count


def test_a_continue_token_that_always_expires(fault: Fault, test_bed: Cluster, maps: str, tmp_path: Path) -> None:
    proxy = fault(faults.api_continue_expired(test_bed, "configmaps", times=None))
    collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert_failed(entry(tmp_path / "bundle", "configmaps"), http_status=410, reason="too old")
    assert proxy.count(resource="configmaps") < 20
    assert_rest_is_whole(tmp_path / "bundle", test_bed)


def test_an_aggregated_api_that_is_down(test_bed: Cluster, home: str, tmp_path: Path) -> None:
    group = f"{home}.example.org"
    dead = Api(group=group, versions=("v1",), plural="things", kind="Thing", namespaced=True)
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 10,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": home, "name": "nobody"},
        },
    }
    test_bed.apply_object(service)
    try:
        wait_for("the group", lambda: group in test_bed.get("/apis"))
        limits = replace(QUICK, request_timeout_seconds=1, deadline_seconds=2)
        collected(listing(dead, Node.api, StorageClass.api), tmp_path / "bundle", limits=limits)
    finally:
        test_bed.resource("APIService", "apiregistration.k8s.io/v1").delete(name=f"v1.{group}")

    assert_rest_is_whole(tmp_path / "bundle", test_bed)
    found = entry(tmp_path / "bundle", "things")
    assert_failed(found, http_status=503, reason=".")
    assert found.tries > 1


def test_one_forbidden_resource_does_not_stop_the_others(fault: Fault, test_bed: Cluster, tmp_path: Path) -> None:
    proxy = fault(faults.api_forbidden(test_bed, "configmaps"))
    outcome = collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    found = entry(tmp_path / "bundle", "configmaps")
    assert (found.status, found.http_status, found.tries) == (PartState.FORBIDDEN, 403, 1)
    assert found.reason == "configmaps is forbidden"
    assert_rest_is_whole(tmp_path / "bundle", test_bed)
    assert outcome.gaps == ("core/configmaps: forbidden (configmaps is forbidden)",)


def test_a_cluster_that_is_not_ready_says_what_is_not(broken: Broken, tmp_path: Path) -> None:
    proxy = broken(Rule(do=Answer(status=500), path="^/metrics"))
    limits = replace(QUICK, deadline_seconds=1)
    wanted = plan([raw("metrics.txt"), part_of(Node)])
    collected(wanted, tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    (metrics,) = (each for each in manifest(tmp_path / "bundle").files if each.path == "raw/metrics.txt")
    assert metrics.status is PartState.FAILED
    assert metrics.reason.startswith("HTTP 500")
    assert entry(tmp_path / "bundle", "nodes").status is PartState.OK


def test_an_expired_server_certificate(fault: Fault, test_bed: Cluster, tmp_path: Path) -> None:
    proxy = fault(faults.api_certificate_expired(test_bed))
    started = time.monotonic()
    with pytest.raises(ClusterUnreachableError, match="certificate has expired") as caught:
        collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert "certificate has expired" in caught.value.what
    assert "certificate-authority" in caught.value.cause
    assert time.monotonic() - started < 1.5
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_is_there_already_is_not_overwritten(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/mine").touch()
    with pytest.raises(OutputError, match="there already"):
        collected(WANTED, tmp_path / "bundle")

    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "mine"]


# --- gently


def test_requests_keep_to_the_rate(test_bed: Cluster, maps: str, tmp_path: Path) -> None:
    with Timed() as proxy:
        limits = replace(QUICK, requests_per_second=10)
        collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    assert len(proxy.times) >= 10
    gaps = [later - earlier for earlier, later in zip(proxy.times, proxy.times[1:], strict=False)]
    assert proxy.times[-1] - proxy.times[0] >= 0.1 * len(gaps) - 0.1
    assert sorted(gaps)[len(gaps) // 2] >= 0.08


class Crowded(ApiProxy):
    """A proxy that notes how many requests it had at one time."""

    now = most = 0

    async def _handle(self, request: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super()._handle(request)
        finally:
            self.now -= 1


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_more_requests_at_one_time_than_allowed(test_bed: Cluster, tmp_path: Path, parallel: int) -> None:
    rule = Rule(do=Delay(0.3), verb="list")
    apis = (ConfigMap.api, Node.api, StorageClass.api, Namespace.api, Pod.api, PersistentVolume.api)
    with Crowded(rules=[rule]) as proxy:
        limits = replace(QUICK, parallel_requests=parallel)
        collected(listing(*apis), tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    assert proxy.most == parallel
    assert not not_ok(manifest(tmp_path / "bundle").resources)


@pytest.mark.parametrize("compress", [False, True])
def test_compressed_answers(test_bed: Cluster, home: str, tmp_path: Path, *, compress: bool) -> None:
    long = {"metadata": {"name": f"long-{compress}".lower()}, "data": {"text": "long " * 60_000}}
    test_bed.core.create_namespaced_config_map(home, long)
    encodings: list[str | None] = []

    class Watched(ApiProxy):
        async def _handle(self, request: Any) -> Any:
            encodings.append(request.headers.get("Accept-Encoding"))
            return await super()._handle(request)

    with Watched() as proxy:
        limits = replace(QUICK, compress=compress)
        collected(listing(ConfigMap.api), tmp_path / "bundle", kubeconfig=proxy.kubeconfig, limits=limits)

    assert set(encodings) == {"gzip" if compress else "identity"}
    assert long["metadata"]["name"] in names(tmp_path / "bundle", "configmaps", namespace=home)


def test_connections_are_used_again(test_bed: Cluster, maps: str, tmp_path: Path) -> None:
    ports: list[int] = []

    class Watched(ApiProxy):
        async def _handle(self, request: Any) -> Any:
            ports.append(request.transport.get_extra_info("peername")[1])
            return await super()._handle(request)

    with Watched() as proxy:
        collected(WANTED, tmp_path / "bundle", kubeconfig=proxy.kubeconfig)

    assert len(ports) >= 10
    assert len(set(ports)) <= QUICK.parallel_requests


# --- what to ask for


def test_a_plan_names_each_part_once() -> None:
    coredns = named(ConfigMap, "coredns", namespace="kube-system")
    proxy = named(ConfigMap, "kube-proxy", namespace="kube-system")
    parts = [
        part_of(Node),
        part_of(Pod),
        coredns,
        if_served(Node),
        coredns,
        proxy,
        raw("readyz.txt"),
        raw("nothing.txt"),
    ]

    wanted = plan(parts)

    assert wanted.listed == (Node.api, Pod.api)
    assert wanted.named == ((ConfigMap.api, ("kube-system/coredns", "kube-system/kube-proxy")),)
    assert wanted.raw == ("version.json", "apis.json", "readyz.txt")
    assert wanted.apis == (Node.api, Pod.api, ConfigMap.api)


def test_a_type_that_is_listed_is_not_asked_for_by_name() -> None:
    wanted = plan([named(ConfigMap, "coredns", namespace="kube-system"), part_of(ConfigMap)])

    assert wanted.listed == (ConfigMap.api,)
    assert wanted.named == ()


def test_what_says_which_cluster_it_is_is_always_asked_for() -> None:
    assert plan([]) == Plan(listed=(), named=(), raw=("version.json", "apis.json"))


def test_the_configuration_of_a_kubelet_only_on_request(cluster: Cluster, tmp_path: Path) -> None:
    wanted = replace(listing(), kubelet_configuration=True)
    collected(wanted, tmp_path / "bundle")

    (found,) = manifest(tmp_path / "bundle").files
    assert found.status is PartState.OK
    assert "kubeletconfig" in (tmp_path / "bundle" / found.path).read_text()
