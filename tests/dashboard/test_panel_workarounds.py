"""Workarounds of Panel and Bokeh: each test fails once the library does without, and the workaround can go."""

from __future__ import annotations

import inspect
import signal
from pathlib import Path

import bokeh.io.doc
import bokeh.server.urls
import panel as pn
import panel.io.document
import panel_material_ui as pmui
from bokeh.server.contexts import ApplicationContext
from panel.io.server import DocHandler, get_server
from panel_material_ui.template.base import Page
from tornado.web import RequestHandler

from dashboard.panel_workarounds.file_upload import watch_uploads
from dashboard.panel_workarounds.interrupts import kept_interrupts
from dashboard.panel_workarounds.route_replacement import replace_handlers


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


def test_panel_counts_all_pages_as_busy_together() -> None:
    source = inspect.getsource(Page.__init__)
    assert "self.busy = state.param.busy" in source
    assert Page.param["busy"].readonly


def test_an_uploaded_file_that_is_empty_or_the_same_changes_no_parameter() -> None:
    upload, changes = pmui.FileInput(), []
    upload.param.watch(lambda event: changes.append(event.new), "value")
    for content in (b"", b"a", b"a"):
        upload._update_file("region.geojson", "", content or None)
    assert changes == [b"a"]

    received: list[bytes] = []
    watch_uploads(upload, received.append)
    for content in (b"", b"a", b"a"):
        upload._update_file("region.geojson", "", content or None)
    assert received == [b"", b"a", b"a"]


def test_an_upload_gathers_what_a_browser_announces() -> None:
    chunk = {"name": "region.geojson", "chunk": 1, "total_chunks": 10**9, "mime_type": "", "data": b"a"}
    plain, watched = pmui.FileInput(), pmui.FileInput()
    watch_uploads(watched, lambda content: None)
    plain._process_chunk(chunk)
    watched._process_chunk(chunk)
    assert (len(plain._file_buffer), len(watched._file_buffer)) == (1, 0)


def test_bokeh_and_panel_take_their_routes_from_lists_of_the_process() -> None:
    assert "per_app_patterns" in vars(bokeh.server.urls)
    assert "handlers" not in inspect.signature(get_server).parameters
    server = get_server(pn.Column, port=0, start=False)
    assert any(rule.target is DocHandler for rule in server._tornado.wildcard_router.rules)
    replace_handlers(server, lambda handler: RequestHandler)
    assert {rule.target for rule in server._tornado.wildcard_router.rules} == {RequestHandler}
    server.stop()


def test_panel_writes_beside_its_lock() -> None:
    source = inspect.getsource(panel.io.document)
    assert "def unlocked" in source
    assert "write_message" in source


def test_a_component_of_react_keeps_a_state_of_its_own() -> None:
    source = Path(panel.__file__).parent / "models" / "react_component.ts"
    assert "useState" in source.read_text()
