"""Scheduler endpoint: address, security and dashboard of a running scheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from compute.cluster.bounded_waits import Gone
from compute.cluster.worker_watchdog import Expected

Scale = Callable[[int], Awaitable[int]]


Adapt = Callable[[int, int], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A running scheduler, as its kind of cluster describes it.

    Attributes
    ----------
    address : str
        Where the scheduler listens; of a Gateway cluster it holds the name, which opens every door.
    name : str
        What people call the cluster; never the whole name of a Gateway cluster.
    security : distributed.security.Security or None
        TLS credentials.
    direct : bool
        Whether this process reaches the workers without the scheduler.
    scale : callable or None
        Asks for a number of workers and returns how many the cluster allows; None where it has a size of its own.
    adapt : callable or None
        Has the cluster follow its work between two numbers of workers, and returns the most that it allows; None as
        `scale`, which ends it.
    workers : int
        Workers to have when the request names no number.
    gone : callable or None
        Tells within seconds whether nothing is left of the scheduler; None where nobody knows.
    expected : callable or None
        Tells how many workers the cluster is to have by what was asked of it; None where nobody knows.
    dashboard : callable or None
        Returns the URL of Dask's own dashboard, without a slash at its end, and whoever knows it sees all; None where
        it is not known.
    """

    address: str
    name: str
    security: Any = None
    direct: bool = False
    scale: Scale | None = None
    adapt: Adapt | None = None
    workers: int = 1
    gone: Gone | None = None
    expected: Expected | None = None
    dashboard: Callable[[], str] | None = field(default=None, repr=False)
