"""What every check owes to its readers: a manual page, a home, fixtures, purity, and never a silent pass."""

import ast
import importlib
import inspect
import json
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.facts.parts import PartState
from auditor.facts.store import PartFacts, PartKey
from auditor.model import Finding, Status
from auditor.registry import load_checks
from auditor.units.check import SECTIONS, Check
from tests.fixture_clusters import FixtureCluster, load_fixture_clusters

CHECKS = list(load_checks())
FIXTURES = load_fixture_clusters()
_CHECKS = Path(__file__).parents[2] / "checks"
SOURCES = sorted(path for path in _CHECKS.rglob("*.py") if not path.is_relative_to(_CHECKS / "probes"))

UNREADABLE = [state for state in PartState if state is not PartState.OK]

CORE_FOR_CHECKS = {"auditor", "auditor.model", "auditor.facts", "auditor.units"}
"""What a check may import of the core, modules below these included."""

PURE_LIBRARY = {
    "__future__", "base64", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "fnmatch",
    "fractions", "functools", "heapq", "ipaddress", "itertools", "json", "math", "msgspec", "operator", "re", "shlex",
    "statistics", "string", "textwrap", "typing",
}  # fmt: skip
CLOCK_READERS = {"now", "utcnow", "today"}

every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
every_fixture = pytest.mark.parametrize("cluster", FIXTURES, ids=lambda cluster: cluster.id)


def fixtures_of(check: Check) -> list[FixtureCluster]:
    return [cluster for cluster in FIXTURES if cluster.check.id == check.id]


def test_all_plugins_can_be_loaded() -> None:
    assert CHECKS
    assert not load_checks().failures


class TestTheManualPage:
    @every_check
    def test_has_all_sections_in_order(self, check: Check) -> None:
        assert tuple(check.sections()) == SECTIONS
        assert all(check.sections().values())

    @every_check
    def test_begins_with_a_sentence(self, check: Check) -> None:
        assert check.manual.partition("\n## ")[0].strip().endswith(".")

    @every_check
    def test_has_references_over_https(self, check: Check) -> None:
        assert check.references
        assert len(check.references) == len(check.sections()["References"].splitlines())
        assert all(reference.url.startswith("https://") for reference in check.references)

    @every_check
    def test_has_a_title_that_states_the_healthy_state(self, check: Check) -> None:
        assert 0 < len(check.title) <= 100
        assert not check.title.startswith(("Ensure", "Check", "Verify"))
        assert not check.title.endswith((".", "?", "!"))

    @every_check
    def test_describes_every_parameter(self, check: Check) -> None:
        for parameter in check.parameters():
            assert parameter.description.endswith("."), parameter.name
            assert parameter.source, parameter.name


class TestTheHome:
    @every_check
    def test_matches_the_area(self, check: Check) -> None:
        room = check.function.__module__.removeprefix("auditor.checks.").removeprefix("workloads.").partition(".")[0]

        assert room.replace("_", "-") == check.area

    @every_check
    def test_exists(self, check: Check) -> None:
        file, _, line = check.place.rpartition(":")

        assert Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1].startswith("@check(")

    @every_check
    def test_concerns_somebody(self, check: Check) -> None:
        assert check.workloads
        assert max(check.workloads.values(), key=lambda severity: severity.rank) is check.severity


class TestFixtures:
    @every_check
    def test_show_the_check_content_discontent_and_at_a_loss(self, check: Check) -> None:
        shown = {cluster.expected for cluster in fixtures_of(check)}

        assert shown >= {Status.OK, Status.UNKNOWN}
        assert shown & {Status.FAIL, Status.WARN}

    @every_check
    def test_read_every_declared_part(self, check: Check) -> None:
        asked: set[PartKey] = set()
        for cluster in fixtures_of(check):
            parts = RecordingParts(cluster.parts())
            cluster.findings(parts)
            asked |= parts.asked

        assert asked == {part.key for part in check.reads}


class TestFindings:
    @every_fixture
    def test_come_from_no_crash_and_no_undeclared_read(self, cluster: FixtureCluster) -> None:
        assert_sound(cluster.findings())

    @every_fixture
    def test_are_sentences_with_everything_filled_in(self, cluster: FixtureCluster) -> None:
        for finding in cluster.findings():
            texts = [finding.message, finding.fix.text if finding.fix else "."]
            assert not [text for text in texts if re.search(r"[{}]|\bNone\b|\s\s|\bset\(", text)]
            assert all(text.endswith(".") for text in texts)
            assert texts[0][0] == texts[0][0].upper() or not texts[0][0].isalpha()
            json.dumps(finding.evidence)

    @every_fixture
    def test_that_ask_for_action_say_which(self, cluster: FixtureCluster) -> None:
        for finding in cluster.findings():
            if finding.status in (Status.WARN, Status.FAIL):
                assert finding.fix is not None, finding.message

    @every_fixture
    def test_are_the_same_the_second_time(self, cluster: FixtureCluster) -> None:
        assert cluster.findings() == cluster.findings()

    @every_check
    @settings(max_examples=50)
    @given(data=st.data())
    def test_do_not_depend_on_the_order_of_objects(self, check: Check, data: st.DataObject) -> None:
        cluster = data.draw(st.sampled_from(fixtures_of(check)))
        parts = cluster.parts()

        shuffled = {key: _shuffled(part, data) for key, part in parts.items()}

        assert _without_order(cluster.findings(shuffled)) == _without_order(cluster.findings(parts))


class TestNeverASilentPass:
    """Whatever becomes unreadable, a check says less or ``unknown``, and never something else."""

    @every_check
    @settings(max_examples=200)
    @given(data=st.data())
    def test_any_part_may_be_unreadable(self, check: Check, data: st.DataObject) -> None:
        cluster = data.draw(st.sampled_from(fixtures_of(check)))
        parts = st.sampled_from([str(part) for part in check.reads])
        states = data.draw(st.dictionaries(parts, st.sampled_from(UNREADABLE), min_size=1))
        whole = cluster.findings()

        partial = cluster.findings(cluster.parts(states))

        assert_sound(partial)
        if _answers_absence(check, states):
            return  # "not served by this cluster" is knowledge of its own, also of objects that gave a failure
        if any(finding.status is Status.FAIL for finding in whole):
            assert any(finding.status in (Status.FAIL, Status.UNKNOWN) for finding in partial)
        said = {(finding.status, finding.message) for finding in whole}
        for finding in partial:
            assert finding.status is Status.UNKNOWN or (finding.status, finding.message) in said

    @every_fixture
    def test_nothing_read_is_unknown(self, cluster: FixtureCluster) -> None:
        findings = cluster.findings(cluster.parts({str(part): PartState.FORBIDDEN for part in cluster.check.reads}))

        assert {finding.status for finding in findings} == {Status.UNKNOWN}


class TestPurity:
    @pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
    def test_checks_import_only_pure_modules(self, source: Path) -> None:
        tree = ast.parse(source.read_text(encoding="utf-8"))

        foreign = [name for name in _imported(tree) if not _is_pure(name)]

        assert not foreign
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in CLOCK_READERS]

    @every_fixture
    def test_checks_do_no_io_and_read_no_clock(self, cluster: FixtureCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        parts = cluster.parts()
        expected = cluster.findings(parts)
        for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "localtime", "gmtime", "sleep"):
            monkeypatch.setattr(time, name, _forbidden)

        with audited() as events:
            findings = cluster.findings(parts)

        monkeypatch.undo()
        assert findings == expected
        assert not [event for event in events if event.split(".")[0] in TRAPPED or event in TRAPPED]

    def test_the_trap_closes(self) -> None:
        with audited() as events:
            Path(__file__).read_bytes()

        assert "open" in events


TRAPPED = {"open", "socket", "subprocess", "os", "shutil", "glob", "urllib", "http", "ctypes", "import"}
"""Audit events, or their first words, that tell of contact with the world."""

_listeners: list[tuple[int, list[str]]] = []


def _hear(event: str, _arguments: Any) -> None:
    for thread, heard in _listeners:
        if thread == threading.get_ident():
            heard.append(event)


sys.addaudithook(_hear)


@contextmanager
def audited() -> Iterator[list[str]]:
    """The names of the audit events that this thread causes."""
    heard: list[str] = []
    _listeners.append((threading.get_ident(), heard))
    try:
        yield heard
    finally:
        _listeners.clear()


class RecordingParts(dict[PartKey, PartFacts]):
    """Parts that remember which of them were asked for."""

    def __init__(self, parts: dict[PartKey, PartFacts]) -> None:
        super().__init__(parts)
        self.asked: set[PartKey] = set()

    def get(self, key: PartKey, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def assert_sound(findings: Sequence[Finding]) -> None:
    assert findings
    broken = [f for f in findings if "traceback" in f.evidence or f.message == "The check came to no finding."]
    assert not broken, broken[0].evidence.get("traceback", broken[0].message)


def _forbidden(*_: Any) -> float:
    raise AssertionError("A check reads the clock.")


def _shuffled(part: PartFacts, data: st.DataObject) -> PartFacts:
    if not isinstance(part.content, tuple):
        return part
    return PartFacts(part.status, tuple(data.draw(st.permutations(part.content))))


def _without_order(findings: Sequence[Finding]) -> list[Finding]:
    return [msgspec.structs.replace(f, subjects=tuple(sorted(f.subjects, key=str))) for f in findings]


def _answers_absence(check: Check, states: Mapping[str, PartState]) -> bool:
    return any(part.optional and states.get(str(part)) is PartState.ABSENT for part in check.reads)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def _is_pure(module: str) -> bool:
    if module.split(".", maxsplit=1)[0] in PURE_LIBRARY:
        return True
    return module == "auditor" or any(
        module == core or module.startswith(f"{core}.") for core in CORE_FOR_CHECKS - {"auditor"}
    )


def test_the_pure_core_is_the_core_that_exists() -> None:
    for name in CORE_FOR_CHECKS:
        assert inspect.ismodule(importlib.import_module(name))
