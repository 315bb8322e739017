"""The text report: for 80 columns, for pipes, and for terminals with colour."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from auditor import Medium, Result
from auditor.registry import load_report

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def rendered(result: Result, *, width_columns: int = 80, color: bool = False) -> str:
    return load_report("text").render(result, Medium(width_columns=width_columns, color=color))


def test_it_begins_and_ends_with_the_verdict(recorded: Result) -> None:
    first, *_, last = rendered(recorded).rstrip("\n").split("\n")

    assert first == "✗ not ready  kafka, flink, hdfs, zeppelin: not ready."
    assert last == "Verdict: not ready"


@pytest.mark.parametrize("width_columns", [60, 80, 132])
def test_only_commands_are_wider_than_the_terminal(width_columns: int, recorded: Result) -> None:
    lines = rendered(recorded, width_columns=width_columns).split("\n")
    wide = [line for line in lines if cell_len(line) > width_columns and not line.lstrip().startswith("$ kubectl")]

    assert wide == []


def test_commands_can_be_copied_whole(recorded: Result) -> None:
    command = "kubectl -n streaming set resources statefulset/broker --requests=memory=8Gi --limits=memory=8Gi"

    assert f"$ {command}\n" in rendered(recorded)


def test_colour_is_an_addition_and_never_alone(recorded: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = rendered(recorded), rendered(recorded, color=True)

    assert not ANSI.search(plain)
    assert ANSI.search(coloured)
    assert [line.rstrip() for line in ANSI.sub("", coloured).split("\n")] == plain.split("\n")


def test_the_terminals_own_settings_do_not_leak_in(recorded: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rendered(recorded)
    for name, value in {"COLUMNS": "20", "FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)

    assert rendered(recorded) == before


def test_problems_stand_in_the_order_of_their_weight(recorded: Result) -> None:
    text = rendered(recorded)
    first = text[text.index("Fix these first") : text.index("Areas")]

    assert re.findall(r"^  \d\. (.+)$", first, re.MULTILINE) == [
        "✗ fail critical  storage.binding-mode",
        "✗ fail high  storage.default-class",
        "✗ fail medium  storage.expansion",
        "? unknown high  plugin.load-failed",
        "? unknown high  stateful.disruption-budget",
        "? unknown low  dns.lookup-latency",
    ]


def test_what_is_waived_expired_unused_or_unread_is_said(recorded: Result) -> None:
    text = " ".join(rendered(recorded).split())

    assert "✗ fail (waived): CoreDNS runs 1 ready replica" in text
    assert "waived by platform-team@example.org until 2026-12-31" in text
    assert "EXPIRED on 2026-01-31 storage.expansion: 1 finding" in text
    assert "UNUSED network.*: 0 findings" in text
    assert "streaming/broker-9 and 4,990 more" in text
    assert "? unknown stateful.disruption-budget: Could not be told" in text
    assert "INVALID, not graded: 2 repeats; at least 5 are needed for an interval" in text
    assert "max_p99_milliseconds = 5.0 (default 20.0)" in text


def test_what_is_not_known_of_the_cluster_is_said(least: Result) -> None:
    assert re.findall(r"^  (.+?) +not known$", rendered(least), re.MULTILINE) == [
        "cluster",
        "server version",
        "vendor",
        "collected",
    ]


def test_a_large_result_stays_readable(large: Result) -> None:
    lines_per_check = rendered(large).count("\n") / len({finding.check for finding in large.findings})

    assert lines_per_check < 100
