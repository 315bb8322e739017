"""Are containers throttled by a CPU limit that nobody asked for?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from auditor import Facts, Finding, Parameters, Severity, check, threshold
from auditor.facts.kube import LimitRange, Pod
from auditor.facts.quantity import quantity_cores

from .._roles import role_of
from .._wording import counted, examples, full_name, full_names, listed

_ANNOTATION = "kubernetes.io/limit-ranger"
"""What the admission plugin writes on a pod: ``LimitRanger plugin set: cpu, memory limit for container broker``."""

_GAVE_CPU_LIMIT = re.compile(r"\bcpu\b[^;]*\blimit for (?:init )?container")


class LimitParameters(Parameters, frozen=True, kw_only=True):
    """Which limits are harmless, and where."""

    default_cores_at_least: Annotated[
        float,
        threshold(
            "Cores from which on a default CPU limit is taken to be harmless.",
            source="No upstream number; below 4 cores a JVM's collector and compiler threads throttle its own work.",
            ge=0,
        ),
    ] = 4.0
    data_namespaces: Annotated[
        tuple[str, ...],
        threshold(
            "Globs of further namespaces that are meant for data systems, before anything runs in them.",
            source="The site's own namespaces; those that run a recognized data system are found.",
        ),
    ] = ()


@dataclass(frozen=True, slots=True)
class Default:
    """The CPU limit that a LimitRange gives to containers that name none."""

    range: LimitRange
    cores: float

    @property
    def namespace(self) -> str:
        """Where it holds."""
        return self.range.namespace or ""


@check(
    "scheduler.default-cpu-limit",
    title="No LimitRange throttles the CPU of data systems",
    severity=Severity.MEDIUM,
    reads=(LimitRange, Pod),
    aliases=("SCH-010",),
)
def default_cpu_limit(facts: Facts, params: LimitParameters) -> Iterator[Finding]:
    """A default CPU limit from a LimitRange slows a JVM down, and nobody sees where it comes from.

    ## What it checks
    In namespaces that run a data system, told by the labels and images of its pods, or that match `data_namespaces`, no
    LimitRange has `limits[].default.cpu` below `default_cores_at_least`.

    Where pods of a data system got such a limit (they carry a note of the admission plugin), that fails. Where the
    LimitRange is there and all of them name a limit of their own, it is a warning: the next pod may not. Elsewhere the
    default is nobody's concern here. Requests and memory limits by default are welcome.

    ## Why it matters
    A container at its CPU limit stops for the rest of each 100 ms. A JVM starts as many collector threads as it sees
    cores, uses the limit up in a moment, and stands still: brokers fall out of the in-sync set, NameNodes lose their
    election, executors miss heartbeats. A pod that requests more CPU than the default limit is refused altogether.

    ## How to fix
    Take `cpu` out of `default` and keep `defaultRequest`; give the namespace a ResourceQuota on requests instead. Pods
    keep their limits until they are made anew.

        kubectl -n NAMESPACE edit limitrange NAME

    ## References
    - [Limit ranges](https://kubernetes.io/docs/concepts/policy/limit-range/)
    - [Default CPU requests and limits](https://kubernetes.io/docs/tasks/administer-cluster/manage-resources/cpu-default-namespace/)
    - [EKS best practices: data plane reliability](https://docs.aws.amazon.com/eks/latest/best-practices/data-plane.html)
    """
    defaults = sorted(_defaults(facts), key=lambda each: full_name(each.range))
    if not defaults:
        yield Finding.ok("No LimitRange gives containers a CPU limit by default.")
        return
    pods = _data_pods(facts)
    concerned = [each for each in defaults if each.namespace in pods or _is_named(each.namespace, params)]
    if not concerned:
        yield Finding.skip(
            f"LimitRanges give containers a CPU limit by default in namespaces {_namespaces(defaults)} only, none of "
            "which runs a data system."
        )
        return
    small = [each for each in concerned if each.cores < params.default_cores_at_least]
    if not small:
        yield Finding.ok(
            f"Default CPU limits in namespaces of data systems are {_cores(params.default_cores_at_least)} or more: "
            f"{_described(concerned)}.",
            subjects=[each.range.subject for each in concerned],
        )
        return
    yield from _judge_small(small, pods, params)


def _defaults(facts: Facts) -> Iterator[Default]:
    for limit_range in facts.list(LimitRange):
        for item in limit_range.spec.limits:
            if item.type == "Container" and "cpu" in (item.default or {}):
                yield Default(limit_range, quantity_cores((item.default or {})["cpu"]))


def _data_pods(facts: Facts) -> dict[str, list[Pod]]:
    """The pods of data systems that are not at their end, by namespace."""
    found: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in facts.list(Pod):
        if not pod.is_finished and role_of(pod) is not None:
            found[pod.namespace or ""].append(pod)
    return dict(found)


def _is_named(namespace: str, params: LimitParameters) -> bool:
    return any(fnmatchcase(namespace, glob) for glob in params.data_namespaces)


def _judge_small(
    small: Sequence[Default], pods: Mapping[str, Sequence[Pod]], params: LimitParameters
) -> Iterator[Finding]:
    limited = {
        each.namespace: sorted((p for p in pods.get(each.namespace, ()) if _got_cpu_limit(p)), key=full_name)
        for each in small
    }
    hit = [each for each in small if limited[each.namespace]]
    if hit:
        victims = [pod for namespace in sorted(limited) for pod in limited[namespace]]
        yield Finding.fail(
            f"A CPU limit that nobody asked for came to {counted(len(victims), 'pod')} of data systems "
            f"({full_names(victims)}) from {_described(hit)}; none, or {_cores(params.default_cores_at_least)} and "
            "more, was expected.",
            subjects=[pod.subject for pod in victims],
            fix="Take cpu out of the LimitRange's default, or let the pods name a limit, then make the pods anew.",
            command=_edit(hit),
            evidence=dict(examples({full_name(pod): pod.annotations.get(_ANNOTATION, "") for pod in victims})),
        )
    if spared := [each for each in small if each not in hit]:
        yield Finding.warn(
            f"{_described(spared)} would give a container of a data system that names no CPU limit less than "
            f"{_cores(params.default_cores_at_least)}; no default was expected.",
            subjects=[each.range.subject for each in spared],
            fix="Take cpu out of the LimitRange's default, and keep defaultRequest.",
            command=_edit(spared),
        )


def _got_cpu_limit(pod: Pod) -> bool:
    return _GAVE_CPU_LIMIT.search(pod.annotations.get(_ANNOTATION, "")) is not None


def _described(defaults: Sequence[Default]) -> str:
    noun = "LimitRange" if len(defaults) == 1 else "LimitRanges"
    return f"{noun} {listed([f'{full_name(each.range)} ({_cores(each.cores)})' for each in defaults])}"


def _cores(count: float) -> str:
    return f"{count:g} core" if count == 1 else f"{count:g} cores"


def _namespaces(defaults: Sequence[Default]) -> str:
    return listed(sorted({each.namespace for each in defaults}))


def _edit(defaults: Sequence[Default]) -> str:
    return "\n".join(f"kubectl -n {each.namespace} edit limitrange {each.range.name}" for each in defaults)
