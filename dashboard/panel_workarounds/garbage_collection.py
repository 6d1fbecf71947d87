"""Garbage collection of closed pages: rarely, and for several pages at once."""

from __future__ import annotations

import asyncio
import gc

import panel.io.document
from panel.io.state import state

_FEWEST_ENDED = 5
"""Pages that end until their memory, some 6 MB each, is worth a pause while others are open."""

_RARELY = 1000
"""How many collections of younger objects Python waits for before it looks at all by itself, in place of 10."""


class PageGarbage:
    """Collects the garbage of pages that have ended, in a process of the server's own.

    A page leaves 40,000 objects that refer to one another, and Python looks at those of all open pages to find them:
    20 ms of everybody's time for each page that is open. Panel 1.9 does so five seconds after any page has ended. This
    can go once a page is freed without it.
    """

    def __init__(self) -> None:
        self._built = self._collected = 0

    def begin(self) -> None:
        """Take Panel's place, and look at what the program itself consists of no more, nor often at open pages."""
        panel.io.document._garbage_collect = self.collect
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _RARELY)

    def note_built(self) -> None:
        """Count a page that was built."""
        self._built += 1

    def collect(self) -> None:
        """Collect where no page is open, or so many have ended that it is worth it."""
        # Panel forgets the thread of a document that is destroyed.
        living = len(state._thread_id_)
        ended = self._built - self._collected - living
        if ended > 0 and (not living or ended >= max(_FEWEST_ENDED, living // 4)):
            self._collected += ended
            # In a thread: half of the time goes to callbacks of weak references, between which others have their turn.
            asyncio.get_running_loop().run_in_executor(None, gc.collect)
