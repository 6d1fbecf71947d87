"""Busy indicator of a page, bound to the state of its own visit."""

from __future__ import annotations

from typing import Any

from panel.util.parameters import edit_readonly
from panel_material_ui.template.base import Page


def bind_busy(page: Page, reference: Any) -> None:
    """Bind the busy state of a page to a reference.

    panel-material-ui 0.16's ``Page.__init__`` (``template/base.py``) binds it to ``panel.state.busy``, which counts the
    events of all pages. A page is then shown as busy while the server works for other pages, and the binding keeps the
    page in memory as long as the server runs. This can be removed once ``busy`` may be passed to ``Page``.

    Parameters
    ----------
    page : panel_material_ui.template.base.Page
        The page.
    reference : parameter or bound function
        Boolean reference: whether the page is busy.
    """
    with edit_readonly(page):
        page.busy = reference
