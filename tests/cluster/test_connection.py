"""Every way to name a cluster and to say who asks; and what is said when it does not work."""

from __future__ import annotations

import base64
import select
import socket
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor.cluster import ApiServer, Connection, connect
from auditor.cluster.pace import Deadline, RequestError
from auditor.errors import ClusterConfigError, ClusterUnreachableError
from auditor.facts.kube import Node
from tests.collecting import QUICK, collected, listing
from tests.testbed import kubeconfig, pki
from tests.testbed.client import Cluster
from tests.testbed.layout import (
    API_SERVER,
    CONTROL_PLANE_ADDRESS,
    CONTROL_PLANE_NETNS,
    KUBECONFIG,
    PKI,
)
from tests.testbed.pki import AUTHORITY, KeyPair
from tests.testbed.shell import run

ADMINISTRATOR = KeyPair(PKI / "admin.key", PKI / "admin.crt")
ANYBODY = "auditor:auditor"


def who_asks(connection: Connection) -> str:
    """What the API server calls the one who asks."""
    try:
        answer = ApiServer(connection, QUICK).json(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews", dict[str, Any], deadline=Deadline(5)
        )
    except RequestError as error:  # it is to be POSTed: the refusal names the user
        return error.reason
    finally:
        connection.pool.clear()
    return str(answer)


def edited(path: Path, edit: Callable[[dict[str, Any]], object], *, original: Path = KUBECONFIG) -> Path:
    """A kubeconfig like another one, but for what `edit` does to it."""
    config = yaml.safe_load(original.read_text())
    edit(config)
    path.write_text(yaml.safe_dump(config))
    return path


def user(config: dict[str, Any], **fields: Any) -> None:
    config["users"][0]["user"] = fields


def server(config: dict[str, Any], **fields: Any) -> None:
    config["clusters"][0]["cluster"].update(fields)


@pytest.fixture
def token(test_bed: Cluster) -> str:
    return test_bed.token("auditor", "auditor")


def plugin(folder: Path, body: str) -> dict[str, Any]:
    """The exec section of a user, and the script that it names."""
    script = folder / "credentials"
    script.write_text(f"#!{sys.executable}\n{body}\n")
    script.chmod(stat.S_IRWXU)
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(script),
        "interactiveMode": "Never",
    }


def printing(status: dict[str, str]) -> str:
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"import json; print(json.dumps({credential!r}))"


# --- who asks


def test_a_client_certificate(test_bed: Cluster, tmp_path: Path) -> None:
    connection = connect(kubeconfig=KUBECONFIG)

    assert connection.name == "testbed"
    assert connection.server == API_SERVER
    assert ApiServer(connection, QUICK).text("/readyz", deadline=Deadline(5)) == "ok"
    connection.pool.clear()


def test_a_token(token: str, tmp_path: Path) -> None:
    path = kubeconfig.write(tmp_path / "kubeconfig", credentials=token)

    assert ANYBODY in who_asks(connect(kubeconfig=path))


def test_a_token_in_a_file(token: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token)
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, tokenFile=str(tmp_path / "token")))

    assert ANYBODY in who_asks(connect(kubeconfig=path))


def test_a_plugin_that_prints_a_token(token: str, tmp_path: Path) -> None:
    section = plugin(tmp_path, printing({"token": token}))
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, exec=section))

    assert ANYBODY in who_asks(connect(kubeconfig=path))


def test_a_plugin_whose_token_expires_is_asked_again(token: str, tmp_path: Path) -> None:
    counter = tmp_path / "calls"
    status = {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"}
    section = plugin(tmp_path, f"open({str(counter)!r}, 'a').write('x'); {printing(status)}")
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, exec=section))
    connection = connect(kubeconfig=path)
    calls = len(counter.read_text())

    assert connection.headers()["authorization"] == f"Bearer {token}"
    assert len(counter.read_text()) > calls


def test_a_plugin_that_prints_a_certificate(test_bed: Cluster, tmp_path: Path) -> None:
    status = {
        "clientCertificateData": ADMINISTRATOR.certificate.read_text(),
        "clientKeyData": ADMINISTRATOR.key.read_text(),
    }
    section = plugin(tmp_path, printing(status))
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, exec=section))

    collected(listing(Node.api), tmp_path / "bundle", kubeconfig=path)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("import sys; sys.exit('log in first')", "log in first"),
        ("print('no JSON')", "failed to decode"),
        (printing({}), "missing token"),
    ],
)
def test_a_plugin_that_fails(
    test_bed: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str, cause: str
) -> None:
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, exec=plugin(tmp_path, body)))

    with pytest.raises(ClusterConfigError) as caught:
        connect(kubeconfig=path)

    assert cause in caught.value.cause
    assert capfd.readouterr().err == ""


def test_a_plugin_that_is_not_there(test_bed: Cluster, tmp_path: Path) -> None:
    section = plugin(tmp_path, "") | {"command": "no-such-plugin"}
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, exec=section))

    with pytest.raises(ClusterConfigError, match="no-such-plugin"):
        connect(kubeconfig=path)


@pytest.fixture
def pod(test_bed: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> Path:
    """The surroundings of a pod; the folder of its ServiceAccount."""
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_bytes(AUTHORITY.certificate.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", CONTROL_PLANE_ADDRESS)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    return tmp_path


def test_a_pod_asks_as_its_service_account(pod: Path) -> None:
    connection = connect()

    assert connection.name == "in-cluster"
    assert connection.server == API_SERVER
    assert ANYBODY in who_asks(connection)


def test_a_pod_without_a_token(pod: Path) -> None:
    (pod / "token").unlink()

    with pytest.raises(ClusterConfigError, match="automountServiceAccountToken"):
        connect()


def test_a_pod_with_a_kubeconfig_uses_that(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(KUBECONFIG))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(KUBECONFIG))

    assert connect().name == "testbed"


# --- which cluster


def two_contexts(config: dict[str, Any]) -> None:
    config["contexts"].append({"name": "other", "context": dict(config["contexts"][0]["context"])})


def test_a_context_by_name(test_bed: Cluster, tmp_path: Path) -> None:
    path = edited(tmp_path / "kubeconfig", two_contexts)

    assert connect("other", kubeconfig=path).name == "other"
    assert connect(kubeconfig=path).name == "testbed"


def test_an_unknown_context(test_bed: Cluster, tmp_path: Path) -> None:
    path = edited(tmp_path / "kubeconfig", two_contexts)

    with pytest.raises(ClusterConfigError) as caught:
        connect("prod", kubeconfig=path)

    assert caught.value.exit_code == 2
    assert "'prod'" in caught.value.what
    assert caught.value.next_step == "Name one of: testbed, other"


@pytest.mark.parametrize(
    "content",
    [None, "", "no: kubeconfig", "- a list", "{", "contexts: 5\nclusters: []\ncurrent-context: x", "\x00"],
)
def test_a_kubeconfig_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ClusterConfigError) as caught:
        connect(kubeconfig=path)

    assert str(path) in caught.value.what
    assert caught.value.cause
    assert caught.value.next_step


def test_a_kubeconfig_whose_certificate_file_is_gone(test_bed: Cluster, tmp_path: Path) -> None:
    missing = {"client-certificate": str(tmp_path / "gone.crt"), "client-key": str(tmp_path / "gone.key")}
    path = edited(tmp_path / "kubeconfig", lambda config: user(config, **missing))

    with pytest.raises(ClusterConfigError, match=r"gone\.crt"):
        connect(kubeconfig=path)


# --- a cluster that does not answer, or not to this account


def refused(path: Path) -> ClusterUnreachableError:
    """The error of a collection that cannot be done; it leaves no bundle."""
    bundle = path.with_name("bundle")
    with pytest.raises(ClusterUnreachableError) as caught:
        collected(listing(Node.api), bundle, kubeconfig=path)
    assert list(path.parent.glob("*bundle*")) == []
    assert caught.value.exit_code == 1
    return caught.value


def test_a_token_of_another_cluster(test_bed: Cluster, tmp_path: Path) -> None:
    error = refused(kubeconfig.write(tmp_path / "kubeconfig", credentials="nonsense"))

    assert "401" in error.what
    assert "expired, or belongs to another cluster" in error.cause


def test_an_expired_client_certificate(test_bed: Cluster, tmp_path: Path) -> None:
    pair = pki.issue("expired-client", "somebody", organization="system:masters", lifetime=timedelta(minutes=-1))
    try:
        path = kubeconfig.write(tmp_path / "kubeconfig", credentials=pair)
    finally:
        pair.key.unlink()
        pair.certificate.unlink()

    error = refused(path)

    assert "401" in error.what
    assert "certificate of this context has expired" in error.cause


def test_another_authority(test_bed: Cluster, tmp_path: Path) -> None:
    other = base64.b64encode(ADMINISTRATOR.certificate.read_bytes()).decode()
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, **{"certificate-authority-data": other}))
    started = time.monotonic()
    error = refused(path)

    assert "TLS" in error.what
    assert "certificate-authority of the kubeconfig" in error.cause
    assert time.monotonic() - started < 1.5


def test_another_name_than_the_certificate_has(test_bed: Cluster, tmp_path: Path) -> None:
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, **{"tls-server-name": "other.example"}))

    assert "TLS" in refused(path).what


def test_a_port_where_nobody_listens(test_bed: Cluster, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, server=f"https://127.0.0.1:{port}"))
    started = time.monotonic()
    error = refused(path)

    assert "refused" in error.what
    assert time.monotonic() - started < QUICK.deadline_seconds


def test_an_address_that_swallows_packets(test_bed: Cluster, tmp_path: Path) -> None:
    rule = ("INPUT", "--protocol", "tcp", "--dport", "6444", "--jump", "DROP")
    run("iptables", "--insert", *rule, netns=CONTROL_PLANE_NETNS)
    try:
        address = f"https://{CONTROL_PLANE_ADDRESS}:6444"
        path = edited(tmp_path / "kubeconfig", lambda config: server(config, server=address))
        started = time.monotonic()
        error = refused(path)
    finally:
        run("iptables", "--delete", *rule, netns=CONTROL_PLANE_NETNS)

    assert "no connection within 2 s" in error.what
    assert "a VPN, a proxy or a firewall" in error.cause
    assert time.monotonic() - started < QUICK.deadline_seconds


def test_a_name_that_does_not_resolve(test_bed: Cluster, tmp_path: Path) -> None:
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, server="https://api.invalid:6443"))

    assert "https://api.invalid:6443 does not answer: no connection: " in refused(path).what


def test_plain_http_where_https_belongs(test_bed: Cluster, tmp_path: Path) -> None:
    address = API_SERVER.replace("https", "http")
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, server=address))

    assert "HTTP 400" in refused(path).what


# --- through a proxy


class _Tunnel(socketserver.ThreadingTCPServer):
    """An HTTP proxy that knows CONNECT, and notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TunnelHandler)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _TunnelHandler(socketserver.StreamRequestHandler):
    rbufsize = 0

    def handle(self) -> None:
        assert isinstance(self.server, _Tunnel)
        request = self.rfile.readline().decode().strip()
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(request)
        host, _, port = request.split()[1].rpartition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other = {self.connection: upstream, upstream: self.connection}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    if not (chunk := ready.recv(65536)):
                        return
                    other[ready].sendall(chunk)


@pytest.fixture
def tunnel() -> Iterator[_Tunnel]:
    with _Tunnel() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_proxy_of_a_kubeconfig(test_bed: Cluster, tmp_path: Path, tunnel: _Tunnel) -> None:
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, **{"proxy-url": tunnel.url}))
    collected(listing(Node.api), tmp_path / "bundle", kubeconfig=path)

    assert {line.rsplit(" ", 1)[0] for line in tunnel.asked} == {f"CONNECT {CONTROL_PLANE_ADDRESS}:6443"}


def test_the_proxy_of_the_environment(
    test_bed: Cluster, tmp_path: Path, tunnel: _Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, tunnel.url)

    collected(listing(Node.api), tmp_path / "bundle")
    assert tunnel.asked

    tunnel.asked.clear()
    monkeypatch.setenv("no_proxy", CONTROL_PLANE_ADDRESS)
    collected(listing(Node.api), tmp_path / "direct")
    assert not tunnel.asked


def test_a_proxy_that_is_down(test_bed: Cluster, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    path = edited(tmp_path / "kubeconfig", lambda config: server(config, **{"proxy-url": address}))

    assert "the proxy does not let it through" in refused(path).what
