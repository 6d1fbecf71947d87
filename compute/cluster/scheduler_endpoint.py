"""Endpoint of a running scheduler: address, security, scaling and dashboard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from compute.cluster.bounded_waits import GoneCheck
from compute.cluster.worker_watchdog import ExpectedWorkers

Scale = Callable[[int], Awaitable[int]]


Adapt = Callable[[int, int], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Access to a running scheduler, in one form for all kinds of clusters.

    Attributes
    ----------
    address : str
        Address of the scheduler; that of a Gateway cluster contains the full name, which grants access.
    name : str
        Display name; never the full name of a Gateway cluster.
    security : distributed.security.Security or None
        TLS credentials.
    direct : bool
        Whether this process connects to workers directly.
    scale : callable or None
        Requests a number of workers, and returns the number that the cluster allows; None if the cluster cannot be
        scaled.
    adapt : callable or None
        Starts adaptive scaling between two numbers of workers, until `scale` is called, and returns the maximum that
        the cluster allows; None if the cluster cannot be scaled.
    workers : int
        Default number of workers.
    gone : callable or None
        Returns within seconds whether the scheduler is known to be gone; None if there is no such check.
    expected : callable or None
        Returns the number of workers requested so far; None if unknown.
    dashboard : callable or None
        Returns the URL of the Dask dashboard, without trailing slash; the URL grants access. None if unknown.
    """

    address: str
    name: str
    security: Any = None
    direct: bool = False
    scale: Scale | None = None
    adapt: Adapt | None = None
    workers: int = 1
    gone: GoneCheck | None = None
    expected: ExpectedWorkers | None = None
    dashboard: Callable[[], str] | None = field(default=None, repr=False)
