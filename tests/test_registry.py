"""The registry: ids are unique, unknown ids get an answer, broken plugins are not lost."""

import textwrap
from pathlib import Path

import pytest

from auditor.errors import DuplicateIdError, UnknownIdError, UsageError
from auditor.registry import load_checks, load_report, load_reports

OWN_CHECK = """
    from collections.abc import Iterator
    from auditor import Facts, Finding, Severity, check

    @check("{id}", title="A site rule holds", severity=Severity.LOW, reads=(), aliases={aliases!r})
    def rule(facts: Facts) -> Iterator[Finding]:
        yield Finding.ok("It holds.")
"""


def write_check(folder: Path, name: str, id: str, aliases: tuple[str, ...] = ()) -> Path:  # noqa: A002
    path = folder / name
    path.write_text(textwrap.dedent(OWN_CHECK.format(id=id, aliases=aliases)))
    return path


def test_built_in_checks_come_through_entry_points() -> None:
    assert {check.area for check in load_checks()} >= {"storage"}


def test_a_folder_adds_checks(tmp_path: Path) -> None:
    path = write_check(tmp_path, "site.py", "site.rule")

    check = load_checks([tmp_path]).get("site.rule")

    assert check.place == f"{path}:5"
    assert not load_checks([tmp_path]).failures


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        load_checks([tmp_path / "nothing"])


def test_duplicate_ids_are_refused_naming_both_places(tmp_path: Path) -> None:
    first = write_check(tmp_path, "one.py", "site.rule")
    second = write_check(tmp_path, "two.py", "site.rule")

    with pytest.raises(DuplicateIdError) as caught:
        load_checks([tmp_path])

    assert f"{first}:5" in str(caught.value)
    assert f"{second}:5" in str(caught.value)


@pytest.mark.parametrize(("one", "other"), [(("X-1",), ("X-1",)), (("site.b",), ()), ((), ("site.a",))])
def test_aliases_are_ids_too(tmp_path: Path, one: tuple[str, ...], other: tuple[str, ...]) -> None:
    write_check(tmp_path, "one.py", "site.a", one)
    write_check(tmp_path, "two.py", "site.b", other)

    with pytest.raises(DuplicateIdError):
        load_checks([tmp_path])


def test_the_same_declaration_may_come_twice(tmp_path: Path) -> None:
    write_check(tmp_path, "one.py", "site.rule")

    assert len(load_checks([tmp_path, tmp_path])) == len(load_checks([tmp_path]))


def test_an_alias_finds_its_check(tmp_path: Path) -> None:
    write_check(tmp_path, "one.py", "site.rule", ("SITE-001",))
    registry = load_checks([tmp_path])

    assert registry.get("SITE-001").id == "site.rule"
    assert [check.id for check in registry.matching(["SITE-*"])] == ["site.rule"]


@pytest.mark.parametrize("ask", ["get", "matching"])
def test_an_unknown_id_is_answered_with_close_matches(tmp_path: Path, ask: str) -> None:
    write_check(tmp_path, "one.py", "site.cost-centre")
    registry = load_checks([tmp_path])

    with pytest.raises(UnknownIdError) as caught:
        registry.get("site.cost-center") if ask == "get" else registry.matching(["site.cost-center"])

    assert "Did you mean 'site.cost-centre'?" in caught.value.cause
    assert "auditor list checks" in caught.value.next_step


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import does_not_exist", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(7)", "SystemExit"),
        (textwrap.dedent(OWN_CHECK.format(id="Not An Id", aliases=())), "PluginError"),
        (
            textwrap.dedent(OWN_CHECK.format(id="site.x", aliases=())).replace("(facts: Facts)", "(a, b, c)"),
            "PluginError",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_kept_as_a_failure(tmp_path: Path, source: str, error: str) -> None:
    (tmp_path / "broken.py").write_text(source)
    write_check(tmp_path, "fine.py", "site.rule")

    registry = load_checks([tmp_path])

    [failure] = registry.failures
    assert failure.place == str(tmp_path / "broken.py")
    assert failure.error.startswith(error)
    assert "Traceback" in failure.traceback or error == "SyntaxError"
    assert registry.get("site.rule").id == "site.rule"


def test_reports_come_through_entry_points() -> None:
    assert {report.id for report in load_reports()} >= {"html", "json", "junit", "markdown", "text"}


def test_one_report_can_be_loaded_alone() -> None:
    assert load_report("json").extension == "json"


def test_an_unknown_report_is_answered_with_close_matches() -> None:
    with pytest.raises(UnknownIdError, match="no report 'jsn'") as caught:
        load_report("jsn")

    assert "'json'" in caught.value.cause
