"""Description of the machine on which a benchmark ran."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import pyproj
import rasterio
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from compute import __version__

_PACKAGES = ("dask", "distributed", "datacube", "numba", "numpy", "odc-geo", "odc-stac", "rasterio", "xarray")


def describe_machine(workers: int = 0, threads: int = 0, memory_bytes: int = 0) -> dict[str, Any]:
    """Return cores, load, memory and versions of this machine, ready for JSON.

    Parameters
    ----------
    workers, threads : int
        Workers of the cluster and threads of all workers; 0 without a cluster.
    memory_bytes : int
        Memory limits of all workers together.
    """
    found: dict[str, Any] = {
        "cores": CPU_COUNT,
        "load": round(os.getloadavg()[0], 2),
        "memory_gb": round(MEMORY_LIMIT / 1e9, 1),
        "python": platform.python_version(),
        "versions": {"greenup": __version__, "gdal": rasterio.__gdal_version__, "proj": pyproj.proj_version_str}
        | {name: version(name) for name in _PACKAGES},
    }
    if workers:
        found |= {"workers": workers, "threads": threads, "worker_memory_gb": round(memory_bytes / workers / 1e9, 1)}
    return found
