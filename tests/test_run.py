"""The order of a run: which checks, what ends in the result, which exit code."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.config.schema import FailOn
from auditor.config.settings import Settings, defaults
from auditor.errors import UnknownIdError, UsageError
from auditor.model import (
    ClusterSummary,
    ExitCode,
    Finding,
    Result,
    RunInfo,
    Severity,
    Status,
    Strictness,
    Tool,
    Verdict,
    VerdictLevel,
    Verdicts,
    Waiver,
    Workload,
)
from auditor.registry import load_checks
from auditor.results import dump_result, load_result
from auditor.run import REDACTED, audit_bundle, exit_code, redact_command, run_id, select_checks

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
WAIVER = Waiver(id="a.b", reason="r", owner="o", expires=date(2026, 12, 31))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with one StorageClass and nothing else."""
    part = tmp_path / "bundle" / "resources" / "storage.k8s.io" / "v1" / "storageclasses.json"
    part.parent.mkdir(parents=True)
    part.write_text(
        '{"apiVersion": "v1", "kind": "List", "items": ['
        '{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp2"}, "provisioner": "p"}]}'
    )
    return tmp_path / "bundle"


def _settings(**changes: object) -> Settings:
    return msgspec.structs.replace(defaults().settings, **changes)


def test_a_bundle_becomes_a_result(bundle: Path) -> None:
    result = audit_bundle(
        bundle, _settings(), now=NOW, command=("auditor", "check", "--token", "abc"), warnings=("odd",)
    )
    assert re.fullmatch(r"20261123T081500Z-[0-9a-f]{6}", result.run.id)
    assert result.run.started_at == NOW <= result.run.finished_at
    assert result.run.command == ("auditor", "check", "--token", REDACTED)
    assert result.run.source == str(bundle)
    assert result.cluster.counts == {"storage.k8s.io/storageclasses": 1}
    assert {check.id for check in result.checks} == {check.id for check in load_checks()}
    assert "odd" in result.warnings
    assert result.verdicts.overall.level is VerdictLevel.NOT_READY


def test_nothing_at_the_path_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        audit_bundle(tmp_path / "nowhere", _settings(), now=NOW)


def test_checks_that_concern_no_workload_are_dropped_and_no_warning_is_given(bundle: Path) -> None:
    settings = _settings(workloads=(Workload.CAFFE,))
    others = [check.id for check in load_checks() if Workload.CAFFE not in check.workloads]
    result = audit_bundle(bundle, settings, now=NOW)
    assert others
    assert not {check.id for check in result.checks} & set(others)
    assert not [warning for warning in result.warnings if "left out" in warning]
    assert result.verdicts.overall.level is VerdictLevel.UNDETERMINED


def test_a_selection_that_leaves_checks_out_is_a_warning(bundle: Path) -> None:
    settings = _settings(select=("storage.*",), skip=("STO-001",))
    warnings = audit_bundle(bundle, settings, now=NOW).warnings
    count, storage = len(load_checks()), sum(check.area == "storage" for check in load_checks())
    left_out = f"{count - storage + 1} of {count} checks for these workloads were left out"
    assert f"{left_out} (select storage.*; skip STO-001)." in warnings


def test_selection_keeps_the_registrys_order_and_refuses_what_is_not_there() -> None:
    checks = load_checks()
    ids = [check.id for check in checks]
    chosen = select_checks(checks, _settings(select=(ids[2], ids[0])))
    assert [check.id for check in chosen] == [ids[0], ids[2]]
    with pytest.raises(UnknownIdError):
        select_checks(checks, _settings(skip=("zzz.*",)))


def _result(level: VerdictLevel, found: list[Finding]) -> Result:
    return Result(
        version=1,
        tool=Tool(name="auditor", version="0"),
        run=RunInfo(
            id="r",
            started_at=NOW,
            finished_at=NOW,
            profile="standard",
            strictness=Strictness.STANDARD,
            workloads=(Workload.SPARK,),
        ),
        cluster=ClusterSummary(),
        verdicts=Verdicts(overall=Verdict(level=level, reason="the test")),
        findings=tuple(found),
    )


findings = st.builds(
    Finding,
    status=st.sampled_from(Status),
    message=st.just("m"),
    severity=st.sampled_from(Severity),
    waiver=st.none() | st.just(WAIVER),
)


@given(found=st.lists(findings, max_size=5), level=st.sampled_from(VerdictLevel), fail_on=st.sampled_from(FailOn))
def test_the_exit_code_follows_the_documented_order(found: list[Finding], level: VerdictLevel, fail_on: FailOn) -> None:
    counted = {f.status for f in found if f.waiver is None and f.severity is not Severity.INFO}
    if Status.FAIL in counted:
        expected = ExitCode.FAIL
    elif level is VerdictLevel.UNDETERMINED:
        expected = ExitCode.UNDETERMINED
    elif Status.WARN in counted and fail_on is FailOn.WARN:
        expected = ExitCode.WARN
    else:
        expected = ExitCode.OK
    result = _result(level, found)
    assert exit_code(result, fail_on=fail_on) is expected
    assert exit_code(result, fail_on=fail_on, exit_zero=True) is ExitCode.OK


@pytest.mark.parametrize(
    ("command", "redacted"),
    [
        ("--token abc x", f"--token {REDACTED} x"),
        ("--token=abc==", f"--token={REDACTED}"),
        ("--db-password hunter2", f"--db-password {REDACTED}"),
        ("--password -x", f"--password {REDACTED}"),
        ("--token --quiet", "--token --quiet"),
        ("--param own.check.api_key=abc", f"--param own.check.api_key={REDACTED}"),
        ("--param=own.client-secret=a=b", f"--param=own.client-secret={REDACTED}"),
        ("https://me:pw@example.com/x", f"https://{REDACTED}@example.com/x"),
        ("check b --for spark --param a.b=3", "check b --for spark --param a.b=3"),
    ],
)
def test_secrets_do_not_reach_the_result(command: str, redacted: str) -> None:
    assert redact_command(command.split()) == tuple(redacted.split())


def test_run_ids_sort_by_time_and_differ() -> None:
    assert run_id(NOW) != run_id(NOW)
    assert run_id(NOW) < run_id(NOW.replace(minute=16))


def test_a_result_survives_writing_and_reading(bundle: Path) -> None:
    result = audit_bundle(bundle, _settings(), now=NOW)

    assert load_result(dump_result(result), name="result.json") == result


def test_bytes_that_are_no_text_do_not_break_the_result(bundle: Path) -> None:
    odd = bundle.rename(bundle.with_name(os.fsdecode(b"b\xff")))

    result = audit_bundle(odd, _settings(), now=NOW, command=["auditor", "check", str(odd)])

    assert result.run.command[-1].endswith("/b\ufffd")
    assert load_result(dump_result(result), name="result.json").run.source.endswith("/b\ufffd")
