"""Results to report, from harmless to hostile."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from auditor import Finding, Fix, Reference, Result, Severity, Status, Subject, Workload
from auditor.model import NotEvaluated
from auditor.results import load_result

DATA = Path(__file__).parents[1] / "data/results"

HOSTILE = (
    "</script></style><img src=x onerror=alert(1)>\"'`` | *b* _i_ [x](javascript:alert(1)) ![y](http://evil.example/y)"
    " @admin #1 <!-- --> &lt; {{ 7 * 7 }} $x$ \x1b[31mred\x00\x07 \u202eltr"
    " \r\n\n# Heading\n\n| a | b |\n\n```\n- item ]]>"
)


def _loaded(name: str) -> Result:
    return load_result((DATA / name).read_bytes(), name=name)


@pytest.fixture(scope="session")
def recorded() -> Result:
    """A result with every kind of finding, waiver, benchmark and gap."""
    return _loaded("v1.json")


@pytest.fixture(scope="session")
def least() -> Result:
    """A result with only the fields that version 1 requires."""
    return _loaded("v1-least.json")


@pytest.fixture(scope="session")
def hostile(recorded: Result) -> Result:
    """The recorded result with a hostile text wherever a cluster, a bundle or a plugin has a say."""
    replace = msgspec.structs.replace
    first = recorded.findings[0]
    finding = replace(
        first,
        check=HOSTILE,
        title=HOSTILE,
        area=HOSTILE,
        message=HOSTILE,
        subjects=(Subject(kind=HOSTILE, name=HOSTILE, namespace=HOSTILE),),
        evidence={HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}},
        fix=Fix(text=HOSTILE, command=HOSTILE),
        references=(Reference(title=HOSTILE, url="javascript:alert(1)"), Reference(title=HOSTILE, url=HOSTILE)),
    )
    accepted = next(finding for finding in recorded.findings if finding.waiver)
    assert accepted.waiver is not None
    waiver = replace(accepted.waiver, id=HOSTILE, reason=HOSTILE, owner=HOSTILE, object=HOSTILE)
    manual = f"{HOSTILE}\n\n## What it checks\n[x](javascript:alert(1)) [y](data:text/html,x) <b>bold</b>\n"
    cluster = replace(recorded.cluster, name=HOSTILE, description=HOSTILE, server_version=HOSTILE)
    return replace(
        recorded,
        cluster=replace(cluster, counts={HOSTILE: 1}),
        findings=(finding, replace(accepted, message=HOSTILE, waiver=waiver), *recorded.findings[1:]),
        checks=tuple(replace(check, manual=manual, reads=(HOSTILE,)) for check in recorded.checks),
        waivers=tuple(replace(use, waiver=waiver) for use in recorded.waivers),
        benchmarks=tuple(
            replace(benchmark, title=HOSTILE, parameters={HOSTILE: HOSTILE}) for benchmark in recorded.benchmarks
        ),
        not_evaluated=(NotEvaluated(check=HOSTILE, status=Status.UNKNOWN, reason=HOSTILE),),
        warnings=(HOSTILE,),
    )


@pytest.fixture(scope="session")
def large(recorded: Result) -> Result:
    """20,000 findings of 60 checks, and as many reasons for what was not evaluated as there are such findings."""
    findings = tuple(_numbered(number) for number in range(20_000))
    gaps = tuple(
        NotEvaluated(check=finding.check, status=finding.status, reason=finding.message)
        for finding in findings
        if finding.status in (Status.SKIP, Status.UNKNOWN)
    )
    return msgspec.structs.replace(recorded, findings=findings, not_evaluated=gaps)


def _numbered(number: int) -> Finding:
    check = f"area-{number % 6}.check-{number % 60}"
    return Finding(
        status=tuple(Status)[(number // 60) % 5],
        message=f"Pod team-{number}/worker requests {number} MiB of memory; expected: at least 4,096 MiB.",
        subjects=(Subject(kind="Pod", name="worker", namespace=f"team-{number}"),),
        subject_count=1,
        evidence={"requested_mib": number, "containers": ["worker", "sidecar"]},
        fix=Fix(text="Raise the request.", command=f"kubectl -n team-{number} edit pod worker"),
        check=check,
        title=f"Title of {check}",
        area=f"area-{number % 6}",
        severity=Severity.HIGH,
        workloads={Workload.KAFKA: Severity.HIGH},
    )
