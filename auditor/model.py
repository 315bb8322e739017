"""The vocabulary of auditor as types, and the Result that every report renders.

The words are those of the glossary (docs/glossary.md): fact, bundle, check, probe, benchmark, finding, status,
severity, workload, verdict, waiver. The JSON schema in docs/result.schema.json is generated from this module.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from auditor.measured import Benchmark

RESULT_VERSION = 1
"""Version of the Result's shape. Older results are upgraded on loading, newer ones are refused."""


class Status(StrEnum):
    """What a finding says of its subject."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """The check does not apply; the message says why."""
    UNKNOWN = "unknown"
    """It could not be told; the message says why."""


class Severity(StrEnum):
    """What it costs the workload when the finding fails."""

    CRITICAL = "critical"
    """The workload cannot run, or loses data."""
    HIGH = "high"
    """An outage or a collapse of performance in production."""
    MEDIUM = "medium"
    """Degraded or costly."""
    LOW = "low"
    """Hygiene."""
    INFO = "info"
    """Worth knowing; never part of a verdict."""

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical, for comparisons."""
        return _SEVERITY_ORDER.index(self)


_SEVERITY_ORDER = (Severity.INFO, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)


class Workload(StrEnum):
    """A data system that a cluster is audited for."""

    SPARK = "spark"
    KAFKA = "kafka"
    FLINK = "flink"
    HDFS = "hdfs"
    ZEPPELIN = "zeppelin"
    TENSORFLOW = "tensorflow"
    CAFFE = "caffe"
    DATA_FABRIC = "data-fabric"


class Strictness(StrEnum):
    """How severe a finding must be for a verdict to require it."""

    LENIENT = "lenient"
    """Only critical findings are required."""
    STANDARD = "standard"
    """Critical and high findings are required."""
    STRICT = "strict"
    """Critical, high and medium findings are required."""

    @property
    def required_severity(self) -> Severity:
        """The least severity that is required."""
        return {
            Strictness.LENIENT: Severity.CRITICAL,
            Strictness.STANDARD: Severity.HIGH,
            Strictness.STRICT: Severity.MEDIUM,
        }[self]


class VerdictLevel(StrEnum):
    """The answer for one workload, or overall."""

    READY = "ready"
    READY_WITH_WARNINGS = "ready with warnings"
    UNDETERMINED = "undetermined"
    NOT_READY = "not ready"

    @property
    def rank(self) -> int:
        """0 for ready up to 3 for not ready: the highest of several decides."""
        return list(VerdictLevel).index(self)


class ExitCode(IntEnum):
    """What `auditor` returns to the shell."""

    OK = 0
    """Nothing at or above --fail-on."""
    ERROR = 1
    """The audit could not be done."""
    USAGE = 2
    """Usage or configuration error."""
    FAIL = 3
    """At least one finding failed."""
    WARN = 4
    """Only warnings, and --fail-on warn."""
    UNDETERMINED = 5
    """The verdict is undetermined."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the result's types: immutable, keyword-only, compared by value."""


class Subject(_Struct, frozen=True, kw_only=True):
    """What a finding speaks of: an API object, or something that has a name."""

    kind: str
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        """``Kind namespace/name``, as people write it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Fix(_Struct, frozen=True, kw_only=True):
    """One imperative remedy, with a command to copy where one exists."""

    text: str
    command: str | None = None


class Reference(_Struct, frozen=True, kw_only=True):
    """Where more is said."""

    title: str
    url: str


class Waiver(_Struct, frozen=True, kw_only=True):
    """A finding that the site accepts, with a reason, an owner and an expiry."""

    id: str
    """The check's id; a glob such as ``storage.*`` is allowed."""
    reason: str
    owner: str
    expires: date
    """The last day on which the waiver holds."""
    object: str | None = None
    """Glob over ``Kind namespace/name``; without it every object of the check is waived."""


class WaiverState(StrEnum):
    """What became of a waiver in a run."""

    USED = "used"
    UNUSED = "unused"
    EXPIRED = "expired"


class WaiverUse(_Struct, frozen=True, kw_only=True):
    """A configured waiver and what became of it."""

    waiver: Waiver
    state: WaiverState
    findings: int = 0
    """How many findings it matched, also when it is expired and they count again."""


MAX_SUBJECTS = 10
"""A finding of a result names at most this many subjects and counts the rest."""


class Finding(_Struct, frozen=True, kw_only=True):
    """What a check says of one subject, or of many that share one state.

    A check yields findings with the named constructors (:meth:`ok`, :meth:`warn`, …) and leaves check, title, area,
    severity, workloads and references empty: judging fills them in from the check's declaration.
    """

    status: Status
    message: str
    subjects: tuple[Subject, ...] = ()
    """All of them as a check yields it; in a result at most :data:`MAX_SUBJECTS` examples."""
    subject_count: int = 0
    """How many subjects the finding speaks of, the examples included."""
    evidence: dict[str, Any] = {}
    """What was seen, as JSON values."""
    fix: Fix | None = None
    check: str = ""
    title: str = ""
    area: str = ""
    severity: Severity = Severity.INFO
    """The worst over the audited workloads."""
    workloads: dict[Workload, Severity] = {}
    """The audited workloads that the finding concerns, and what it costs each."""
    references: tuple[Reference, ...] = ()
    waiver: Waiver | None = None
    """The waiver that covers this finding; a waived finding does not count in any verdict."""

    @classmethod
    def of(
        cls,
        status: Status,
        message: str,
        *,
        subjects: tuple[Subject, ...] | list[Subject] = (),
        fix: str | Fix | None = None,
        command: str | None = None,
        evidence: dict[str, Any] | None = None,
    ) -> Finding:
        """A finding as a check yields it.

        Args:
            status: see :class:`Status`.
            message: a sentence that names its subject, what was seen and what was expected, with units.
            subjects: what the finding speaks of; like subjects belong into one finding.
            fix: one imperative sentence.
            command: a command to copy that does what ``fix`` says.
            evidence: JSON values that show what was seen.
        """
        if isinstance(fix, str):
            fix = Fix(text=fix, command=command)
        return cls(
            status=status,
            message=message,
            subjects=tuple(subjects),
            subject_count=len(subjects),
            fix=fix,
            evidence=evidence or {},
        )

    @classmethod
    def ok(cls, message: str, **details: Any) -> Finding:
        """The subject is as it should be. Details as in :meth:`of`."""
        return cls.of(Status.OK, message, **details)

    @classmethod
    def warn(cls, message: str, **details: Any) -> Finding:
        """The subject works, at a cost or a risk. Details as in :meth:`of`."""
        return cls.of(Status.WARN, message, **details)

    @classmethod
    def fail(cls, message: str, **details: Any) -> Finding:
        """The subject does not meet the condition. Details as in :meth:`of`."""
        return cls.of(Status.FAIL, message, **details)

    @classmethod
    def skip(cls, message: str, **details: Any) -> Finding:
        """The check does not apply, and why. Details as in :meth:`of`."""
        return cls.of(Status.SKIP, message, **details)

    @classmethod
    def unknown(cls, message: str, **details: Any) -> Finding:
        """It could not be told, and why. Details as in :meth:`of`."""
        return cls.of(Status.UNKNOWN, message, **details)


class Verdict(_Struct, frozen=True, kw_only=True):
    """The answer for one workload or overall, and what decided it."""

    level: VerdictLevel
    reason: str
    """One sentence: what decided the level."""
    deciding: tuple[str, ...] = ()
    """Ids of the checks whose findings decided the level."""
    counts: dict[Status, int] = {}
    """Findings per status that concern it; waived ones are left out."""
    waived: int = 0


class Verdicts(_Struct, frozen=True, kw_only=True):
    """The verdict per audited workload, and the worst of them."""

    overall: Verdict
    workloads: dict[Workload, Verdict] = {}


class Vendor(_Struct, frozen=True, kw_only=True):
    """Who runs the cluster, and what tells."""

    id: str
    name: str
    evidence: tuple[str, ...] = ()


class ClusterSummary(_Struct, frozen=True, kw_only=True):
    """Which cluster was audited."""

    name: str = ""
    """The kubeconfig context, or what the bundle calls itself."""
    description: str = ""
    """Free text of the bundle's maker, such as "recorded on the test bed"."""
    server_version: str = ""
    vendor: Vendor | None = None
    collected_at: datetime | None = None
    counts: dict[str, int] = {}
    """Objects per resource that was read, such as ``{"core/nodes": 3}``."""


class Tool(_Struct, frozen=True, kw_only=True):
    """What wrote the result."""

    name: str
    version: str


class RunInfo(_Struct, frozen=True, kw_only=True):
    """When and how the run was done."""

    id: str
    started_at: datetime
    finished_at: datetime
    profile: str
    strictness: Strictness
    workloads: tuple[Workload, ...]
    command: tuple[str, ...] = ()
    """The command line, with secrets redacted."""
    source: str = ""
    """The bundle that was judged."""


class Parameter(_Struct, frozen=True, kw_only=True):
    """A check's parameter as it was in force."""

    name: str
    type: str
    value: Any
    default: Any
    description: str
    source: str
    """Where the default comes from: an SLO, a tool's or vendor's documentation, or the site's own goal."""


class CheckInfo(_Struct, frozen=True, kw_only=True):
    """A check that took part in the run, with its manual page, so that a report needs nothing but the result."""

    id: str
    title: str
    area: str
    severity: Severity
    workloads: dict[Workload, Severity]
    reads: tuple[str, ...]
    manual: str
    """The manual page in Markdown."""
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()


class NotEvaluated(_Struct, frozen=True, kw_only=True):
    """A check, or a part of one, that gave no answer, and why."""

    check: str
    status: Status
    """skip or unknown."""
    reason: str


class Result(_Struct, frozen=True, kw_only=True):
    """The product of a run. Every report renders this and nothing else."""

    version: int
    tool: Tool
    run: RunInfo
    cluster: ClusterSummary
    verdicts: Verdicts
    findings: tuple[Finding, ...]
    checks: tuple[CheckInfo, ...] = ()
    waivers: tuple[WaiverUse, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing the rest."""
