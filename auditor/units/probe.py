"""What a probe is: a small experiment in the sandbox, with a plan that can be read before, and observations after."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.facts.observations import Observations

if TYPE_CHECKING:
    from auditor.sandbox import Sandbox
    from auditor.sandbox.scope import Scope

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Right:
    """One permission that a probe needs.

    Attributes:
        verb: as RBAC knows it.
        resource: ``pods``, ``pods/log``, ``persistentvolumeclaims`` …
        group: API group, empty for the legacy one.
        cluster_wide: whether it is needed outside the sandbox's namespace.
        optional: whether the probe still tells most of what it should without it.
    """

    verb: str
    resource: str
    group: str = ""
    cluster_wide: bool = False
    optional: bool = False


def rights(
    verbs: str, *resources: str, group: str = "", cluster_wide: bool = False, optional: bool = False
) -> tuple[Right, ...]:
    """Several permissions at once: ``rights("create get delete", "pods")``."""
    return tuple(
        Right(verb, resource, group, cluster_wide, optional) for resource in resources for verb in verbs.split()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An object that a probe will create.

    Attributes:
        manifest: as it will be sent, or the first of several that differ in names and places.
        count: how many of them over the whole run.
    """

    manifest: Manifest
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """What a probe will cost.

    Attributes:
        objects: that it creates itself.
        pods_at_once: that it needs at one time, those of its StatefulSets and Deployments included.
        storage_bytes: that its claims ask for at one time.
        seconds: that it takes on a healthy cluster.
        load_balancers: Services of that type.
        notes: what else a reader should know, such as what is skipped and why.
    """

    objects: tuple[Planned, ...]
    pods_at_once: int = 0
    storage_bytes: int = 0
    seconds: float = 0.0
    load_balancers: int = 0
    notes: tuple[str, ...] = ()


PlanFunction = Callable[["Sandbox", "Scope"], ProbePlan]
ProbeFunction = Callable[["Sandbox", "Scope"], Observations]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe as it is declared.

    Attributes:
        id: its name, and that of its file: ``observations/<id>.json``.
        title: what it finds out, one line.
        document: the type of its observations.
        rights: what it needs of RBAC.
        plan: what it will create and cost; pure.
        function: the experiment.
        place: ``file:line`` of the function.
    """

    id: str
    title: str
    document: type[Observations]
    rights: tuple[Right, ...]
    plan: PlanFunction
    function: ProbeFunction
    place: str


def probe(
    id: str,  # noqa: A002  the design's word
    *,
    title: str,
    yields: type[Observations],
    needs: Iterable[Right],
    plan: PlanFunction,
) -> Callable[[ProbeFunction], ProbeFunction]:
    """Declare a function ``(sandbox, scope) -> observations`` to be a probe.

    Args:
        id: its name.
        title: what it finds out, one line.
        yields: the type of its observations; its ``part_id`` is ``observations/<id>.json``.
        needs: the permissions; a run without one of them gives ``unknown`` with its name.
        plan: ``(sandbox, scope) -> ProbePlan``, from the same manifests as the experiment; pure.
    """

    def declare(function: ProbeFunction) -> ProbeFunction:
        code = function.__code__
        function.__auditor__ = Probe(  # type: ignore[attr-defined]
            id=id,
            title=title,
            document=yields,
            rights=tuple(needs),
            plan=plan,
            function=function,
            place=f"{code.co_filename}:{code.co_firstlineno}",
        )
        return function

    return declare
