"""Answers of /readyz: verbose, brief, failed, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.facts.readyz import ReadinessLine, parse_readiness

PASSED = """\
[+]ping ok
[+]log ok
[+]etcd ok
[+]etcd-readiness ok
[+]informer-sync ok
[+]poststarthook/rbac/bootstrap-roles ok
[+]shutdown ok
readyz check passed
"""
FAILED = """\
[+]ping ok
[-]etcd failed: reason withheld
[+]informer-sync excluded: ok
readyz check failed
"""


def test_all_is_well() -> None:
    readiness = parse_readiness(PASSED)

    assert readiness.passed
    assert [line.name for line in readiness.lines][:3] == ["ping", "log", "etcd"]
    assert not readiness.failed
    assert not readiness.excluded


def test_a_part_failed_and_one_was_left_out() -> None:
    readiness = parse_readiness(FAILED)

    assert not readiness.passed
    assert readiness.failed == (ReadinessLine("etcd", ok=False, reason="reason withheld"),)
    assert [line.name for line in readiness.excluded] == ["informer-sync"]
    assert readiness.line("etcd") == readiness.failed[0]
    assert readiness.line("log") is None


def test_a_failed_line_weighs_more_than_the_last_one() -> None:
    assert not parse_readiness(FAILED.replace("check failed", "check passed")).passed


def test_lines_without_a_last_one_count() -> None:
    assert parse_readiness("[+]ping ok\n").passed


@pytest.mark.parametrize("text", ["ok", "ok\n"])
def test_the_brief_answer(text: str) -> None:
    readiness = parse_readiness(text)

    assert readiness.passed
    assert not readiness.lines


@pytest.mark.parametrize("text", ["", "<html>404</html>", '{"kind":"Status","code":403}', "not ok", "okay"])
def test_what_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match="no answer of /readyz"):
        parse_readiness(text)


@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_passes_exactly_where_every_line_does(oks: list[bool]) -> None:
    lines = [f"[{'+' if ok else '-'}]part-{n} {'ok' if ok else 'failed: reason withheld'}" for n, ok in enumerate(oks)]
    text = "\n".join([*lines, f"readyz check {'passed' if all(oks) else 'failed'}\n"])

    readiness = parse_readiness(text)

    assert readiness.passed is all(oks)
    assert [line.ok for line in readiness.lines] == oks
