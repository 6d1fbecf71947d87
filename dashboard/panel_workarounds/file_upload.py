"""Content of every uploaded file, empty and repeated ones included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui


def watch_uploads(upload: pmui.FileInput, receive: Callable[[bytes], None]) -> None:
    """Call a function with the content of every file that is uploaded.

    panel-material-ui 0.16's ``FileInput`` (``widgets/input.py``) changes no parameter when a file is empty or the same
    as the one before, so a watcher of its value misses them. And its ``_process_chunk`` gathers whatever number of
    chunks and files a browser announces; here a file that comes in more than one chunk is dropped. This can go once
    the widget has an event of each upload, and a limit of what it gathers.

    Parameters
    ----------
    upload : panel_material_ui.FileInput
        The widget, for one file whose greatest size fits one chunk.
    receive : callable
        Called with the content.
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
