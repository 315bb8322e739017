"""What the documents and examples show works as shown."""

import re
from datetime import date
from pathlib import Path

import pytest

from auditor.bundle import read_bundle
from auditor.facts.parts import PartState
from auditor.facts.store import Facts
from auditor.judge import Judgement, Policy, judge, judge_check
from auditor.model import Finding, Status, VerdictLevel, Workload
from auditor.registry import load_checks
from auditor.units.check import SECTIONS, Check

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "examples" / "recorded-cluster"
POLICY = Policy(today=date(2026, 1, 15))


def facts_for(*checks: Check) -> Facts:
    return read_bundle(RECORDED, dict.fromkeys(part for check in checks for part in check.reads))


def code_block(number: int) -> str:
    """One of the Python blocks of docs/write-a-check.md."""
    text = (ROOT / "docs" / "write-a-check.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return blocks[number]


class TestTheRecordedCluster:
    @pytest.fixture
    def judgement(self) -> Judgement:
        checks = [check for check in load_checks() if check.area == "storage"]
        return judge(facts_for(*checks), checks, POLICY)

    @pytest.mark.parametrize(
        ("check_id", "status", "message"),
        [
            ("storage.default-class", Status.FAIL, r"No StorageClass is the default"),
            ("storage.driver-installed", Status.FAIL, r"1 of 4 data nodes \(ip-10-0-2-22"),
            ("storage.driver-installed", Status.OK, r"efs\.csi\.aws\.com registered on 4 of 4 data nodes"),
            ("storage.waits-for-consumer", Status.FAIL, r"gp2 \(in use\).*StorageClass gp3 of the same driver waits"),
            ("storage.waits-for-consumer", Status.OK, r"StorageClass gp3 wait for their first pod"),
            ("storage.waits-for-consumer", Status.UNKNOWN, r"apps/statefulsets is forbidden"),
            ("storage.volume-expansion", Status.FAIL, r"gp2 \(in use\) cannot grow"),
            ("storage.volume-expansion", Status.OK, r"gp3 can grow"),
            ("storage.block-storage", Status.FAIL, r"3 claims of Kafka or HDFS .* on StorageClass efs"),
        ],
    )
    def test_gives_instructive_findings(
        self, judgement: Judgement, check_id: str, status: Status, message: str
    ) -> None:
        said = [f.message for f in judgement.findings if (f.check, f.status) == (check_id, status)]

        assert any(re.search(message, text) for text in said), said

    def test_is_not_ready(self, judgement: Judgement) -> None:
        assert judgement.verdicts.overall.level is VerdictLevel.NOT_READY
        assert judgement.verdicts.workloads[Workload.KAFKA].level is VerdictLevel.NOT_READY

    def test_says_what_it_is_and_was_not_tampered_with(self) -> None:
        facts = facts_for(*load_checks())

        assert facts.origin.description == "A small hand-made example, not a real cluster"
        assert not facts.origin.warnings

    def test_lacks_one_part_that_was_forbidden(self) -> None:
        checks = [check for check in load_checks() if check.area == "storage"]
        facts = facts_for(*checks)

        states = {str(part): facts.status(part).state for check in checks for part in check.reads}

        refused = {part for part, state in states.items() if state is PartState.FORBIDDEN}
        assert refused == {"apps/statefulsets"}
        assert set(states.values()) == {PartState.OK, PartState.FORBIDDEN, PartState.MISSING}


class TestTheCheckOfOnesOwn:
    @pytest.fixture
    def check(self) -> Check:
        checks = load_checks([ROOT / "examples"])
        assert not checks.failures
        return checks.get("site.cost-centre")

    def judged(self, check: Check, **parameters: str) -> Finding:
        policy = Policy(today=date(2026, 1, 15), parameters={check.id: parameters})
        [finding] = judge_check(check, facts_for(check), policy)
        return finding

    def test_fails_on_the_recorded_cluster(self, check: Check) -> None:
        finding = self.judged(check)

        assert finding.status is Status.FAIL
        assert finding.message == "4 of 4 nodes lack a value for the label example.com/cost-centre."

    def test_takes_another_label(self, check: Check) -> None:
        assert self.judged(check, label="eks.amazonaws.com/nodegroup").status is Status.OK

    def test_has_a_manual_page(self, check: Check) -> None:
        assert tuple(check.sections()) == SECTIONS
        assert check.references
        assert all(parameter.description and parameter.source for parameter in check.parameters())


class TestWriteACheck:
    def test_the_check_shown_is_found_and_judges(self, tmp_path: Path) -> None:
        (tmp_path / "site.py").write_text(code_block(0), encoding="utf-8")
        checks = load_checks([tmp_path])
        assert not checks.failures
        check = checks.get("site.class-names")

        [finding] = judge_check(check, facts_for(check), POLICY)

        assert finding.status is Status.FAIL
        assert finding.subject_count == 4
        assert tuple(check.sections()) == SECTIONS

    def test_the_test_shown_passes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "my-checks").mkdir()
        (tmp_path / "my-checks" / "site.py").write_text(code_block(0), encoding="utf-8")
        (tmp_path / "bundle").symlink_to(RECORDED)
        monkeypatch.chdir(tmp_path)
        namespace: dict[str, object] = {}

        exec(code_block(1), namespace)  # noqa: S102  the documented test itself

        shown = namespace["test_class_names"]
        assert callable(shown)
        shown()
