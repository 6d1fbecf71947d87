"""Cluster connection: client, size, scaling and closing."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from math import ceil
from typing import Any

from distributed import Client
from distributed.versions import VersionMismatchWarning

from compute.cluster.bounded_waits import bounded, to_the_end, unless_gone
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.scheduler_endpoint import Endpoint
from compute.cluster.worker_watchdog import Patience, WorkerGuard, guard_workers
from compute.errors import ClusterError, InputError
from compute.settings import Settings

# The scheduler runs already; only its host may be slow or gone.
_CONNECT_S = 30.0
_ANSWER_S = 2.0
_CLOSE_S = 10.0

WarmUp = Callable[[], object]


class Connection:
    """An open cluster.

    Attributes
    ----------
    client : distributed.Client
        Asynchronous, and nobody's default: results of two visitors never meet by accident.
    spec : ClusterSpec
        What was asked for.
    name : str
        What people call the cluster.
    version_notes : list of str
        Differences of software that are tolerated, one clause each.
    dashboard : callable or None
        See `Endpoint`.
    """

    def __init__(self, *, client: Any, spec: ClusterSpec, endpoint: Endpoint, settings: Settings) -> None:
        # Not annotated as a Client, whose annotations say what its methods return when they block.
        self.client: Any = client
        self.spec = spec
        self.name = endpoint.name
        self.version_notes: list[str] = []
        self.dashboard = endpoint.dashboard
        self._scale = endpoint.scale
        self._gone = endpoint.gone
        self._adapt = endpoint.adapt
        self._most = 0
        self._expected = endpoint.expected
        self._max_workers = settings.max_workers
        self._patience = Patience(
            usual_s=settings.workers_timeout_s,
            starting_s=max(settings.workers_timeout_s, settings.cluster_start_timeout_s),
        )

    @property
    def workers(self) -> int:
        """Workers there are, as the scheduler said at most two seconds ago."""
        return self._total("n_workers")

    @property
    def threads(self) -> int:
        """Threads of all workers: tasks that run at once."""
        return self._total("total_threads")

    @property
    def threads_to_come(self) -> int:
        """Threads of as many workers as it may grow to by itself: it grows with what the scheduler knows of."""
        return ceil(self.threads * max(1.0, self._most / max(1, self.workers)))

    @property
    def resizable(self) -> bool:
        """Scalability of the cluster: False for an existing scheduler, whose size is its own."""
        return self._scale is not None

    @property
    def memory_bytes(self) -> int:
        """Sum of the workers' memory limits, in bytes; 0 when they have none."""
        return self._total("total_memory")

    def _total(self, key: str) -> int:
        return int(self.client.scheduler_info().get(key) or 0)

    async def scale(self, n: int) -> int:
        """Ask for a number of workers; they come and go while work goes on.

        Parameters
        ----------
        n : int
            Workers to have, at least 1.

        Returns
        -------
        int
            Workers that the cluster will have: fewer than `n` where the Gateway allows no more.

        Raises
        ------
        InputError
            `n` is below 1 or above ``GREENUP_MAX_WORKERS``, or the cluster has a size of its own.
        ClusterError
            The cluster cannot be reached.
        """
        if not 1 <= n <= self._max_workers:
            raise InputError("workers", f"The number of workers must be from 1 to {self._max_workers}, not {n}.")
        if self._scale is None:
            raise InputError("workers", f"The {self.name} has a size of its own; add workers where it was started.")
        self._most = 0
        return await self._scale(n)

    async def is_gone(self) -> bool:
        """Tell whether the connection has broken because nothing is left of the scheduler, as far as anybody knows."""
        return self.client.status == "connecting" and self._gone is not None and await self._gone()

    def guard_workers(self) -> AbstractAsyncContextManager[WorkerGuard]:
        """Return what ends its body once no worker can go on; see `compute.cluster.worker_watchdog.guard_workers`."""
        return guard_workers(self.client, self.name, self._expected, self._patience, self.workers)

    async def adapt(self, least: int, most: int) -> int:
        """Have the cluster follow its work from now on, until it is scaled: Dask adds workers and lets them go.

        Nothing is lost by that: results move to those that stay, and a worker that cannot part with one stays, too.

        Parameters
        ----------
        least, most : int
            Workers to have, at least 1.

        Returns
        -------
        int
            Most workers that the cluster will have: fewer than `most` where the Gateway allows no more.

        Raises
        ------
        InputError
            The numbers are out of bounds or order, or the cluster has a size of its own.
        ClusterError
            The cluster cannot be reached.
        """
        if not 1 <= least <= most <= self._max_workers:
            limits = f"from 1 to {self._max_workers}, the least first"
            raise InputError("adapt", f"The least and the most workers must be {limits}, not {least} and {most}.")
        if self._adapt is None:
            raise InputError("adapt", f"The {self.name} has a size of its own; add workers where it was started.")
        self._most = await self._adapt(least, most)
        return self._most

    async def wait_for_workers(self, n: int, timeout_s: float) -> None:
        """Wait until at least `n` workers are there.

        Parameters
        ----------
        n : int
            Workers to wait for, at least 1.
        timeout_s : float
            Longest wait, in seconds.

        Raises
        ------
        ClusterError
            Fewer came in time, or the scheduler was lost.
        """
        async with bounded(timeout_s + _ANSWER_S, "workers were waited for"):
            ready = await self.ready(n, timeout_s)
        if ready < n:
            raise ClusterError(
                f"{ready} of {n} workers were ready within {timeout_s:g} s; "
                "the cluster may be out of room, so ask for fewer or try again later."
            )

    async def ready(self, n: int, within_s: float) -> int:
        """Return how many workers there are, as soon as there are `n` and after `within_s` seconds at the latest."""
        async with bounded(within_s + _CONNECT_S, "workers were waited for"):
            with suppress(TimeoutError):
                await self.client.wait_for_workers(n, timeout=within_s)
        return self.workers

    async def warm_up(self, function: WarmUp, timeout_s: float) -> None:
        """Run a function once on every worker, so that the first real task need not import and compile.

        Parameters
        ----------
        function : callable
            Module-level and without arguments.
        timeout_s : float
            Longest wait, in seconds. Warming up is a kindness: work may start when it ran out.

        Raises
        ------
        ClusterError
            The function failed on a worker, so real tasks would, too.
        """
        async with bounded(_CONNECT_S, "its workers were listed"):
            addresses = list((await self.client.scheduler.identity(n_workers=-1))["workers"])
        # Tasks rather than `Client.run`, which would hold the workers' event loops while they import.
        futures = [self.client.submit(function, workers=[address], pure=False) for address in addresses]
        errors: list[BaseException] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                errors = [error for future in futures if (error := await future.exception())]
        if errors:
            raise ClusterError(
                f"{len(errors)} of {len(futures)} workers could not load the engine ({type(errors[0]).__name__}); "
                "use one environment or container image for both sides."
            )


@asynccontextmanager
async def connect(endpoint: Endpoint, spec: ClusterSpec, settings: Settings) -> AsyncIterator[Connection]:
    """Connect a client to a running scheduler, and disconnect it at the end.

    Parameters
    ----------
    endpoint : Endpoint
        The scheduler.
    spec : ClusterSpec
        What was asked for.
    settings : Settings
        With the most workers and the longest wait.

    Yields
    ------
    Connection
        With whatever workers there are.

    Raises
    ------
    ClusterError
        The scheduler cannot be reached in time, or nothing is left of it, which shows within seconds.
    """
    # The differences are checked and said in our own words; this one is written to standard error as a table.
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    seconds = min(_CONNECT_S, settings.cluster_start_timeout_s)
    client: Any = Client(
        endpoint.address,
        security=endpoint.security,
        direct_to_workers=endpoint.direct,
        asynchronous=True,
        set_as_default=False,
        timeout=seconds,
    )
    try:
        async with bounded(seconds, "it was connected to"):
            await unless_gone(client, endpoint.gone)
        yield Connection(client=client, spec=spec, endpoint=endpoint, settings=settings)
    finally:
        with suppress(TimeoutError, OSError):
            await to_the_end(client.close(_CLOSE_S))
