"""Kubernetes' own gang scheduling: whether it is served, and whether kube-scheduler acts on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor import Facts, Finding, Status
from auditor.facts.kube import Pod
from auditor.facts.kube.scheduling import PodGroup, Workload
from auditor.facts.parts import if_served
from auditor.facts.version import parse_version

from .._wording import full_names

NATIVE_PARTS = (if_served(Workload), if_served(PodGroup), Pod)
"""What :func:`native_gangs` reads."""

_WHERE = (
    ("kube-system", "component", "kube-scheduler"),
    ("openshift-kube-scheduler", "app", "openshift-kube-scheduler"),
)
"""Namespace and label of kube-scheduler where it runs as pods: kubeadm, kops, RKE2 and others; OpenShift."""

_FIRST_MINOR_WITH_ONE_GATE = 37
_LAST_KNOWN_MINOR = 37
"""In Kubernetes 1.37 GenericWorkload is beta and off, and stands for GangScheduling too; later defaults are unknown."""

_SERVED = "The server serves Workload (scheduling.k8s.io)"


def native_gangs(facts: Facts, *, gates_on: bool) -> Finding | None:
    """What is to say of the built-in gangs; None where the server does not serve them.

    Args:
        facts: what was read.
        gates_on: whether the site says that kube-scheduler runs with the gates.
    """
    if not facts.served(if_served(Workload)):
        return None
    if gates_on:
        return Finding.ok(f"{_SERVED}, and the site says that kube-scheduler acts on it.")
    if any(group.was_scheduled for group in facts.list(PodGroup)):
        return Finding.ok(f"{_SERVED}, and kube-scheduler has decided on PodGroups: gang scheduling is on.")
    schedulers = sorted(_schedulers(facts), key=lambda pod: pod.name)
    minor = _server_minor(facts.origin.server_version)
    states = {pod.name: _acts(pod, minor) for pod in schedulers}
    if not schedulers or None in states.values():
        return _cannot_tell(seen=bool(schedulers))
    if all(states.values()):
        return Finding.ok(
            f"{_SERVED}, and kube-scheduler runs with its feature gates: gang scheduling is on.",
            subjects=[pod.subject for pod in schedulers],
        )
    without = [pod for pod in schedulers if not states[pod.name]]
    return Finding.fail(
        f"{_SERVED}, but kube-scheduler ({full_names(without)}) runs without the feature gates: pods of a gang are "
        "scheduled one by one, all or nothing was expected.",
        subjects=[pod.subject for pod in without],
        fix=f"Start kube-scheduler with --feature-gates={_gates_text(minor)}.",
    )


def _cannot_tell(*, seen: bool) -> Finding:
    why = "its flags do not say" if seen else "it is not among the cluster's pods"
    return Finding.of(
        Status.UNKNOWN,
        f"{_SERVED}, but whether kube-scheduler acts on it cannot be told, {why}: an API that is served proves the "
        "gate of the API server only.",
        fix="Run the probe of gangs, or set native_gates_on of this check if kube-scheduler runs with the gates.",
    )


def _schedulers(facts: Facts) -> Iterator[Pod]:
    for namespace, key, value in _WHERE:
        yield from (pod for pod in facts.labelled(Pod, key, value) if pod.namespace == namespace)


def _gates_text(minor: int | None) -> str:
    one = minor is not None and minor >= _FIRST_MINOR_WITH_ONE_GATE
    return "GenericWorkload=true" if one else "GenericWorkload=true,GangScheduling=true"


def _acts(pod: Pod, minor: int | None) -> bool | None:
    """Whether a kube-scheduler schedules gangs by its flags; None where its defaults would decide and are not known."""
    gates = _feature_gates(pod)
    if minor is None or minor > _LAST_KNOWN_MINOR:
        explicit = gates.get("GenericWorkload")
        return explicit if explicit is False or gates.get("GangScheduling") is True else None
    stage = "AllBeta" if minor >= _FIRST_MINOR_WITH_ONE_GATE else "AllAlpha"
    wanted = ("GenericWorkload",) if minor >= _FIRST_MINOR_WITH_ONE_GATE else ("GenericWorkload", "GangScheduling")
    return all(gates.get(gate, gates.get(stage, False)) for gate in wanted)


def _feature_gates(pod: Pod) -> dict[str, bool]:
    """The feature gates of the command line, those given last winning."""
    words = [
        word for container in pod.spec.containers for word in (*(container.command or ()), *(container.args or ()))
    ]
    text = " ".join(words)
    lists = re.findall(r"--feature-gates[= ](\S+)", text)
    pairs = [pair.partition("=") for given in lists for pair in given.split(",")]
    return {name: value.lower() in ("true", "t", "1") for name, _, value in pairs}


def _server_minor(version: str) -> int | None:
    try:
        return parse_version(version).minor
    except ValueError:
        return None
