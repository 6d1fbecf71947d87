"""Infrequent garbage collection of closed pages, several pages at a time."""

from __future__ import annotations

import asyncio
import gc

import panel.io.document
from panel.io.state import state

_FEWEST_ENDED = 5
"""Fewest closed pages that are collected while other pages are open. A closed page occupies about 6 MB."""

_RARELY = 1000
"""Collections of the middle generation before Python collects the oldest one; its default is 10."""


class PageGarbage:
    """Garbage collector of closed pages, for a process that runs only the server.

    A closed page leaves about 40,000 objects in reference cycles. A full collection also traverses the objects of all
    open pages, which stops the process for about 20 ms per open page. Panel 1.9 (``panel/io/document.py``) runs one
    five seconds after a page closes. This can be removed once closed pages are freed without garbage collection.
    """

    def __init__(self) -> None:
        self._built = self._collected = 0

    def begin(self) -> None:
        """Replace Panel's collection, and configure Python's.

        Existing objects are exempt from collection (`gc.freeze`), and the oldest generation is collected rarely.
        """
        panel.io.document._garbage_collect = self.collect
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _RARELY)

    def note_built(self) -> None:
        """Count a page that was built."""
        self._built += 1

    def collect(self) -> None:
        """Start a collection if pages have closed, and either no page is open or enough have closed."""
        # Panel removes the entry of a destroyed document, so this is the number of open pages.
        living = len(state._thread_id_)
        ended = self._built - self._collected - living
        if ended > 0 and (not living or ended >= max(_FEWEST_ENDED, living // 4)):
            self._collected += ended
            # In a thread: half of the time is spent in callbacks of weak references, which let other threads run.
            asyncio.get_running_loop().run_in_executor(None, gc.collect)
