"""Workarounds of Panel and Bokeh: each test fails once the library does without, and the workaround can go."""

from __future__ import annotations

import inspect
import signal
from pathlib import Path

import bokeh.io.doc
import panel as pn
import panel.io.document
from bokeh.server.contexts import ApplicationContext
from panel.io.server import get_server

from dashboard.panel_workarounds.interrupts import kept_interrupts


def test_panel_takes_the_handler_of_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        server = get_server(pn.Column, port=0, start=False)
        assert signal.getsignal(signal.SIGINT) != before
        server.stop()
    finally:
        signal.signal(signal.SIGINT, before)
    with kept_interrupts():
        server = get_server(pn.Column, port=0, start=False)
    assert signal.getsignal(signal.SIGINT) == before
    server.stop()


def test_bokeh_builds_pages_on_the_event_loop() -> None:
    source = inspect.getsource(ApplicationContext.create_session_if_needed)
    assert "self._application.initialize_document(doc)" in source
    assert "thread" not in source


def test_bokeh_leaves_a_document_behind_when_a_callback_raises() -> None:
    source = Path(bokeh.io.doc.__file__).read_text()
    assert "_PATCHED_CURDOCS.append" in source
    assert "finally" not in source


def test_panel_collects_garbage_after_every_page() -> None:
    assert "_garbage_collect" in inspect.getsource(panel.io.document)
