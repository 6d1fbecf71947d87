"""A Dask Gateway that ends with its parent: ``python -m tests.benchmarks.gateway_server --config FILE``.

Its standard input is a pipe from the process that started it. When that ends, in whatever way, the Gateway stops its
clusters, too.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading


def _follow() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_follow, daemon=True).start()
    runpy.run_module("dask_gateway_server", run_name="__main__")
