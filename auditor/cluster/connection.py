"""Where a cluster is and who asks: kubeconfig and its contexts, or the ServiceAccount of the pod that asks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config import kube_config

from auditor.errors import ClusterConfigError

IN_CLUSTER = "in-cluster"
"""The name of the context that a pod's ServiceAccount stands for."""

_UNUSABLE = (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError)
"""What the `kubernetes` package raises of a kubeconfig that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A cluster that can be asked.

    Attributes:
        name: the kubeconfig context, or :data:`IN_CLUSTER`.
        server: base URL of the API server.
        pool: the `kubernetes` package's transport, with its certificates and proxy.
        configuration: the `kubernetes` package's configuration, which renews tokens that expire.
    """

    name: str
    server: str
    pool: urllib3.PoolManager
    configuration: Any

    def headers(self) -> dict[str, str]:
        """What authenticates a request, renewed where a token has expired."""
        settings = self.configuration.auth_settings()
        return {each["key"]: each["value"] for each in settings.values() if each["in"] == "header"}


def connect(context: str | None = None, *, kubeconfig: Path | None = None) -> Connection:
    """The connection to a context, to the current one, or from inside a pod to its own cluster.

    Args:
        context: of the kubeconfig; None for its current one.
        kubeconfig: the file; None for what KUBECONFIG names, then ``~/.kube/config``, then the pod's ServiceAccount.

    Raises:
        ClusterConfigError: there is no such configuration, or it cannot be used.
    """
    if context is None and kubeconfig is None and _in_pod_without_kubeconfig():
        return _connection(IN_CLUSTER, _service_account())
    try:
        with _logged_errors() as logged:
            api = config.new_client_from_config(str(kubeconfig) if kubeconfig else None, context)
        name = context or config.list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)[1]["name"]
    except (*_UNUSABLE, ImportError) as error:
        raise _unusable(f"{error}".strip() or type(error).__name__, context, kubeconfig) from error
    if logged and not (api.configuration.api_key or api.configuration.cert_file):
        raise _unusable("; ".join(logged), context, kubeconfig)
    return _connection(name, api)


def _service_account() -> Any:
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)
    except (config.ConfigException, OSError) as error:
        raise ClusterConfigError(
            "This pod's ServiceAccount cannot be used.",
            cause=f"{error}",
            next_step="Mount its token (automountServiceAccountToken: true), or give --kubeconfig.",
        ) from error
    return client.ApiClient(settings)


@contextmanager
def _logged_errors() -> Iterator[list[str]]:
    """What the `kubernetes` package logs and does not raise, such as that a credential plugin failed."""
    messages: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield messages
    finally:
        logging.getLogger().removeHandler(handler)


def _connection(name: str, api: Any) -> Connection:
    return Connection(
        name=name,
        server=api.configuration.host.rstrip("/"),
        pool=api.rest_client.pool_manager,
        configuration=api.configuration,
    )


def _in_pod_without_kubeconfig() -> bool:
    locations = os.environ.get("KUBECONFIG", kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    paths = [Path(path).expanduser() for path in locations.split(os.pathsep) if path]
    return "KUBERNETES_SERVICE_HOST" in os.environ and not any(path.exists() for path in paths)


def _unusable(cause: str, context: str | None, kubeconfig: Path | None) -> ClusterConfigError:
    where = f"context {context!r}" if context else "the current context"
    source = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "~/.kube/config")
    known = _contexts(kubeconfig)
    return ClusterConfigError(
        f"There is no usable configuration for {where} in {source}.",
        cause=cause,
        next_step=f"Name one of: {', '.join(known)}" if known else "kubectl config get-contexts",
    )


def _contexts(kubeconfig: Path | None) -> list[str]:
    try:
        contexts, _ = config.list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)
    except _UNUSABLE:
        return []
    return [context["name"] for context in contexts]
