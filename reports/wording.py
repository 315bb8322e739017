"""Wording: how every report says the same thing, and what makes a text safe to show."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from auditor.measured import Metric
from auditor.model import (
    CheckInfo,
    Finding,
    Parameter,
    Result,
    Severity,
    Status,
    Strictness,
    VerdictLevel,
    Workload,
)

SYMBOLS: Mapping[str, str] = {
    Status.OK: "✓",
    Status.WARN: "▲",
    Status.FAIL: "✗",
    Status.SKIP: "○",
    Status.UNKNOWN: "?",
    VerdictLevel.READY: "✓",
    VerdictLevel.READY_WITH_WARNINGS: "▲",
    VerdictLevel.UNDETERMINED: "?",
    VerdictLevel.NOT_READY: "✗",
}
"""A shape for each word, so that colour is never alone."""

METHOD = (
    "A finding is required for a workload when it costs that workload {required} or more (strictness {strictness}).",
    "Not ready: a required finding failed.",
    "Undetermined: none failed, but a required one could not be told, or none was evaluated.",
    "Ready with warnings: nothing required failed, but something is to be looked at.",
    "Ready: every finding that counts is ok.",
    "Overall, the worst workload decides; nothing is averaged. Waived findings and those of severity info never count.",
)

GLOSSARY = (
    ("ok", "The subject is as it should be."),
    ("warn", "It works, at a cost or a risk."),
    ("fail", "It does not meet the condition."),
    ("unknown", "It could not be told; the message says why."),
    ("skip", "The check does not apply; the message says why."),
    ("waived", "The site accepts the finding, with a reason, an owner and an expiry."),
    ("critical", "The workload cannot run, or loses data."),
    ("high", "An outage or a collapse of performance in production."),
    ("medium", "Degraded or costly."),
    ("low", "Hygiene."),
    ("info", "Worth knowing; never part of a verdict."),
)

_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_TEXT_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NO_CHARACTER = r"\ud800-\udfff\ufffe\uffff"
_UNPRINTABLE = re.compile(f"[{_CONTROL}{_TEXT_DIRECTION}{_NO_CHARACTER}]")


def printable(result: Result) -> Result:
    """The same result with control and text-direction characters, which forge or break output, shown as U+FFFD."""
    return msgspec.convert(_printable(msgspec.to_builtins(result)), type=Result)


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value.replace("\r\n", "\n"))
    if isinstance(value, dict):
        return {_printable(key): _printable(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(content) for content in value]
    return value


def clip(text: str, limit_characters: int) -> str:
    """The text, cut at a length where it is longer, and saying so."""
    if len(text) <= limit_characters:
        return text
    return f"{text[:limit_characters]}… (cut; {len(text):,} characters in result.json)"


def number(value: float) -> str:
    """A measured number with three significant digits, or whole thousands."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def median(metric: Metric) -> str:
    """``18.2 ms (95 % interval 17.6 to 19.4; 5 repeats)``."""
    spread = "no interval"
    if metric.confidence_interval:
        low, high = map(number, metric.confidence_interval)
        spread = f"95 % interval {low} to {high}"
    return f"{number(metric.median)} {metric.unit} ({spread}; {many(len(metric.repeats), 'repeat')})"


def moment(time: datetime) -> str:
    """A time to the second, with its zone."""
    return f"{time:%Y-%m-%d %H:%M:%S} {time.tzname() or '(zone unknown)'}"


def evidence(finding: Finding) -> list[tuple[str, str]]:
    """What was seen, as label and text: JSON where it is no text."""
    return [(key, _json(value)) for key, value in finding.evidence.items()]


def parameters(check: CheckInfo | None) -> list[tuple[Parameter, str]]:
    """The check's parameters, each with its value in force and the default where they differ."""
    return [(parameter, _in_force(parameter)) for parameter in (check.parameters if check else ())]


def costs(workloads: Mapping[Workload, Severity]) -> str:
    """Workloads by what a finding costs them: ``kafka (critical); spark, flink (high)``."""
    by_severity: dict[Severity, list[str]] = defaultdict(list)
    for workload, severity in workloads.items():
        by_severity[severity].append(workload)
    worst_first = sorted(by_severity.items(), key=lambda item: -item[0].rank)
    return "; ".join(f"{', '.join(names)} ({severity})" for severity, names in worst_first)


def subjects(finding: Finding) -> str:
    """The subjects that a finding names, and how many it does not."""
    named = ", ".join(map(str, finding.subjects))
    more = finding.subject_count - len(finding.subjects)
    if more <= 0:
        return named
    return f"{named} and {more:,} more" if named else f"{more:,} subjects, none of them named"


def many(count: int, noun: str) -> str:
    """``1 finding``, ``2,000 findings``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def method(strictness: Strictness) -> list[str]:
    """How verdicts are drawn at that strictness, in sentences."""
    return [line.format(required=strictness.required_severity, strictness=strictness) for line in METHOD]


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _in_force(parameter: Parameter) -> str:
    if parameter.value == parameter.default:
        return f"{_json(parameter.value)} (default)"
    return f"{_json(parameter.value)} (default {_json(parameter.default)})"
