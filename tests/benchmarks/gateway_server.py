"""Dask Gateway that stops with its parent: ``python -m tests.benchmarks.gateway_server --config FILE``.

Its standard input is a pipe from the parent process. When the pipe closes, for whatever reason, the Gateway stops its
clusters and itself.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading


def _stop_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    runpy.run_module("dask_gateway_server", run_name="__main__")
