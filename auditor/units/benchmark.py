"""What a benchmark is: a load with warm-up, repetition and validity gates; a plan before, measurements after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from auditor.facts.measurements import Measurements
from auditor.units.probe import Planned, Right

if TYPE_CHECKING:
    from auditor.sandbox import Sandbox
    from auditor.sandbox.scope import Scope


class Scale(StrEnum):
    """How much a benchmark loads."""

    SMOKE = "smoke"
    """Shows that it works: minutes, within 2 cores and 8 GiB. Its numbers are no measure of a cluster."""
    STANDARD = "standard"
    """A figure to decide by."""
    STRESS = "stress"
    """As much as the cluster bears."""


class BenchmarkOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a benchmark's options: one field each, with its unit in the name, declared with :func:`option`.

    They become flags of ``auditor bench <id>`` and keys of ``benchmarks.<id>`` in auditor.yaml.
    """


def option(description: str, *, metavar: str = "", ge: float | None = None) -> msgspec.Meta:
    """What an option means; used in ``Annotated``.

    Args:
        description: one sentence, with the unit.
        metavar: how the help names its value.
        ge: the least value allowed.
    """
    return msgspec.Meta(description=description, ge=ge, extra={"metavar": metavar})


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkPlan:
    """What a benchmark will cost.

    Attributes:
        objects: that it creates itself.
        lines: the plan for people, as label and text: brokers, volumes, generators, bytes, phases …
        pods_at_once: that it needs at one time.
        storage_bytes: that its claims ask for at one time.
        cpu_cores: that its pods request together.
        memory_bytes: that its pods request together.
        seconds: that it takes on a healthy cluster.
    """

    objects: tuple[Planned, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    pods_at_once: int = 0
    storage_bytes: int = 0
    cpu_cores: float = 0.0
    memory_bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a benchmark gets to work with.

    Attributes:
        sandbox: where its pods live; None where nothing is created in a cluster.
        scope: what is known of the cluster; None likewise.
        scale: how much it may load.
        options: its options, of the type that it declares.
        say: tells the user one line about the progress.
        keep: puts a raw file beside the measurements: ``keep("produce-80.hgrm", data)`` becomes
            ``measurements/<id>/produce-80.hgrm`` in the bundle.
        secrets: values that no plan, log, bundle or process list may show, by name.
    """

    sandbox: Sandbox | None
    scope: Scope | None
    scale: Scale
    options: BenchmarkOptions
    say: Callable[[str], None]
    keep: Callable[[str, bytes], None]
    secrets: Mapping[str, str]


BenchmarkPlanFunction = Callable[[Bench], BenchmarkPlan]
BenchmarkFunction = Callable[[Bench], Measurements]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark as it is declared.

    Attributes:
        id: its name, and that of its file: ``measurements/<id>.json``.
        title: what it finds out, one line.
        document: the type of its measurements.
        options: the type of its options.
        rights: what it needs of RBAC in the sandbox.
        plan: what it will create and cost; pure.
        function: the load.
        manual: how it measures, and what its numbers do not show; Markdown.
        place: ``file:line`` of the function.
    """

    id: str
    title: str
    document: type[Measurements]
    options: type[BenchmarkOptions]
    rights: tuple[Right, ...]
    plan: BenchmarkPlanFunction
    function: BenchmarkFunction
    manual: str
    place: str


def benchmark(
    id: str,  # noqa: A002  the design's word
    *,
    title: str,
    yields: type[Measurements],
    options: type[BenchmarkOptions],
    needs: Iterable[Right],
    plan: BenchmarkPlanFunction,
) -> Callable[[BenchmarkFunction], BenchmarkFunction]:
    """Declare a function ``(bench) -> measurements`` to be a benchmark; its docstring is its manual.

    Args:
        id: its name.
        title: what it finds out, one line.
        yields: the type of its measurements; its ``part_id`` is ``measurements/<id>.json``.
        options: the type of its options.
        needs: the permissions.
        plan: from the same manifests as the load; pure.
    """

    def declare(function: BenchmarkFunction) -> BenchmarkFunction:
        code = function.__code__
        function.__auditor__ = Benchmark(  # type: ignore[attr-defined]
            id=id,
            title=title,
            document=yields,
            options=options,
            rights=tuple(needs),
            plan=plan,
            function=function,
            manual=_manual(function),
            place=f"{code.co_filename}:{code.co_firstlineno}",
        )
        return function

    return declare


def _manual(function: Callable[..., Any]) -> str:
    return inspect.getdoc(function) or ""
