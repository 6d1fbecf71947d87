"""Comparison of software versions of client, scheduler and workers.

Tasks are sent as pickles, which may fail or change their meaning between versions. Differences of decisive packages
raise an error before any task is submitted; other differences are reported.
"""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from compute.cluster.bounded_waits import limit_wait
from compute.errors import ClusterError

_DECISIVE = ("greenup", "python", "dask", "distributed", "cloudpickle", "numpy")
_NAMED = ("msgpack", "numba", "xarray", "datacube", "odc-geo", "rasterio")
# Packages that are compatible within a minor version; versions of the other decisive packages must be equal.
_BY_MINOR = ("python", "numpy")

# A worker responds from its event loop, which an import or a large transfer may block for seconds.
_ANSWER_S = 60.0
_REMEDY = "use one environment or container image for both sides"


async def check_versions(client: Any) -> list[str]:
    """Check that the software of a cluster is compatible with that of the client.

    Parameters
    ----------
    client : distributed.Client
        Connected asynchronous client of a cluster with at least one worker.

    Returns
    -------
    list of str
        Tolerated differences, one clause each.

    Raises
    ------
    ClusterError
        Greenup is missing on the scheduler or a worker, or a decisive package has an incompatible version.
    """
    async with limit_wait(_ANSWER_S, "its versions were checked"):
        lacking = await _without_greenup(client)
        versions = await client.get_versions(packages=[*_DECISIVE, *_NAMED])
    if lacking:
        raise ClusterError(f"Greenup is not installed on {' and '.join(lacking)}; {_REMEDY}.")
    refusals, notes = compare_versions(versions)
    if refusals:
        raise ClusterError(f"The cluster runs other software: {', '.join(refusals)}; {_REMEDY}.")
    return notes


async def _without_greenup(client: Any) -> list[str]:
    """Return descriptions of the processes that cannot import this package, using a probe from the standard library."""
    probe = (pkgutil.resolve_name, "compute:__name__")
    lacking = []
    try:
        await client.run_on_scheduler(*probe)
    except ImportError:
        lacking.append("the scheduler")
    answers = await client.run(*probe, on_error="return")
    without = sum(isinstance(answer, ImportError) for answer in answers.values())
    if without:
        lacking.append(f"{without} of {len(answers)} workers")
    return lacking


def compare_versions(versions: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Compare the versions returned by `distributed.Client.get_versions`.

    Parameters
    ----------
    versions : mapping
        ``"client"``, ``"scheduler"`` and ``"workers"`` (by address), each with ``"packages"``.

    Returns
    -------
    refusals, notes : list of str
        Decisive and tolerated differences, with one clause per package, such as "dask is 2026.8.0 here but 2026.7.1 on
        the scheduler".
    """
    here = versions["client"]["packages"]
    scheduler = versions["scheduler"]["packages"]
    workers = [worker["packages"] for worker in versions["workers"].values()]
    refusals: list[str] = []
    notes: list[str] = []
    for package in (*_DECISIVE, *_NAMED):
        ours, theirs = here.get(package), [side.get(package) for side in (scheduler, *workers)]
        if all(version == ours for version in theirs):
            continue
        decides = package in _DECISIVE and any(
            _compatible_version(package, v) != _compatible_version(package, ours) for v in theirs
        )
        (refusals if decides else notes).append(_describe_difference(package, ours, theirs[0], theirs[1:]))
    return refusals, notes


def _compatible_version(package: str, version: str | None) -> str | None:
    """Return the part of a package's version that must be equal for compatibility."""
    return ".".join(version.split(".")[:2]) if version and package in _BY_MINOR else version


def _describe_difference(package: str, ours: str | None, scheduler: str | None, workers: Sequence[str | None]) -> str:
    places: dict[str | None, list[str]] = {}
    if scheduler != ours:
        places[scheduler] = ["the scheduler"]
    for version, count in Counter(workers).items():
        if version != ours:
            places.setdefault(version, []).append(f"{count} of {len(workers)} workers")
    there = " and ".join(f"{_display_version(version)} on {' and '.join(where)}" for version, where in places.items())
    return f"{package} is {_display_version(ours)} here but {there}"


def _display_version(version: str | None) -> str:
    # Python's version has the form 3.11.7.final.0.
    return "missing" if version is None else version.removesuffix(".final.0")
