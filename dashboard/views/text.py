"""Text and HTML of the views, escaped, so that text of files, products or clusters is never interpreted as markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
from markupsafe import Markup
from markupsafe import escape as escape_text


class Text(pmui.Typography):
    """Plain text with the style of Material UI's Typography, without its Markdown and HTML.

    panel-material-ui 0.16 renders Markdown on the server, decodes entities once in the browser, and inserts the result
    as HTML (``Typography.jsx``). Text is therefore escaped twice. This can be removed once panel-material-ui has a
    component for plain text.

    Parameters
    ----------
    words : str or reference, optional
        The text.
    **look
        Parameters of Typography, such as its ``variant``.
    """

    def __init__(self, words: Any = "", **look: Any) -> None:
        super().__init__(words, **look)  # type: ignore[no-untyped-call]  # Panel annotates no constructor

    def _transform_object(self, obj: Any) -> dict[str, Any]:
        words = "" if obj is None else str(obj)
        # Markdown would add this paragraph, which Typography's margins apply to.
        return {"object": escape(f"<p>{escape(words)}</p>") if words else ""}


class Html(pn.pane.HTML):
    """HTML pane that interprets only `markupsafe.Markup` as HTML; plain strings are escaped.

    Formatting and joining of `markupsafe.Markup` escape their arguments.

    Parameters
    ----------
    content : markupsafe.Markup, str or reference
        HTML, or plain text.
    **look
        Parameters of `panel.pane.HTML`.
    """

    def __init__(self, content: Any = "", **look: Any) -> None:
        super().__init__(content, **look)  # type: ignore[no-untyped-call]  # Panel annotates no constructor

    def _transform_object(self, obj: Any) -> dict[str, Any]:
        # A plain string, because Panel's escaping for the transfer would escape a Markup twice.
        shown: dict[str, Any] = super()._transform_object(str(escape_text("" if obj is None else obj)))
        return shown


def join(parts: Iterable[str]) -> Markup:
    """Concatenate parts of HTML; plain strings are escaped."""
    return Markup("").join(parts)
