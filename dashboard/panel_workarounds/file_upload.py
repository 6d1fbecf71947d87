"""Receive every uploaded file, including empty and repeated files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui


def watch_uploads(upload: pmui.FileInput, receive: Callable[[bytes], None]) -> None:
    """Call a function with the content of every uploaded file.

    panel-material-ui 0.16's ``FileInput`` (``widgets/input.py``) changes no parameter if a file is empty or identical
    to the previous one, so a watcher of its value misses such files. Its ``_process_chunk`` also accumulates any number
    of chunks and files that a browser announces; here a file of more than one chunk is dropped. This can be removed
    once the widget has an event for each upload and a limit on the data that it accumulates.

    Parameters
    ----------
    upload : panel_material_ui.FileInput
        Widget for a single file, whose size limit fits one chunk.
    receive : callable
        Called with the content of each file.
    """
    widget: Any = upload
    update_file, process_chunk = widget._update_file, widget._process_chunk

    def update_and_receive(filename: Any, mime_type: Any, value: bytes | None) -> None:
        update_file(filename, mime_type, value)
        receive(bytes(value or b""))

    def process_whole_file(message: dict[str, Any]) -> None:
        widget._buffer.clear()
        if message["total_chunks"] == 1:
            process_chunk(message)

    widget._update_file = update_and_receive
    widget._process_chunk = process_whole_file
