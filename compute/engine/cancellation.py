"""Cooperative cancellation of running tasks."""

from __future__ import annotations

from distributed import Worker, WorkerPlugin, get_worker

from compute.errors import JobCancelledError


class CancelFlags(WorkerPlugin):
    """Remembers, on one worker, which runs were cancelled, so that running tasks can stop between two reads."""

    name = "greenup-cancel-flags"
    idempotent = True

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  # the signature that distributed calls
        """Start with no run cancelled; called by distributed on each worker."""
        self.cancelled: set[str] = set()


def cancel_on_worker(run: str, dask_worker: Worker) -> None:
    """Make the tasks of a run stop on a worker; to be sent there by `distributed.Client.run`."""
    flags = dask_worker.plugins.get(CancelFlags.name)
    if isinstance(flags, CancelFlags):
        flags.cancelled.add(run)


def running_on_worker(run: str, dask_worker: Worker) -> int:
    """Return how many tasks of a run are in execution on a worker, cancelled ones included."""
    keys = (task.key for task in dask_worker.state.executing)
    return sum(isinstance(key, tuple) and str(key[0]).endswith(run) for key in keys)


class CancelWatch:
    """Knows whether a run was cancelled on this worker; outside a worker nothing is ever cancelled.

    Made in the task's own thread, since Dask knows its worker only there; asked from any.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        try:
            self._flags = get_worker().plugins.get(CancelFlags.name)
        except ValueError:
            self._flags = None

    def raise_if_cancelled(self) -> None:
        """Stop here when the run was cancelled.

        Raises
        ------
        JobCancelledError
            The run was cancelled.
        """
        if isinstance(self._flags, CancelFlags) and self._run in self._flags.cancelled:
            raise JobCancelledError("The computation was cancelled.")
