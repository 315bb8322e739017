"""The JUnit report: well-formed, counted right, each status where a CI system looks for it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from auditor import Finding, Result, Status, Subject
from auditor.registry import load_report

OUTCOMES = {"failure", "error", "skipped"}
COUNTS = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def parsed(result: Result) -> ElementTree.Element:
    return ElementTree.fromstring(load_report("junit").render(result))  # noqa: S314  our own output


def case(root: ElementTree.Element, check: str) -> ElementTree.Element:
    found = root.find(f"testsuite/testcase[@classname='{check}']")
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["recorded", "least", "hostile"])
def test_it_has_the_structure_that_readers_expect(name: str, request: pytest.FixtureRequest) -> None:
    result: Result = request.getfixturevalue(name)
    root = parsed(result)

    assert root.tag == "testsuites"
    assert {suite.tag for suite in root} <= {"testsuite"}
    for suite in root:
        assert set(suite.keys()) == {"name", "timestamp", "time", *COUNTS}
        for found in suite:
            assert found.tag == "testcase"
            assert found.keys() == ["classname", "name", "time"]
            assert {child.tag for child in found} <= OUTCOMES | {"system-out"}
            assert len(found) <= 1
    assert len(root.findall("testsuite/testcase")) == len(result.findings)


def test_counts_agree_with_what_is_there(recorded: Result) -> None:
    root = parsed(recorded)

    for element in (root, *root):
        assert {name: int(element.get(name, "")) for name in COUNTS} == {
            name: len(list(element.iter(tag))) for name, tag in COUNTS.items()
        }


def test_each_status_has_its_place(recorded: Result) -> None:
    root = parsed(recorded)

    assert case(root, "storage.default-class").find("failure") is not None
    assert case(root, "stateful.disruption-budget").find("error") is not None
    assert case(root, "scheduler.gpu-capacity").find("skipped") is not None
    assert list(case(root, "storage.csi-driver")) == []
    [output] = case(root, "storage.reclaim-policy")
    assert output.tag == "system-out"
    assert (output.text or "").startswith("warn: StorageClasses gp2 and gp3 delete the disk with its claim")


def test_a_waived_failure_is_skipped_with_its_waiver(recorded: Result) -> None:
    skipped = case(parsed(recorded), "dns.replicas").find("skipped")

    assert skipped is not None
    assert skipped.get("message") == (
        "Waived by platform-team@example.org until 2026-12-31: A second replica follows with the node group of"
        " sprint 12. (fail: CoreDNS runs 1 ready replica; expected at least 2 on different nodes.)"
    )


def test_a_failure_says_what_it_breaks_and_how_to_fix_it(recorded: Result) -> None:
    failure = case(parsed(recorded), "storage.expansion").find("failure")

    assert failure is not None
    assert (failure.text or "").split("\n") == [
        "Volumes of data systems can grow",
        "severity: medium",
        "breaks: flink, hdfs, kafka, zeppelin (medium)",
        "subjects: StorageClass gp2",
        "fix: Set allowVolumeExpansion: true; the driver supports it.",
        "command: kubectl patch storageclass gp2 -p '{\"allowVolumeExpansion\":true}'",
    ]


def test_a_case_is_named_by_its_message_and_by_its_subject_where_that_is_missing(least: Result) -> None:
    def name(message: str) -> str | None:
        finding = Finding.of(Status.OK, message, subjects=[Subject(kind="Node", name="worker-1")])
        found = parsed(replace(least, findings=(finding,))).find("testsuite/testcase")
        return None if found is None else found.get("name")

    assert name("Node worker-1 is ready.") == "Node worker-1 is ready."
    assert name("The kernel is new enough.") == "Node worker-1: The kernel is new enough."


def test_the_verdict_is_in_the_name(recorded: Result) -> None:
    assert parsed(recorded).get("name") == "prod-eu-1: not ready"
