"""SIGINT handler of the process, kept where Panel installs its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Restore the SIGINT handler of before once the body ends.

    Panel 1.9's ``get_server`` (``panel/io/server.py``) installs a handler that stops the event loop; in a notebook that
    is the kernel's own. This can go once ``get_server`` leaves signals alone where it does not start the loop.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
