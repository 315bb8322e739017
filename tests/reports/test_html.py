"""The HTML report: one file, nothing that loads or runs, every check linkable, readable for everyone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from auditor import Finding, Reference, Result
from auditor.registry import load_report

VOID = {"meta", "link", "br", "img", "hr", "input"}
SMALL_BYTES = 3_000_000

Attributes = dict[str, str]


class Document(HTMLParser):
    """Elements of a page, with the classes of what is around them; refuses tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.folded: set[str] = set()
        self.words: list[str] = []
        self.style = ""
        self._open: list[tuple[str, Attributes]] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if "id" in attributes and any(around == "details" for around, _ in self._open):
            self.folded.add(attributes["id"])
        if tag not in VOID:
            self._open.append((tag, attributes))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "style":
            self.style += data
        else:
            self.words.append(data)

    def values(self, attribute: str, *, tag: str | None = None) -> list[str]:
        return [found[attribute] for name, found in self.elements if attribute in found and tag in (None, name)]

    @property
    def tags(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.elements)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rendered(result: Result) -> str:
    return load_report("html").render(result)


@pytest.fixture(scope="module")
def page(recorded: Result) -> Document:
    return Document(rendered(recorded))


@pytest.fixture(scope="module")
def hostile_page(hostile: Result) -> Document:
    return Document(rendered(hostile))


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(page: Document, hostile_page: Document) -> None:
    for document in (page, hostile_page):
        ids = document.values("id")
        targets = {href[1:] for href in document.values("href", tag="a") if href.startswith("#")}

        assert [id for id, count in Counter(ids).items() if count > 1] == []  # noqa: A001
        assert targets <= set(ids)


def test_every_check_can_be_linked_by_its_id(page: Document, recorded: Result) -> None:
    assert {finding.check for finding in recorded.findings} <= set(page.values("id"))


def test_nothing_is_loaded_and_nothing_runs(page: Document, hostile_page: Document) -> None:
    for document in (page, hostile_page):
        assert not document.tags.keys() & {"script", "img", "iframe", "object", "embed", "form", "base", "svg", "audio"}
        assert document.values("href", tag="link") == ["data:,"]
        assert document.values("src") == []
        used = {name for _, attributes in document.elements for name in attributes}
        assert {name for name in used if name.startswith("on") or name == "style"} == set()
        assert "url(" not in document.style
        assert "@import" not in document.style


def test_the_policy_allows_the_style_and_nothing_else(page: Document) -> None:
    policy = next(found["content"] for _, found in page.elements if "http-equiv" in found)
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()

    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_links_lead_to_the_web_only(page: Document, hostile_page: Document) -> None:
    for document in (page, hostile_page):
        outward = [href for href in document.values("href", tag="a") if not href.startswith("#")]

        assert outward
        assert all(href.startswith(("http://", "https://")) for href in outward)


def test_a_reference_that_is_no_web_address_is_shown_as_text(recorded: Result) -> None:
    reference = Reference(title="Guide", url="javascript:alert(1)")
    finding = replace(recorded.findings[0], references=(reference,))
    document = Document(rendered(replace(recorded, findings=(finding,))))

    assert "Guide (javascript:alert(1))" in document.text


def test_manual_pages_are_rendered_below_their_checks_heading(page: Document) -> None:
    assert page.tags["h4"] == 12 * 4
    assert page.tags["h5"] == 0
    assert "Exactly one StorageClass has storageclass.kubernetes.io/is-default-class" in page.text.replace(" :", ":")


def test_html_in_a_manual_page_is_shown_and_not_obeyed(hostile_page: Document) -> None:
    assert "<b>bold</b>" in hostile_page.text
    assert "[x](javascript:alert(1))" in hostile_page.text


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=60))
def test_no_name_changes_the_structure(least: Result, name: str) -> None:
    def tags(text: str) -> list[str]:
        finding = Finding.fail(text, fix=text, command=f"x{text}", evidence={"seen": text})
        return [tag for tag, _ in Document(rendered(replace(least, findings=(finding,), warnings=(text,)))).elements]

    assert tags(name) == tags("harmless")


def test_waived_findings_are_marked_and_not_folded(page: Document, recorded: Result) -> None:
    waived = {finding.check for finding in recorded.findings if finding.waiver}

    assert waived == {"dns.replicas"}
    assert not waived & page.folded
    assert "fail, waived" in page.text
    assert "Waived by platform-team@example.org until 2026-12-31: A second replica" in page.text


def test_checks_in_good_order_are_folded_and_the_others_are_not(page: Document) -> None:
    assert page.folded == {
        "storage.csi-driver",
        "scheduler.quota-headroom",
        "scheduler.gpu-capacity",
        "platform.server-version",
    }


def test_tables_have_captions_and_their_headings_a_scope(page: Document) -> None:
    assert page.tags["table"] == page.tags["caption"] > 0
    headings = [attributes for tag, attributes in page.elements if tag == "th"]
    assert all(attributes.get("scope") in ("col", "row") for attributes in headings)


def test_headings_leave_no_level_out(page: Document) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_large_result_stays_small_and_says_what_it_left_out(large: Result) -> None:
    text = rendered(large)

    assert len(text.encode()) < SMALL_BYTES
    assert "more findings with status" in text
    assert "more reasons; all are in result.json" in text


def luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: int, page: Document) -> None:
    palettes = re.findall(r":root \{(.*?)\}", page.style, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", palettes[theme]))
    tones = ("ok", "warn", "fail", "unknown", "skip")
    pairs = [
        *product(("text", "muted", "link"), ("page", "card", "inset")),
        *product(tones, ("card", "page")),
        *((tone, f"{tone}-tint") for tone in tones),
        *product(("text", "muted"), (f"{tone}-tint" for tone in tones)),
    ]
    ratios = {}
    for front, back in pairs:
        lighter, darker = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        ratios[front, back] = (lighter + 0.05) / (darker + 0.05)

    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}
