"""Memory of processes, for benchmarks and tests."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_memory() -> int:
    """Return the largest resident memory that this process ever had.

    On Linux this is what ``/proc/self/status`` states as ``VmHWM``: the kernel hands ``ru_maxrss`` of ``getrusage`` on
    to every program that a process starts, so that a worker would report the peak of the process that started it.

    Returns
    -------
    int
        Bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
