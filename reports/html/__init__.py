"""HTML: one file that opens from a mail or a USB stick, without network and without script.

The style is inline and its hash is the only thing that the page's content security policy allows, so that nothing that
a cluster smuggles into a name can load, run or restyle anything. The result itself is not embedded: it would double
the file, and no part of the page uses it; result.json lies beside the report.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from auditor import Medium, Result, report

from .. import blocks, wording

HERE = Path(__file__).parent
FINDINGS_PER_STATUS = 10
TEXT_CHARACTERS = 2000
LINK_SCHEMES = ("http://", "https://")
MANUAL_HEADING_LEVEL = 4
"""The manual page's ``##`` becomes this level, below the check's own heading."""


@report("html", title="For people: one self-contained page", extension="html")
def html(result: Result, medium: Medium) -> str:  # noqa: ARG001  the page adapts to its reader by itself
    """The page as one HTML file."""
    style = (HERE / "report.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"clip": _clip, "manual": _manual, "number": wording.number}
    environment.globals |= {"blocks": blocks, "wording": wording}
    environment.tests |= {"linkable": _linkable}
    return environment.get_template("report.html.j2").render(
        page=blocks.page(result, findings_per_status=FINDINGS_PER_STATUS),
        style=Markup(style),  # noqa: S704  the report's own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _clip(text: str) -> str:
    return wording.clip(text, TEXT_CHARACTERS)


def _linkable(url: str) -> bool:
    """Whether a link may lead there: to the web, and not into a script."""
    return url.lower().startswith(LINK_SCHEMES)


def _manual(text: str) -> Markup:
    """A manual page; HTML in it is shown, not obeyed."""
    return Markup(_markdown().render(text))  # noqa: S704  markdown-it escapes, html=False


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).disable("image")
    markdown.validateLink = _linkable  # type: ignore[method-assign]
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("heading_open", _heading)
    markdown.add_render_rule("heading_close", _heading)
    return markdown


def _link_open(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    tokens[index].attrSet("rel", "noreferrer")
    return renderer.renderToken(tokens, index, options, env)


def _heading(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    level = int(tokens[index].tag[1:]) + MANUAL_HEADING_LEVEL - 2
    tokens[index].tag = f"h{min(level, 6)}"
    return renderer.renderToken(tokens, index, options, env)
