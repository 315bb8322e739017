"""The tests' own door to the API server: the `kubernetes` package's dynamic client, with apply and waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, dynamic, stream

from tests.testbed.layout import KUBECONFIG
from tests.testbed.shell import CommandError

FIELD_MANAGER = "auditor-testbed"


class Cluster:
    """A cluster by its kubeconfig."""

    def __init__(self, kubeconfig: Path = KUBECONFIG) -> None:
        self.kubeconfig = kubeconfig
        self.api = config.new_client_from_config(str(kubeconfig))
        self._dynamic: Any = None

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self.api.rest_client.pool_manager.clear()

    @property
    def dynamic(self) -> Any:
        """The dynamic client, which discovers what the server serves."""
        if self._dynamic is None:
            self._dynamic = dynamic.DynamicClient(self.api)
        return self._dynamic

    @property
    def core(self) -> client.CoreV1Api:
        """Pods, nodes, services, …."""
        return client.CoreV1Api(self.api)

    def resource(self, kind: str, api_version: str = "v1") -> Any:
        """The dynamic client's handle on a kind."""
        return self.dynamic.resources.get(api_version=api_version, kind=kind)

    def apply(self, manifests: str, **values: str) -> None:
        """Apply YAML documents server-side; ``${NAME}`` is replaced by the value of that name."""
        for name, value in values.items():
            manifests = manifests.replace(f"${{{name}}}", value)
        for document in yaml.safe_load_all(manifests):
            if document:
                self.apply_object(document)

    def apply_object(self, document: dict[str, Any]) -> None:
        """Apply one object server-side."""
        resource = self.resource(document["kind"], document["apiVersion"])
        namespace = document["metadata"].get("namespace", "default") if resource.namespaced else None
        self.dynamic.server_side_apply(
            resource,
            body=document,
            name=document["metadata"]["name"],
            namespace=namespace,
            field_manager=FIELD_MANAGER,
            force_conflicts=True,
        )

    def exec(self, pod: str, namespace: str, script: str, *, timeout_seconds: float = 30) -> str:
        """What a shell script prints in a pod's container.

        Raises:
            CommandError: it ended with another code than 0.
        """
        session = stream.stream(
            self.core.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=["/bin/sh", "-c", script],
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )
        with closing(session):
            session.run_forever(timeout=timeout_seconds)
            session.sock.shutdown()  # closing alone leaves the socket of a session that the server ended
        out, err = session.read_stdout() or "", session.read_stderr() or ""
        if session.returncode != 0:
            raise CommandError(f"`{script}` in {namespace}/{pod} ended with {session.returncode}:\n{out}{err}")
        return out

    def ready_pods(self, namespace: str) -> int:
        """How many pods of a namespace are Ready and not on their way out."""
        return sum(
            pod.metadata.deletion_timestamp is None
            and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
            for pod in self.core.list_namespaced_pod(namespace).items
        )

    def token(self, account: str, namespace: str, *, lifetime_seconds: int = 24 * 3600) -> str:
        """A token of a ServiceAccount."""
        request = {"spec": {"expirationSeconds": lifetime_seconds}}
        token: str = self.core.create_namespaced_service_account_token(account, namespace, request).status.token
        return token

    def get(self, path: str) -> str:
        """The text that the API server answers to a GET.

        Raises:
            client.ApiException: it answered with an error.
        """
        answer = self.api.call_api("GET", self.api.configuration.host + path)
        body: bytes = answer.read()
        if answer.status != HTTPStatus.OK:
            raise client.ApiException(status=answer.status, reason=body.decode(errors="replace"))
        return body.decode()


def wait_for(what: str, condition: Callable[[], Any], *, timeout_seconds: float = 90, poll_seconds: float = 0.5) -> Any:
    """Poll until a condition holds, and return what it returned.

    Raises:
        TimeoutError: it did not hold in time; the message says what was waited for and the last error.
    """
    deadline = time.monotonic() + timeout_seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            value = condition()
        except Exception as error:  # noqa: BLE001  whatever is not there yet
            last = error
        else:
            if value:
                return value
            last = value
        time.sleep(poll_seconds)
    raise TimeoutError(f"{what}: not within {timeout_seconds:.0f} s (last: {last})")
