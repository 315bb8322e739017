"""Judging: findings, waivers and verdicts, exactly as the design states them."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.kube import Node, StorageClass
from auditor.facts.parts import OK, PartState, PartStatus, Readable
from auditor.facts.store import Facts, PartFacts, PartKey
from auditor.judge import Judgement, Policy, draw_verdicts, judge
from auditor.model import (
    MAX_SUBJECTS,
    Finding,
    Severity,
    Status,
    Strictness,
    Subject,
    VerdictLevel,
    Waiver,
    WaiverState,
    Workload,
)
from auditor.registry import LOAD_FAILED, LoadFailure
from auditor.units.check import Check, CheckFunction, Parameters, check, threshold

TODAY = date(2026, 6, 1)
KAFKA_ONLY = Policy(workloads=(Workload.KAFKA,), today=TODAY)


def declared(
    function: CheckFunction,
    *,
    reads: tuple[Readable, ...] = (),
    severity: Severity = Severity.HIGH,
    workloads: dict[Workload, Severity] | None = None,
) -> Check:
    decorate = check(
        "area.name", title="Title", severity=severity, reads=reads, workloads=workloads or (Workload.KAFKA,)
    )
    unit = decorate(function).__auditor__  # type: ignore[attr-defined]
    assert isinstance(unit, Check)
    return unit


def yielding(*findings: Finding, severity: Severity = Severity.HIGH) -> Check:
    def function(facts: Facts) -> Iterator[Finding]:
        yield from findings

    return declared(function, severity=severity)


def judged(*checks: Check, policy: Policy = KAFKA_ONLY, facts: Facts | None = None) -> Judgement:
    return judge(facts or Facts({}), checks, policy)


def level(*findings: Finding, severity: Severity = Severity.HIGH, strictness: Strictness = Strictness.STANDARD) -> str:
    policy = Policy(workloads=(Workload.KAFKA,), strictness=strictness, today=TODAY)
    return judged(yielding(*findings, severity=severity), policy=policy).verdicts.overall.level


def test_a_finding_gets_its_identity_from_the_check() -> None:
    [finding] = judged(yielding(Finding.ok("Fine."))).findings

    assert (finding.check, finding.title, finding.area) == ("area.name", "Title", "area")
    assert finding.workloads == {Workload.KAFKA: Severity.HIGH}


def test_severity_is_the_worst_over_the_audited_workloads() -> None:
    def function(facts: Facts) -> Iterator[Finding]:
        yield Finding.fail("Broken.")

    costs = {Workload.KAFKA: Severity.CRITICAL, Workload.SPARK: Severity.LOW}
    unit = declared(function, workloads=costs)

    [both] = judged(unit, policy=Policy(workloads=(Workload.SPARK, Workload.KAFKA), today=TODAY)).findings
    [spark] = judged(unit, policy=Policy(workloads=(Workload.SPARK,), today=TODAY)).findings

    assert both.severity is Severity.CRITICAL
    assert spark.severity is Severity.LOW


def test_a_check_for_other_workloads_is_left_out() -> None:
    judgement = judged(yielding(Finding.fail("x")), policy=Policy(workloads=(Workload.SPARK,), today=TODAY))

    assert judgement.findings == ()
    assert judgement.verdicts.overall.level is VerdictLevel.UNDETERMINED


@pytest.mark.parametrize("state", [state for state in PartState if state is not PartState.OK])
def test_a_part_that_was_not_read_gives_unknown_and_is_named(state: PartState) -> None:
    def function(facts: Facts) -> Iterator[Finding]:
        facts.list(StorageClass)
        yield Finding.ok("never reached")

    part = PartFacts(PartStatus(state=state, reason="HTTP 403"))
    judgement = judged(
        declared(function, reads=(StorageClass,)), facts=Facts({("storage.k8s.io/storageclasses", None): part})
    )

    [finding] = judgement.findings
    assert finding.status is Status.UNKNOWN
    assert f"storage.k8s.io/storageclasses is {state} (HTTP 403)" in finding.message
    assert finding.fix is not None
    assert judgement.verdicts.overall.level is VerdictLevel.UNDETERMINED
    assert judgement.not_evaluated[0].check == "area.name"


def test_what_was_yielded_before_an_unreadable_part_stays() -> None:
    def function(facts: Facts) -> Iterator[Finding]:
        yield Finding.fail("Certain already.")
        facts.list(Node)

    judgement = judged(declared(function, reads=(Node,)))

    assert [finding.status for finding in judgement.findings] == [Status.FAIL, Status.UNKNOWN]
    assert judgement.verdicts.overall.level is VerdictLevel.NOT_READY


def test_a_crash_is_unknown_with_its_traceback() -> None:
    def function(facts: Facts) -> Iterator[Finding]:
        yield Finding.ok("So far.")
        raise ZeroDivisionError("oops")

    ok, crashed = judged(declared(function)).findings

    assert ok.status is Status.OK
    assert crashed.status is Status.UNKNOWN
    assert "ZeroDivisionError: oops" in crashed.message
    assert "test_judge.py" in crashed.evidence["traceback"]


def test_an_undeclared_read_is_unknown() -> None:
    def function(facts: Facts) -> Iterator[Finding]:
        yield Finding.ok(f"{len(facts.list(Node))} nodes")

    content: dict[PartKey, PartFacts] = {("core/nodes", None): PartFacts(OK, ())}
    [finding] = judged(declared(function), facts=Facts(content)).findings

    assert finding.status is Status.UNKNOWN
    assert "does not declare" in finding.message


def test_a_check_without_a_finding_is_unknown() -> None:
    [finding] = judged(yielding()).findings

    assert finding.status is Status.UNKNOWN


def test_a_plugin_that_could_not_be_loaded_makes_every_verdict_undetermined() -> None:
    failure = LoadFailure(name="x", place="x.py", error="ImportError: no", traceback="Traceback …")
    judgement = judge(Facts({}), [yielding(Finding.ok("Fine."))], KAFKA_ONLY, failures=[failure])

    lost = judgement.findings[-1]
    assert (lost.check, lost.status) == (LOAD_FAILED, Status.UNKNOWN)
    assert lost.evidence["traceback"] == "Traceback …"
    assert judgement.verdicts.workloads[Workload.KAFKA].level is VerdictLevel.UNDETERMINED


def test_parameters_reach_the_check() -> None:
    class Limit(Parameters, frozen=True, kw_only=True):
        max_nodes: Annotated[int, threshold("Nodes at most.", source="test")] = 5

    def function(facts: Facts, params: Limit) -> Iterator[Finding]:
        yield Finding.ok(f"at most {params.max_nodes}")

    policy = Policy(workloads=(Workload.KAFKA,), parameters={"area.name": {"max_nodes": 7}}, today=TODAY)
    function.__annotations__["params"] = Limit
    judgement = judged(declared(function), policy=policy)

    assert judgement.findings[0].message == "at most 7"
    [parameter] = judgement.checks[0].parameters
    assert (parameter.value, parameter.default, parameter.source) == (7, 5, "test")


OK_ = Finding.ok("ok")
FAIL = Finding.fail("fail")
WARN = Finding.warn("warn")
SKIP = Finding.skip("skip")
UNKNOWN = Finding.unknown("unknown")


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((OK_,), "ready"),
        ((OK_, SKIP), "ready"),
        ((OK_, WARN), "ready with warnings"),
        ((WARN,), "ready with warnings"),
        ((OK_, UNKNOWN), "undetermined"),
        ((WARN, UNKNOWN), "undetermined"),
        ((OK_, FAIL), "not ready"),
        ((UNKNOWN, FAIL), "not ready"),
        ((SKIP,), "undetermined"),
        ((), "undetermined"),
    ],
)
def test_the_worst_required_finding_decides(findings: tuple[Finding, ...], expected: str) -> None:
    assert level(*findings) == expected


@pytest.mark.parametrize(
    ("severity", "strictness", "expected"),
    [
        (Severity.CRITICAL, Strictness.LENIENT, "not ready"),
        (Severity.HIGH, Strictness.LENIENT, "undetermined"),
        (Severity.HIGH, Strictness.STANDARD, "not ready"),
        (Severity.MEDIUM, Strictness.STRICT, "not ready"),
        (Severity.LOW, Strictness.STRICT, "undetermined"),
    ],
)
def test_strictness_says_what_is_required(severity: Severity, strictness: Strictness, expected: str) -> None:
    assert level(FAIL, severity=severity, strictness=strictness) == expected


@pytest.mark.parametrize("status", [Status.FAIL, Status.UNKNOWN, Status.WARN])
def test_what_is_not_required_can_only_warn(status: Status) -> None:
    policy = KAFKA_ONLY
    advice = yielding(Finding.of(status, "x"), severity=Severity.MEDIUM)

    verdict = judged(yielding(OK_), advice, policy=policy).verdicts.overall

    assert verdict.level is VerdictLevel.READY_WITH_WARNINGS
    assert verdict.deciding == ("area.name",)


def test_info_never_counts() -> None:
    judgement = judged(yielding(OK_), yielding(FAIL, severity=Severity.INFO))

    assert judgement.verdicts.overall.level is VerdictLevel.READY


def yields_ok(facts: Facts) -> Iterator[Finding]:
    yield OK_


def test_the_worst_workload_decides_overall() -> None:
    def function(facts: Facts) -> Iterator[Finding]:
        yield Finding.fail("Broken.")

    costs = {Workload.KAFKA: Severity.CRITICAL, Workload.SPARK: Severity.LOW}
    fine = declared(yields_ok, workloads={Workload.SPARK: Severity.HIGH})
    verdicts = judged(
        declared(function, workloads=costs),
        fine,
        policy=Policy(workloads=(Workload.SPARK, Workload.KAFKA), today=TODAY),
    ).verdicts

    assert verdicts.workloads[Workload.SPARK].level is VerdictLevel.READY_WITH_WARNINGS
    assert verdicts.workloads[Workload.KAFKA].level is VerdictLevel.NOT_READY
    assert verdicts.overall.level is VerdictLevel.NOT_READY
    assert verdicts.overall.reason == "kafka: not ready."


STATUSES = st.lists(st.sampled_from(Status), max_size=6)


@given(STATUSES, st.integers(0, 5))
def test_hiding_a_finding_never_improves_the_verdict(statuses: list[Status], hidden: int) -> None:
    """Whatever becomes unknown, a verdict never gets better than it was, unless it was not ready."""
    findings = [
        Finding(status=status, message="x", check=f"a.c{n}", workloads={Workload.KAFKA: Severity.HIGH})
        for n, status in enumerate(statuses)
    ]
    unknown = [
        Finding(status=Status.UNKNOWN, message="x", check=f.check, workloads=f.workloads) if n == hidden else f
        for n, f in enumerate(findings)
    ]

    before = draw_verdicts(findings, KAFKA_ONLY).overall.level
    after = draw_verdicts(unknown, KAFKA_ONLY).overall.level

    assert after.rank >= min(before.rank, VerdictLevel.UNDETERMINED.rank)


def waiver(id: str = "area.name", object: str | None = None, expires: date = TODAY) -> Waiver:  # noqa: A002
    return Waiver(id=id, object=object, reason="accepted", owner="platform", expires=expires)


def waived(finding: Finding, *waivers: Waiver) -> Judgement:
    policy = Policy(workloads=(Workload.KAFKA,), waivers=waivers, today=TODAY)
    return judged(yielding(finding), policy=policy)


GP2, GP3 = Subject(kind="StorageClass", name="gp2"), Subject(kind="StorageClass", name="gp3")
BAD_GP2 = Finding.fail("gp2 is slow.", subjects=[GP2])


@pytest.mark.parametrize("pattern", [None, "StorageClass gp2", "StorageClass *", "*gp2"])
@pytest.mark.parametrize("id_pattern", ["area.name", "area.*"])
def test_a_waived_finding_stays_visible_and_counts_for_nothing(pattern: str | None, id_pattern: str) -> None:
    judgement = waived(BAD_GP2, waiver(id_pattern, pattern))

    assert judgement.findings[0].waiver is not None
    assert judgement.verdicts.overall.level is VerdictLevel.READY
    assert judgement.verdicts.overall.waived == 1
    assert judgement.waivers[0].state is WaiverState.USED


def test_an_expired_waiver_covers_nothing_and_says_so() -> None:
    judgement = waived(BAD_GP2, waiver(expires=date(2026, 5, 31)))

    assert judgement.findings[0].waiver is None
    assert judgement.verdicts.overall.level is VerdictLevel.NOT_READY
    assert (judgement.waivers[0].state, judgement.waivers[0].findings) == (WaiverState.EXPIRED, 1)


@pytest.mark.parametrize("unmatched", [waiver("area.other"), waiver(object="StorageClass gp3")])
def test_an_unused_waiver_says_so(unmatched: Waiver) -> None:
    judgement = waived(BAD_GP2, unmatched)

    assert judgement.findings[0].waiver is None
    assert judgement.waivers[0].state is WaiverState.UNUSED


def test_an_object_pattern_must_cover_every_subject() -> None:
    both = Finding.fail("Both are slow.", subjects=[GP2, GP3])

    assert waived(both, waiver(object="StorageClass gp2")).findings[0].waiver is None
    assert waived(both, waiver(object="StorageClass gp?")).findings[0].waiver is not None


def test_ok_and_skip_are_not_waived() -> None:
    for finding in (OK_, SKIP):
        assert waived(finding, waiver()).findings[0].waiver is None


def test_a_waiver_covers_unknown_too() -> None:
    assert waived(UNKNOWN, waiver()).verdicts.overall.level is VerdictLevel.READY


def test_many_subjects_become_examples_and_a_count() -> None:
    nodes = [Subject(kind="Node", name=f"n{number}") for number in range(5000)]

    [finding] = judged(yielding(Finding.fail("All broken.", subjects=nodes))).findings

    assert finding.subjects == tuple(nodes[:MAX_SUBJECTS])
    assert finding.subject_count == 5000
