"""Settings of the C library's memory allocator (glibc ``mallopt``) on a worker."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Values of ``M_TRIM_THRESHOLD``, ``M_MMAP_THRESHOLD`` and ``M_ARENA_MAX`` in glibc's ``malloc.h``:
https://man7.org/linux/man-pages/man3/mallopt.3.html"""

_KEPT_BYTES, _LARGEST_BYTES = 2**26, 2**25
_DASK_KEPT_BYTES, _DASK_LARGEST_BYTES = 2**16, 2**17
_ARENAS_PER_CORE = 8


def keep_freed_memory() -> None:
    """Keep up to 64 MiB of freed memory in the process, for reuse by the next window or decoded tile of a file.

    Dask starts its workers with a trim threshold of 64 KiB (`distributed.nanny.pre-spawn-environ`). Freed memory then
    returns to the kernel, which zeroes new memory for each window and decoded tile; this takes a fifth of a block's
    time. The number of arenas is limited to one for all threads, because each arena would keep as much memory. Without
    glibc, the function has no effect.
    """
    _set(_KEPT_BYTES, _LARGEST_BYTES, 1)


def give_freed_memory_back() -> None:
    """Restore Dask's default settings of the allocator (`distributed.nanny.pre-spawn-environ`)."""
    _set(_DASK_KEPT_BYTES, _DASK_LARGEST_BYTES, _ARENAS_PER_CORE * (os.cpu_count() or 1))


def _set(kept: int, largest: int, arenas: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, kept)
        mallopt(_MMAP_THRESHOLD, largest)
        mallopt(_ARENA_MAX, arenas)
