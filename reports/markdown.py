"""Markdown for a comment on a merge request: short, and within the length that code hosts accept.

Everything that a template prints is escaped unless a filter of this module made it. Names from a cluster can form
neither markup nor mentions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from auditor import Medium, Result, report

from . import blocks, wording

MAX_CHARACTERS = 65_000
"""GitHub refuses comments of more than 65,536 characters."""

MESSAGE_CHARACTERS = 500
EVIDENCE_CHARACTERS = 300

DETAIL_LEVELS = ((5, 100), (1, 40), (1, 10))
"""Findings shown per check and status, and checks shown; tried in turn until the comment is short enough."""

_PUNCTUATION = re.compile(r"[\\`*_{}\[\]<>#|~!&$^]")
_BACKTICKS = re.compile(r"`+")
_TOO_LONG = "\n… cut here: a comment cannot be longer. The whole result is in result.json.\n"


@report("markdown", title="For a comment on a merge request", extension="md")
def markdown(result: Result, medium: Medium) -> str:  # noqa: ARG001  the same on every medium
    """The page as Markdown of at most :data:`MAX_CHARACTERS`."""
    template = _environment().get_template("markdown.md.j2")
    text = ""
    for findings_per_status, checks in DETAIL_LEVELS:
        page = blocks.page(result, findings_per_status=findings_per_status)
        text = template.render(page=page, checks=checks)
        if len(text) <= MAX_CHARACTERS:
            return text
    last_section = text.rfind("\n### ", 0, MAX_CHARACTERS - len(_TOO_LONG))
    return text[:last_section] + _TOO_LONG


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": _code, "fence": _fence, "html": _html}
    environment.globals |= {"blocks": blocks, "wording": wording}
    environment.globals |= {"MESSAGE": MESSAGE_CHARACTERS, "EVIDENCE": EVIDENCE_CHARACTERS}
    return environment


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unlinked(text: str) -> str:
    """Without mentions and references to issues, which code hosts make of plain text."""
    return text.replace("@", "@\u2060").replace("#", "#\u2060")


def _escaped(value: Any) -> Markup:
    """Markdown that shows the value as it is, on one line."""
    if isinstance(value, Markup):
        return value
    return Markup(_PUNCTUATION.sub(r"\\\g<0>", _unlinked(_one_line(str(value)))))  # noqa: S704  escaped here


def _html(text: str) -> Markup:
    """HTML that shows the text, for the inside of an HTML block."""
    return Markup.escape(_unlinked(_one_line(text)))


def _longest_backticks(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)


def _code(text: str) -> Markup:
    """A code span; not for tables, where a pipe would end it."""
    fence = "`" * (_longest_backticks(text) + 1)
    gap = " " if "`" in text else ""
    return Markup(f"{fence}{gap}{_one_line(text) or ' '}{gap}{fence}")  # noqa: S704  the fence is longer than any inside


def _fence(text: str, indent: int) -> Markup:
    """A block of shell code, indented to belong to a list's item."""
    fence = "`" * max(3, _longest_backticks(text) + 1)
    lines = [f"{fence}sh", *text.splitlines(), fence]
    return Markup("\n".join(" " * indent + line for line in lines))  # noqa: S704  the fence is longer than any inside
