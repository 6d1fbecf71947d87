"""Peak memory of the current process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def read_peak_memory() -> int:
    """Return the peak resident memory of this process in bytes.

    On Linux it is ``VmHWM`` of ``/proc/self/status``. ``ru_maxrss`` of ``getrusage`` would be wrong there: the kernel
    passes it on to child processes, so a worker would report the peak of its parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
