"""Faults of admission, each in one namespace: webhooks and quotas."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import web
from kubernetes.client import ApiException

from tests.testbed.client import Cluster, wait_for
from tests.testbed.faults.changes import created
from tests.testbed.faults.journal import fault
from tests.testbed.layout import HUB_ADDRESS
from tests.testbed.pki import AUTHORITY
from tests.testbed.proxy import serve, serving_identity

WEBHOOK = "fault.testbed.auditor"
QUOTA = {"pods": "1", "requests.cpu": "100m", "requests.memory": "64Mi", "persistentvolumeclaims": "0"}


@fault
def failing_webhook(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Nothing can be created in a namespace: the Service of a webhook that must agree has no pods."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "dead-webhook", "namespace": namespace},
        "spec": {"ports": [{"port": 443}]},
    }
    webhook = _webhook(namespace, {"service": {"name": "dead-webhook", "namespace": namespace}})
    with _admitting_afterwards(cluster, namespace), created(cluster, service), created(cluster, webhook):
        wait_for("the webhook to be in force", lambda: _creation_status(cluster, namespace) >= HTTPStatus.BAD_REQUEST)
        yield


@fault
def slow_webhook(cluster: Cluster, namespace: str, *, delay_seconds: float = 2.0) -> Iterator[list[str]]:
    """Everything created in a namespace waits for a webhook that takes its time; yields the names it let pass."""
    passed: list[str] = []

    async def review(request: web.BaseRequest) -> web.Response:
        asked = (await request.json())["request"]
        await asyncio.sleep(delay_seconds)
        passed.append(asked["name"])
        allowed = {"uid": asked["uid"], "allowed": True}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": allowed})

    authority = base64.b64encode(AUTHORITY.certificate.read_bytes()).decode()
    with (
        _admitting_afterwards(cluster, namespace),
        serving_identity(HUB_ADDRESS) as identity,
        serve(review, HUB_ADDRESS, identity) as port,
        created(cluster, _webhook(namespace, {"url": f"https://{HUB_ADDRESS}:{port}/", "caBundle": authority})),
    ):
        wait_for("the webhook to be in force", lambda: _creation_status(cluster, namespace) and passed)
        yield passed


@fault
def quota_too_small(cluster: Cluster, namespace: str) -> Iterator[dict[str, str]]:
    """A namespace's quota lets in one small pod and no claims; yields the quota."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "too-small", "namespace": namespace},
        "spec": {"hard": QUOTA},
    }
    with created(cluster, quota):
        wait_for(
            "the quota to be in force",
            lambda: cluster.core.read_namespaced_resource_quota("too-small", namespace).status.hard,
        )
        yield QUOTA


@contextmanager
def _admitting_afterwards(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Wait at the end, when what the webhook calls is gone, until the API server does not call it any more."""
    try:
        yield
    finally:
        wait_for("the webhook to be out of force", lambda: _creation_status(cluster, namespace) == HTTPStatus.CREATED)


def _webhook(namespace: str, client_config: dict[str, Any]) -> dict[str, Any]:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps", "persistentvolumeclaims", "pods", "services"],
    }
    webhook = {
        "name": WEBHOOK,
        "clientConfig": client_config,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"{WEBHOOK}.{namespace}"},
        "webhooks": [webhook],
    }


def _creation_status(cluster: Cluster, namespace: str) -> int:
    """The status with which the API server answers the wish, not meant in earnest, to create something."""
    try:
        cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": "probe"}}, dry_run="All")
    except ApiException as error:
        return int(error.status)
    return HTTPStatus.CREATED
