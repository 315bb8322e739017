"""Pods that run one task of the probe agent, and what they say at their end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from auditor.cluster import Manifest, ObjectError
from auditor.facts.kube import Pod
from auditor.sandbox.agent import framing
from auditor.sandbox.causes import refusal
from auditor.sandbox.diagnosis import diagnose
from auditor.sandbox.pods import container, pod
from auditor.sandbox.space import Sandbox
from auditor.sandbox.trouble import Trouble, TroubleError
from auditor.sandbox.zipapp import AGENT_FILE, agent_config_map, agent_config_map_name

__all__ = [
    "agent_config_map",
    "agent_container",
    "agent_pod",
    "agent_volume",
    "finished",
    "results",
    "run",
    "run_all",
    "started",
]

ARGUMENTS = "AUDITOR_ARGUMENTS"
CONTAINER = "agent"

_FOLDER = "/auditor"
_VOLUME = "auditor-agent"

_LOG_SECONDS = 10.0
"""A log may reach the kubelet's file a moment after its container has ended."""
_LOG_LINES = 10

_HOPELESS = {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "ImagePullBackOff"}
"""What a container waits for in vain; an image is pulled twice before it counts."""

_PODS_AT_ONCE = 16


def agent_volume(sandbox: Sandbox) -> Manifest:
    """The volume that :func:`agent_container` mounts, for templates of one's own."""
    return {"name": _VOLUME, "configMap": {"name": agent_config_map_name(sandbox), "defaultMode": 0o444}}


def agent_container(
    sandbox: Sandbox,
    task: str,
    arguments: Mapping[str, Any],
    *,
    name: str = CONTAINER,
    env: Mapping[str, str] | None = None,
    mounts: Sequence[Manifest] = (),
    **more: Any,
) -> Manifest:
    """A container that runs one task, for templates of one's own; it needs :func:`agent_volume`.

    Args:
        sandbox: whose images it uses.
        task: a module of ``auditor.sandbox.agent.tasks``.
        arguments: of the task, as JSON can write them.
        name: of the container.
        env: further values.
        mounts: further mounts.
        more: what :func:`auditor.sandbox.pods.container` takes.
    """
    images = sandbox.settings.images
    return container(
        name,
        images.for_agent,
        ["python3", f"{_FOLDER}/{AGENT_FILE}", task],
        pull_policy=images.pull_policy,
        env={ARGUMENTS: json.dumps(arguments), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        mounts=[{"name": _VOLUME, "mountPath": _FOLDER, "readOnly": True}, *mounts],
        **more,
    )


def agent_pod(
    sandbox: Sandbox,
    task: str,
    arguments: Mapping[str, Any],
    *,
    name: str,
    node: str | None = None,
    zone: str | None = None,
    labels: Mapping[str, str] | None = None,
    volumes: Sequence[Manifest] = (),
    mounts: Sequence[Manifest] = (),
    fs_group: int | None = None,
    container_more: Mapping[str, Any] | None = None,
    **more: Any,
) -> Manifest:
    """A pod that runs one task and ends.

    Args:
        sandbox: where it will live.
        task: a module of ``auditor.sandbox.agent.tasks``.
        arguments: of the task, as JSON can write them.
        name: of the pod.
        node: on which it shall run.
        zone: in which it shall run, where no node is named.
        labels: beside the marks.
        volumes: of the pod.
        mounts: of the container.
        fs_group: the group that volumes are given to; the pod's own where it has claims and none is given.
        container_more: what :func:`auditor.sandbox.pods.container` takes, such as ``cpu`` and ``ports``.
        more: what :func:`auditor.sandbox.pods.pod` takes.
    """
    if fs_group is None and any("persistentVolumeClaim" in volume for volume in volumes):
        fs_group = sandbox.settings.run_as_user or None
    return pod(
        sandbox,
        name=name,
        containers=[agent_container(sandbox, task, arguments, mounts=mounts, **(container_more or {}))],
        volumes=[agent_volume(sandbox), *volumes],
        node=node,
        zone=zone,
        labels=labels,
        fs_group=fs_group,
        **more,
    )


def results(log_text: str) -> list[dict[str, Any]]:
    """The observations in a log, those that are whole; for pods that still run. :func:`finished` is strict."""
    return framing.parse(log_text).results


def started(sandbox: Sandbox, pod_name: str, *, seconds: float | None = None) -> None:
    """Wait until an agent runs or has run.

    Args:
        sandbox: where the pod lives.
        pod_name: of the pod.
        seconds: the deadline; the patience of the settings where it is not given.

    Raises:
        TroubleError: it did not start; it says why.
        ObjectError: the pod may not be read.
        StoppedError: the run is being ended.
    """
    since = time.monotonic()
    concerning = (Pod.api.kind, pod_name)
    sandbox.wait_for(
        f"pod {pod_name} starts", lambda: _begun(sandbox, pod_name, since), seconds=seconds, concerning=concerning
    )


def finished(sandbox: Sandbox, pod_name: str, *, seconds: float) -> list[dict[str, Any]]:
    """Wait until an agent has ended, and return all that it observed.

    Args:
        sandbox: where the pod lives.
        pod_name: of the pod.
        seconds: that the task may take once it runs; to start, it has the patience of the settings.

    Raises:
        TroubleError: it did not start, did not end, failed, or its log is not whole; it says why.
        ObjectError: the pod may not be read.
        StoppedError: the run is being ended.
    """
    since = time.monotonic()
    started(sandbox, pod_name)
    sandbox.wait_for(
        f"the task of pod {pod_name} ends",
        lambda: _ended(sandbox, pod_name),
        seconds=seconds,
        concerning=(Pod.api.kind, pod_name),
    )
    said = _final_log(sandbox, pod_name)
    log = framing.parse(said)
    if log.is_whole:
        return log.results
    raise TroubleError(_failure(sandbox, pod_name, log, said, time.monotonic() - since))


def run(sandbox: Sandbox, manifest: Manifest, *, seconds: float) -> list[dict[str, Any]]:
    """Create an agent's pod, wait for its end, remove it, and return what it observed.

    Raises:
        TroubleError: as :func:`finished`.
        ObjectError: it may not be created or read.
    """
    name = manifest["metadata"]["name"]
    sandbox.create(manifest)
    try:
        return finished(sandbox, name, seconds=seconds)
    finally:
        _remove(sandbox, name)


def run_all(
    sandbox: Sandbox, manifests: Sequence[Manifest], *, seconds: float, at_once: int = _PODS_AT_ONCE
) -> dict[str, list[dict[str, Any]] | Trouble]:
    """Like :func:`run` for several pods side by side: what each observed, or why not, by the pod's name.

    A pod that is refused, by a quota or by admission, is one of those that have a reason.

    Raises:
        ObjectError: the account lacks a permission.
        StoppedError: the run is being ended.
    """

    def one(manifest: Manifest) -> list[dict[str, Any]] | Trouble:
        try:
            return run(sandbox, manifest, seconds=seconds)
        except TroubleError as error:
            return error.trouble
        except ObjectError as error:
            if error.missing_permission:
                raise
            return refusal(error)

    with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
        futures = {manifest["metadata"]["name"]: pool.submit(one, manifest) for manifest in manifests}
        try:
            return {name: future.result() for name, future in futures.items()}
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _begun(sandbox: Sandbox, name: str, started: float) -> bool | None:
    """True once the container runs or has run.

    Raises:
        TroubleError: it never will.
    """
    status = _status(sandbox, name, "starts", started)
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    states = [each.get("state", {}) for each in status.get("containerStatuses", ())]
    if any("running" in state or "terminated" in state for state in states):
        return True
    if any(state.get("waiting", {}).get("reason") in _HOPELESS for state in states):
        waited = time.monotonic() - started
        raise TroubleError(diagnose(sandbox, f"pod {name} does not start", waited, Pod.api.kind, name))
    return None


def _ended(sandbox: Sandbox, name: str) -> bool | None:
    return True if _status(sandbox, name, "ends").get("phase") in ("Succeeded", "Failed") else None


def _status(sandbox: Sandbox, name: str, expected: str, started: float | None = None) -> Manifest:
    found = sandbox.get(Pod.api.kind, name)
    if found is None:
        waited = 0.0 if started is None else time.monotonic() - started
        raise TroubleError(diagnose(sandbox, f"pod {name} {expected}", waited, Pod.api.kind, name))
    status: Manifest = found.get("status", {})
    return status


def _final_log(sandbox: Sandbox, name: str) -> str:
    """The log of a pod that has ended, once it says so itself or may have been read to its end."""
    deadline = time.monotonic() + _LOG_SECONDS
    while True:
        try:
            said = sandbox.log(name)
        except ObjectError as error:
            if error.missing_permission:
                raise
            said = ""
            if time.monotonic() > deadline:
                raise TroubleError(
                    Trouble(reason="Log", message=f"the log of pod {name} could not be read: {error}")
                ) from error
        else:
            log = framing.parse(said)
            if log.announced is not None or log.error or time.monotonic() > deadline:
                return said
        sandbox.pause(0.5)


def _failure(sandbox: Sandbox, name: str, log: framing.AgentLog, said: str, waited: float) -> Trouble:
    """Why an agent that has ended did not give all that it should."""
    tail = tuple(line for line in said.splitlines() if framing.MARK not in line)[-_LOG_LINES:]
    if log.error:
        return Trouble(reason="Crashed", message=f"the task of pod {name} failed: {log.error}", log_tail=tail)
    if log.announced is not None:
        message = f"the log of pod {name} is not whole: {len(log.results)} of {log.announced} observations came"
        return Trouble(reason="Log", message=message, log_tail=tail)
    trouble = diagnose(sandbox, f"the task of pod {name} did not come to its end", waited, Pod.api.kind, name)
    return msgspec.structs.replace(trouble, log_tail=tail)


def _remove(sandbox: Sandbox, name: str) -> None:
    """What is left is removed with the sandbox, so that failing here is no trouble."""
    _quietly(lambda: sandbox.delete(Pod.api.kind, name))


def _quietly(do: Callable[[], object]) -> None:
    try:
        do()
    except ObjectError:
        return
