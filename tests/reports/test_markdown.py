"""The Markdown report: nothing that a cluster says becomes markup, and it fits into a comment."""

from __future__ import annotations

import re
from html import unescape

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec.structs import replace

from auditor import Finding, Result, Subject
from auditor.model import NotEvaluated, Status
from auditor.registry import load_report

GITHUB_LIMIT_CHARACTERS = 65_536
ALLOWED_HTML = re.compile(r"</?(details|summary|code)>")


def rendered(result: Result) -> str:
    return load_report("markdown").render(result)


def flat(text: str) -> list[Token]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or ()))]


def structure(text: str) -> list[str]:
    """The kinds of block and inline elements, text aside."""
    return [token.type for token in flat(text) if token.type not in ("text", "text_special", "softbreak")]


def test_it_starts_with_the_verdict(recorded: Result) -> None:
    assert rendered(recorded).startswith("## ✗ Not ready: prod-eu-1\n\nkafka, flink, hdfs, zeppelin: not ready.\n")


def test_sections_come_in_the_order_of_their_use(recorded: Result) -> None:
    assert re.findall(r"^### (.+)$", rendered(recorded), re.MULTILINE) == [
        "Fix these first",
        "Areas",
        "Findings",
        "Waivers",
        "Not evaluated",
        "Benchmarks",
        "How verdicts are drawn",
    ]


def test_commands_are_blocks_to_copy(recorded: Result) -> None:
    fences = [token.content for token in flat(rendered(recorded)) if token.type == "fence"]

    assert "kubectl patch storageclass gp2 -p '{\"allowVolumeExpansion\":true}'\n" in fences


def test_waived_and_expired_stand_out(recorded: Result) -> None:
    text = rendered(recorded)

    assert "<summary>✗ fail (waived), high: <code>dns.replicas</code>" in text
    assert "| **EXPIRED** | storage.expansion |" in text
    assert "| **UNUSED** | network.\\* |" in text


def test_hostile_names_form_no_markup(hostile: Result) -> None:
    text = rendered(hostile)
    tokens = flat(text)
    html = "".join(token.content for token in tokens if token.type in ("html_block", "html_inline"))

    assert "<" not in ALLOWED_HTML.sub("", html)
    assert not [token for token in tokens if token.type in ("link_open", "image", "em_open", "hr", "s_open")]
    assert not re.search(r"@\w*admin", _outside_of_code(tokens))
    assert not re.search(r"#\d", _outside_of_code(tokens))


def _outside_of_code(tokens: list[Token]) -> str:
    return "\n".join(
        unescape(token.content) for token in tokens if token.type in ("text", "text_special", "html_block")
    )


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=60) | st.text("`|*_<>[]()#@\\\n -1.~", max_size=20))
def test_no_name_changes_the_structure(least: Result, name: str) -> None:
    def of(text: str) -> list[str]:
        finding = Finding.fail(
            f"x{text}",
            subjects=[Subject(kind="Pod", name=f"x{text}")],
            fix=f"x{text}",
            command=f"x{text}",
            evidence={"seen": f"x{text}"},
        )
        gap = NotEvaluated(check="a.b", status=Status.SKIP, reason=f"x{text}")
        cluster = replace(least.cluster, name=f"x{text}", description=f"x{text}")
        return structure(rendered(replace(least, cluster=cluster, findings=(finding,), not_evaluated=(gap,))))

    assert of(name) == of("harmless")


def test_it_fits_into_a_comment(large: Result, hostile: Result) -> None:
    assert len(rendered(large)) < GITHUB_LIMIT_CHARACTERS
    assert len(rendered(hostile)) < GITHUB_LIMIT_CHARACTERS


@pytest.mark.parametrize("checks", [200, 3000])
def test_many_checks_fit_as_well_and_the_rest_is_counted(checks: int, recorded: Result) -> None:
    findings = tuple(
        msgspec.structs.replace(recorded.findings[0], check=f"storage.check-{number}", message="m" * 5_000)
        for number in range(checks)
    )
    text = rendered(replace(recorded, findings=findings))

    assert len(text) < GITHUB_LIMIT_CHARACTERS
    assert "more checks to look at; all are in result.json" in text


def test_what_cannot_fit_is_cut_between_sections_and_says_so(recorded: Result) -> None:
    waivers = recorded.waivers * 1000
    text = rendered(replace(recorded, waivers=waivers))

    assert len(text) < GITHUB_LIMIT_CHARACTERS
    assert text.endswith("</details>\n\n… cut here: a comment cannot be longer. The whole result is in result.json.\n")
