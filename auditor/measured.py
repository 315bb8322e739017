"""What benchmarks measured, as a Result holds it and every report shows it: numbers with what they are worth.

Everything here is display-ready and the same for every benchmark: a report knows metrics, curves, series, windows,
tables and breakdowns, and nothing of Kafka or Spark.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable, keyword-only, compared by value."""


class Direction(StrEnum):
    """Which way a metric gets better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    NEITHER = "neither"


class Histogram(_Struct, frozen=True, kw_only=True):
    """Where a raw histogram lies in the bundle."""

    path: str
    unit: str


class Change(_Struct, frozen=True, kw_only=True):
    """How a metric differs from that of a baseline.

    Attributes:
        baseline_median: in the metric's unit.
        ratio: this median through the baseline's; None where the baseline's is 0.
        p_value: of a two-sided Mann-Whitney test over the repeats; None where there are too few.
        regression: whether statistics carry that it got worse, by more than is worth a word.
        note: in words, such as why nothing can be said.
    """

    baseline_median: float
    ratio: float | None = None
    p_value: float | None = None
    regression: bool = False
    note: str = ""


class Metric(_Struct, frozen=True, kw_only=True):
    """One measured quantity of a benchmark.

    Attributes:
        name: stable, kebab-case, such as ``produce-p99-at-80``; a baseline is compared by it.
        unit: as it is shown: ``ms``, ``MiB/s``, ``records/s``, ``s``, ``%``.
        repeats: one value each.
        median: of them.
        confidence_interval: 95 % interval of the median; absent where there are too few repeats for one.
        histogram: where the raw values lie.
        title: for people; the name where it is empty.
        direction: which way is better.
        headline: whether it stands at the top of the benchmark.
        goal: the site's or a stated limit, in the metric's unit.
        goal_source: where the goal comes from.
        invalid: why this number may not be graded, where only it is concerned.
        change: against a baseline.
    """

    name: str
    unit: str
    repeats: tuple[float, ...]
    median: float
    confidence_interval: tuple[float, float] | None = None
    histogram: Histogram | None = None
    title: str = ""
    direction: Direction = Direction.NEITHER
    headline: bool = False
    goal: float | None = None
    goal_source: str = ""
    invalid: str = ""
    change: Change | None = None


class Gate(_Struct, frozen=True, kw_only=True):
    """A condition without which a benchmark's numbers mean nothing.

    Attributes:
        name: such as ``achieved rate``.
        passed: None where it could not be looked at, which counts as not passed.
        message: what was seen and what was expected, with units.
    """

    name: str
    passed: bool | None
    message: str


class Validity(_Struct, frozen=True, kw_only=True):
    """Whether a benchmark's numbers may be graded."""

    valid: bool
    broken_gates: tuple[str, ...] = ()
    """The messages of the gates that were not passed."""
    gates: tuple[Gate, ...] = ()


class WindowKind(StrEnum):
    """What a stretch of time was used for."""

    PREFLIGHT = "preflight"
    WARM_UP = "warm-up"
    SEARCH = "search"
    MEASURED = "measured"
    FAULT = "fault"


class Window(_Struct, frozen=True, kw_only=True):
    """A stretch of a benchmark's time, to shade in charts."""

    kind: WindowKind
    title: str
    start: datetime
    end: datetime


class Series(_Struct, frozen=True, kw_only=True):
    """A quantity over time, at even steps.

    Attributes:
        chart: series of one chart have the same; ``rate``, ``latency``, ``broker CPU`` … A chart has one unit.
        label: of the line.
        unit: of the values.
        start: of the first value.
        step_seconds: between two values.
        values: None is a gap, which stays one.
        telemetry: whether it comes from the site's monitoring and not from the benchmark itself.
    """

    chart: str
    label: str
    unit: str
    start: datetime
    step_seconds: float
    values: tuple[float | None, ...]
    telemetry: bool = False


class Curve(_Struct, frozen=True, kw_only=True):
    """A latency percentile curve.

    Attributes:
        chart: curves of one chart have the same.
        label: of the line, such as ``80 % of the sustained rate``.
        unit: of the values.
        quantiles: pairs of a quantile (0 to 1) and its value, ascending; only those that the count supports.
        count: of the samples.
    """

    chart: str
    label: str
    unit: str
    quantiles: tuple[tuple[float, float], ...]
    count: int


Cell = str | int | float | None


class Table(_Struct, frozen=True, kw_only=True):
    """Figures that belong side by side: a loss ledger, the stages of a job, faults and what became of them.

    Attributes:
        title: its caption.
        columns: their headings, with units.
        rows: as many cells each as there are columns.
        note: how to read it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class Bar(_Struct, frozen=True, kw_only=True):
    """One bar of a breakdown: as many values as the breakdown has parts."""

    label: str
    values: tuple[float, ...]


class Breakdown(_Struct, frozen=True, kw_only=True):
    """What a whole consists of, as stacked bars: where the time of a job went.

    Attributes:
        title: its caption.
        unit: of the values.
        parts: from left to right.
        bars: one per whole.
    """

    title: str
    unit: str
    parts: tuple[str, ...]
    bars: tuple[Bar, ...]


class Benchmark(_Struct, frozen=True, kw_only=True):
    """What a benchmark measured, under which circumstances, and what its numbers are worth.

    Attributes:
        id: ``kafka``, ``spark`` …
        title: one line.
        parameters: what was asked for.
        fingerprint: everything else that shaped the numbers; two results compare where it is the same.
        validity: whether the numbers may be graded.
        metrics: headline ones first.
        scale: smoke, standard or stress.
        started_at: None in results of older versions.
        took_seconds: over all.
        outcome: one sentence: what this cluster sustains, or why that is not known.
        windows: stretches of its time.
        series: quantities over time.
        curves: latency percentiles.
        tables: other figures.
        breakdowns: where the time went.
        notes: what the numbers do not show.
    """

    id: str
    title: str
    parameters: dict[str, Any]
    fingerprint: dict[str, Any]
    validity: Validity
    metrics: tuple[Metric, ...] = ()
    scale: str = ""
    started_at: datetime | None = None
    took_seconds: float = 0.0
    outcome: str = ""
    windows: tuple[Window, ...] = ()
    series: tuple[Series, ...] = ()
    curves: tuple[Curve, ...] = ()
    tables: tuple[Table, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    notes: tuple[str, ...] = ()
