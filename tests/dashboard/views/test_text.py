"""Text of the views is never taken for HTML or Markdown, whatever it says."""

from __future__ import annotations

import ast
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import panel_material_ui as pmui
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from dashboard.views.text import Html, Text, join

pytestmark = pytest.mark.unit

VIEWS = Path(__file__).parents[3] / "dashboard" / "views"

AWKWARD = [
    "<",
    ">",
    "&",
    "&lt;",
    "&amp;lt;",
    '"',
    "'",
    "*",
    "_",
    "[a](b)",
    "![a](b)",
    "<!--",
    "# ",
    "`",
    "$$",
    "{{7*7}}",
]

WORDS = st.lists(st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["C"]), max_size=8)).map("".join)


class Seen(HTMLParser):
    """What a browser makes of HTML: its elements, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append("!--")

    def handle_data(self, data: str) -> None:
        self.text += data


@given(WORDS)
def test_text_is_shown_letter_by_letter(words: str) -> None:
    # As its component does: entities are decoded once, and what comes out is HTML.
    seen = Seen(unescape(Text()._transform_object(words)["object"]))
    assert (seen.tags, seen.text) == (["p"] if words else [], words)


@given(WORDS)
def test_html_shows_what_is_put_into_it_and_a_plain_text_as_it_is(words: str) -> None:
    row = Markup('<td title="{}">{}</td>').format(words, words)
    for content, tags in ((row, ["td"]), (join([row, words]), ["td"]), (words, [])):
        seen = Seen(unescape(Html()._transform_object(content)["object"]))
        assert seen.tags == tags
        assert seen.text.endswith(words)


def html_components() -> set[str]:
    """Return the names of those components of panel-material-ui that take a text for HTML, by their sources."""
    sources = Path(pmui.__file__).parent.rglob("*.jsx")
    raw = re.compile("dangerouslySetInnerHTML|render_html_icon_text")
    return {each.stem for each in sources if raw.search(each.read_text(encoding="utf-8"))}


def attributes(path: Path) -> set[str]:
    """Return the attributes that a module uses of other modules, such as ``pmui.Button``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(
    "path", [each for each in VIEWS.glob("*.py") if each.stem != "text"], ids=lambda path: path.stem
)
def test_no_view_has_a_component_that_takes_text_for_html(path: Path) -> None:
    found = html_components()
    assert "Typography" in found
    # Of an accordion it is the headings, of which there is one, and it is ours.
    raw = {f"pmui.{name}" for name in found - {"Accordion"}} | {"pn.pane.HTML", "pn.pane.Markdown", "pn.pane.Str"}
    assert attributes(path) & raw == set()


def test_the_heading_of_the_accordion_is_a_constant() -> None:
    tree = ast.parse((VIEWS / "request_options.py").read_text(encoding="utf-8"))
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "pmui.Accordion"
    ]
    headings = [pair.elts[0] for call in calls for pair in call.args if isinstance(pair, ast.Tuple)]
    assert headings
    assert all(isinstance(each, ast.Constant) for each in headings)
