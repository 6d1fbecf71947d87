"""Text and HTML of the views: words of a file, a product or a cluster are shown as they are, never as markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup
from markupsafe import escape as escape_text


class Text(pmui.Typography):
    """Text in the look of Material UI's Typography, without its Markdown and HTML.

    panel-material-ui 0.16 renders Markdown on the server, then decodes entities once in the browser and takes what
    comes out for HTML (``Typography.jsx``): text that is escaped twice comes out as itself. To be removed once it has a
    component of plain text.

    Parameters
    ----------
    words : str or reference, optional
        What is shown.
    **look
        Parameters of Typography, such as its ``variant``.
    """

    def __init__(self, words: Any = "", **look: Any) -> None:
        super().__init__(words, **look)  # type: ignore[no-untyped-call]  # Panel annotates no constructor

    def _transform_object(self, obj: Any) -> dict[str, Any]:
        words = "" if obj is None else str(obj)
        # The paragraph is what Markdown wraps text in; Typography's margins are of it.
        return {"object": escape(f"<p>{escape(words)}</p>") if words else ""}


class Html(pn.pane.HTML):
    """A pane of HTML that shows as text whatever is not declared to be HTML.

    Its object is `markupsafe.Markup`, made by formatting and joining, which escape their arguments; a plain string has
    each of its characters shown.

    Parameters
    ----------
    content : markupsafe.Markup, str or reference
        What is shown.
    **look
        Parameters of `panel.pane.HTML`.
    """

    def __init__(self, content: Any = "", **look: Any) -> None:
        super().__init__(content, **look)  # type: ignore[no-untyped-call]  # Panel annotates no constructor

    def _transform_object(self, obj: Any) -> dict[str, Any]:
        # Of a Markup itself, Panel's own escaping of what it sends would escape too much.
        shown: dict[str, Any] = super()._transform_object(str(escape_text("" if obj is None else obj)))
        return shown


def join(parts: Iterable[str]) -> Markup:
    """Return parts of HTML one after another, those that are plain strings escaped."""
    return Markup("").join(parts)
