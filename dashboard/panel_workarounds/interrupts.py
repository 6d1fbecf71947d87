"""Restore the SIGINT handler that Panel replaces."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Restore the previous SIGINT handler when the body of the ``with`` statement ends.

    Panel 1.9's ``get_server`` (``panel/io/server.py``) installs a handler that stops the event loop, which in a
    notebook is the loop of the kernel. This can be removed once ``get_server`` installs no handler if it does not start
    the loop.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
