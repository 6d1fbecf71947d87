"""Connection to a cluster: client, size, scaling and closing."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from math import ceil
from typing import Any

from distributed import Client
from distributed.versions import VersionMismatchWarning

from compute.cluster.bounded_waits import await_unless_gone, finish_despite_cancel, limit_wait
from compute.cluster.cluster_spec import ClusterSpec
from compute.cluster.scheduler_endpoint import Endpoint
from compute.cluster.worker_watchdog import WaitLimits, WorkerGuard, guard_workers
from compute.errors import ClusterError, InputError
from compute.settings import Settings

# The scheduler is running already; only its host may be slow or lost.
_CONNECT_S = 30.0
_ANSWER_S = 2.0
_CLOSE_S = 10.0

WarmUp = Callable[[], object]


class Connection:
    """Connection to an open cluster.

    Attributes
    ----------
    client : distributed.Client
        Asynchronous client; not the default client of the process, which would be shared by all visitors.
    spec : ClusterSpec
        Specification of the cluster.
    name : str
        Display name.
    version_notes : list of str
        Tolerated software differences, one clause each.
    dashboard : callable or None
        Returns the URL of the Dask dashboard; see `Endpoint`.
    """

    def __init__(self, *, client: Any, spec: ClusterSpec, endpoint: Endpoint, settings: Settings) -> None:
        # Any: the annotations of `Client` describe its synchronous methods.
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
        self._patience = WaitLimits(
            usual_s=settings.workers_timeout_s,
            starting_s=max(settings.workers_timeout_s, settings.cluster_start_timeout_s),
        )

    @property
    def workers(self) -> int:
        """Number of workers, as known to the client; updated every two seconds."""
        return self._total("n_workers")

    @property
    def threads(self) -> int:
        """Number of threads of all workers, which is the maximum number of concurrent tasks."""
        return self._total("total_threads")

    @property
    def threads_to_come(self) -> int:
        """Number of threads at the maximum of adaptive scaling, which is reached only if enough tasks are submitted."""
        return ceil(self.threads * max(1.0, self._most / max(1, self.workers)))

    @property
    def resizable(self) -> bool:
        """Whether the cluster can be scaled; False for an existing scheduler."""
        return self._scale is not None

    @property
    def memory_bytes(self) -> int:
        """Sum of the workers' memory limits in bytes; 0 if they have no limits."""
        return self._total("total_memory")

    def _total(self, key: str) -> int:
        return int(self.client.scheduler_info().get(key) or 0)

    async def scale(self, n: int) -> int:
        """Set the number of workers; data of removed workers moves to the remaining ones, and computations continue.

        Parameters
        ----------
        n : int
            Number of workers, at least 1.

        Returns
        -------
        int
            Number of workers that the cluster will have; less than `n` if the Gateway limits it.

        Raises
        ------
        InputError
            `n` is below 1 or above ``GREENUP_MAX_WORKERS``, or the cluster cannot be scaled.
        ClusterError
            The cluster cannot be reached.
        """
        if not 1 <= n <= self._max_workers:
            raise InputError("workers", f"The number of workers must be from 1 to {self._max_workers}, not {n}.")
        if self._scale is None:
            raise InputError(
                "workers", f"The {self.name} cannot be scaled from here; add workers where it was started."
            )
        self._most = 0
        return await self._scale(n)

    async def is_gone(self) -> bool:
        """Return whether the client lost the connection to its scheduler and the scheduler is known to be gone."""
        return self.client.status == "connecting" and self._gone is not None and await self._gone()

    def guard_workers(self) -> AbstractAsyncContextManager[WorkerGuard]:
        """Return a context manager that raises if no worker can continue; see `worker_watchdog.guard_workers`."""
        return guard_workers(self.client, self.name, self._expected, self._patience, self.workers)

    async def adapt(self, least: int, most: int) -> int:
        """Start adaptive scaling by load, until `scale` is called.

        Data of removed workers moves to the remaining ones; a worker is kept if its data cannot be moved.

        Parameters
        ----------
        least, most : int
            Minimum and maximum number of workers, at least 1.

        Returns
        -------
        int
            Maximum number of workers; less than `most` if the Gateway limits it.

        Raises
        ------
        InputError
            The numbers are out of bounds or not in ascending order, or the cluster cannot be scaled.
        ClusterError
            The cluster cannot be reached.
        """
        if not 1 <= least <= most <= self._max_workers:
            limits = f"from 1 to {self._max_workers}, the least first"
            raise InputError("adapt", f"The least and the most workers must be {limits}, not {least} and {most}.")
        if self._adapt is None:
            raise InputError("adapt", f"The {self.name} cannot be scaled from here; add workers where it was started.")
        self._most = await self._adapt(least, most)
        return self._most

    async def wait_for_workers(self, n: int, timeout_s: float) -> None:
        """Wait for a number of workers.

        Parameters
        ----------
        n : int
            Number of workers, at least 1.
        timeout_s : float
            Time limit in seconds.

        Raises
        ------
        ClusterError
            Fewer workers joined within the time limit, or the scheduler was lost.
        """
        async with limit_wait(timeout_s + _ANSWER_S, "workers were waited for"):
            ready = await self.count_workers(n, timeout_s)
        if ready < n:
            raise ClusterError(
                f"{ready} of {n} workers were ready within {timeout_s:g} s; "
                "the cluster may be out of capacity, so ask for fewer or try again later."
            )

    async def count_workers(self, n: int, within_s: float) -> int:
        """Wait for a number of workers or until the time limit is reached, and return the current number.

        Parameters
        ----------
        n : int
            Number of workers to wait for.
        within_s : float
            Time limit in seconds.
        """
        async with limit_wait(within_s + _CONNECT_S, "workers were waited for"):
            with suppress(TimeoutError):
                await self.client.wait_for_workers(n, timeout=within_s)
        return self.workers

    async def warm_up(self, function: WarmUp, timeout_s: float) -> None:
        """Run a function once on every worker, so that no import or compilation delays the first task.

        Parameters
        ----------
        function : callable
            Module-level function without arguments.
        timeout_s : float
            Time limit in seconds; reaching it is not an error.

        Raises
        ------
        ClusterError
            The function failed on a worker.
        """
        async with limit_wait(_CONNECT_S, "its workers were listed"):
            addresses = list((await self.client.scheduler.identity(n_workers=-1))["workers"])
        # Tasks instead of `Client.run`, which would block the workers' event loops during the import.
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
    """Connect a client to a running scheduler for the duration of the body.

    Parameters
    ----------
    endpoint : Endpoint
        The scheduler.
    spec : ClusterSpec
        Specification of the cluster.
    settings : Settings
        Limits of workers and time.

    Yields
    ------
    Connection
        Connection with the existing workers, possibly none.

    Raises
    ------
    ClusterError
        The scheduler cannot be reached within the time limit, or is gone.
    """
    # `check_versions` reports version differences; distributed prints this warning as a table on standard error.
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
        async with limit_wait(seconds, "it was connected to"):
            await await_unless_gone(client, endpoint.gone)
        yield Connection(client=client, spec=spec, endpoint=endpoint, settings=settings)
    finally:
        with suppress(TimeoutError, OSError):
            await finish_despite_cancel(client.close(_CLOSE_S))
