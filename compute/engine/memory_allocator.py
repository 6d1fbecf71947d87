"""Settings of the C library's memory allocator (glibc ``mallopt``) on a worker."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Numbers of the parameters in glibc's ``malloc.h``: https://man7.org/linux/man-pages/man3/mallopt.3.html"""

_KEPT_BYTES, _LARGEST_BYTES = 2**26, 2**25
_DASK_KEPT_BYTES, _DASK_LARGEST_BYTES = 2**16, 2**17
_ARENAS_PER_CORE = 8


def keep_freed_memory() -> None:
    """Keep up to 64 MB of freed memory in the process for the next window or the next tile of a file.

    Dask starts its workers with a trim threshold of 64 KiB (`distributed.nanny.pre-spawn-environ`), so that each
    window and each unpacked tile gets new memory, which the kernel zeroes first: a fifth of a block's time. All threads
    share one arena, since each arena would keep as much. Without glibc this does nothing.
    """
    _set(_KEPT_BYTES, _LARGEST_BYTES, 1)


def give_freed_memory_back() -> None:
    """Restore the settings with which Dask starts its workers (`distributed.nanny.pre-spawn-environ`)."""
    _set(_DASK_KEPT_BYTES, _DASK_LARGEST_BYTES, _ARENAS_PER_CORE * (os.cpu_count() or 1))


def _set(kept: int, largest: int, arenas: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, kept)
        mallopt(_MMAP_THRESHOLD, largest)
        mallopt(_ARENA_MAX, arenas)
