"""Pods that every cluster should admit: restricted Pod Security, small requests, the site's places and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.cluster import Manifest
from auditor.facts.kube.nodes import LEGACY_ZONE_LABEL, ZONE_LABEL
from auditor.sandbox.space import Sandbox

OS_LABEL = "kubernetes.io/os"

_NO_SIDECARS = {"sidecar.istio.io/inject": "false"}
"""A container that a mesh adds does not end, nor does its pod then."""
_NO_SIDECARS_NOTE = {"linkerd.io/inject": "disabled"}

_SCRATCH = "scratch"
_SCRATCH_PATH = "/tmp"  # noqa: S108  inside the pod, an emptyDir of its own


def container(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    pull_policy: str = "IfNotPresent",
    env: Mapping[str, str] | None = None,
    cpu: str = "10m",
    memory: str = "32Mi",
    cpu_limit: str = "1",
    memory_limit: str = "256Mi",
    mounts: Sequence[Manifest] = (),
    **more: Any,
) -> Manifest:
    """A container without privileges, whose root file system is read-only and whose /tmp is not.

    Args:
        name: of the container.
        image: as the pod names it; see :meth:`auditor.sandbox.settings.Images.mirrored`.
        command: replaces the image's entry point.
        pull_policy: of the image.
        env: plain values.
        cpu: request.
        memory: request.
        cpu_limit: quotas of given namespaces may ask for one.
        memory_limit: likewise.
        mounts: ``volumeMounts`` beside /tmp.
        more: further fields, such as ``ports`` and ``readinessProbe``.
    """
    made: Manifest = {
        "name": name,
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": list(command),
        "resources": {
            "requests": {"cpu": cpu, "memory": memory},
            "limits": {"cpu": cpu_limit, "memory": memory_limit},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": _SCRATCH, "mountPath": _SCRATCH_PATH}, *mounts],
    }
    if env:
        made["env"] = [{"name": key, "value": value} for key, value in env.items()]
    return {**made, **more}


def pod(
    sandbox: Sandbox,
    *,
    name: str,
    containers: Sequence[Manifest],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    restart_policy: str = "Never",
    deadline_seconds: float | None = None,
    **spec: Any,
) -> Manifest:
    """A bare pod, which ends itself when its run has expired.

    Args:
        sandbox: whose settings and marks it gets.
        name: of the pod.
        containers: made by :func:`container`.
        labels: beside the marks.
        annotations: of the pod.
        restart_policy: of the containers.
        deadline_seconds: after which the kubelet ends it; the expiry of the run where it is not given.
        spec: what :func:`pod_spec` takes.
    """
    made = template(sandbox, containers=containers, labels=labels, annotations=annotations, **spec)
    seconds = sandbox.settings.expiry_minutes * 60 if deadline_seconds is None else deadline_seconds
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **made["metadata"]},
        "spec": {**made["spec"], "restartPolicy": restart_policy, "activeDeadlineSeconds": max(1, int(seconds))},
    }


def template(
    sandbox: Sandbox,
    *,
    containers: Sequence[Manifest],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    """The template of a StatefulSet's, Deployment's or Job's pods: ``metadata`` with the marks, and ``spec``.

    Args:
        sandbox: whose settings and marks they get.
        containers: made by :func:`container`.
        labels: beside the marks.
        annotations: of the pods.
        spec: what :func:`pod_spec` takes.
    """
    return {
        "metadata": {
            "labels": {**(labels or {}), **_NO_SIDECARS, **sandbox.marks()},
            "annotations": {**_NO_SIDECARS_NOTE, **(annotations or {})},
        },
        "spec": pod_spec(sandbox, containers=containers, **spec),
    }


def pod_spec(
    sandbox: Sandbox,
    *,
    containers: Sequence[Manifest],
    init_containers: Sequence[Manifest] = (),
    volumes: Sequence[Manifest] = (),
    node: str | None = None,
    zone: str | None = None,
    affinity: Manifest | None = None,
    fs_group: int | None = None,
    grace_seconds: int = 1,
    **more: Any,
) -> Manifest:
    """The specification of a pod that runs as nobody, knows no token, and goes where the site lets it.

    Args:
        sandbox: whose settings it gets.
        containers: made by :func:`container`.
        init_containers: likewise.
        volumes: beside the one of /tmp.
        node: the name of the node on which the scheduler shall put it.
        zone: the zone, where no node is named.
        affinity: further rules, such as ``podAntiAffinity``; ``nodeAffinity`` belongs to ``node`` and ``zone``.
        fs_group: the group that volumes are given to.
        grace_seconds: between SIGTERM and SIGKILL.
        more: further fields, such as ``hostname``, ``subdomain`` and ``topologySpreadConstraints``.
    """
    settings = sandbox.settings
    made: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds,
        "nodeSelector": {OS_LABEL: "linux", **settings.node_selector},
        "securityContext": _security(settings.run_as_user, fs_group),
        "containers": list(containers),
        "volumes": [{"name": _SCRATCH, "emptyDir": {"sizeLimit": "256Mi"}}, *volumes],
    }
    if init_containers:
        made["initContainers"] = list(init_containers)
    if settings.tolerations:
        made["tolerations"] = [dict(toleration) for toleration in settings.tolerations]
    if settings.priority_class:
        made["priorityClassName"] = settings.priority_class
    if settings.images.pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in settings.images.pull_secrets]
    if place := {**_place(node, zone), **(affinity or {})}:
        made["affinity"] = place
    return {**made, **more}


def _security(user_id: int, fs_group: int | None) -> Manifest:
    made: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user_id:
        made |= {"runAsUser": user_id, "runAsGroup": user_id}
    if fs_group is not None:
        made |= {"fsGroup": fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    return made


def _place(node: str | None, zone: str | None) -> Manifest:
    """Affinity to a node by its name, for its hostname label may say something else, or to a zone by either label."""
    if node is not None:
        terms: list[Manifest] = [{"matchFields": [_is_in("metadata.name", node)]}]
    elif zone is not None:
        terms = [{"matchExpressions": [_is_in(label, zone)]} for label in (ZONE_LABEL, LEGACY_ZONE_LABEL)]
    else:
        return {}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def _is_in(key: str, value: str) -> Manifest:
    return {"key": key, "operator": "In", "values": [value]}
