"""Cooperative cancellation of running tasks."""

from __future__ import annotations

from distributed import Worker, WorkerPlugin, get_worker

from compute.errors import JobCancelledError


class CancelFlags(WorkerPlugin):
    """Record of cancelled runs on one worker; running tasks check it between two reads."""

    name = "greenup-cancel-flags"
    idempotent = True

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  # the signature that distributed calls
        """Start with an empty record; distributed calls this on each worker."""
        self.cancelled: set[str] = set()


def cancel_on_worker(run: str, dask_worker: Worker) -> None:
    """Make the tasks of a run stop on a worker; send it there with `distributed.Client.run`.

    Parameters
    ----------
    run : str
        Name of the run.
    dask_worker : distributed.Worker
        Worker, which distributed passes.
    """
    flags = dask_worker.plugins.get(CancelFlags.name)
    if isinstance(flags, CancelFlags):
        flags.cancelled.add(run)


def running_on_worker(run: str, dask_worker: Worker) -> int:
    """Return the number of tasks of a run that a worker executes now, cancelled ones included.

    Parameters
    ----------
    run : str
        Name of the run.
    dask_worker : distributed.Worker
        Worker, which distributed passes.
    """
    keys = (task.key for task in dask_worker.state.executing)
    return sum(isinstance(key, tuple) and str(key[0]).endswith(run) for key in keys)


class CancelWatch:
    """Check for the cancellation of a run on this worker; outside a worker no run is ever cancelled.

    Create it in the thread of the task, the only one where Dask knows its worker; check it in any thread.

    Parameters
    ----------
    run : str
        Name of the run.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        try:
            self._flags = get_worker().plugins.get(CancelFlags.name)
        except ValueError:
            self._flags = None

    def raise_if_cancelled(self) -> None:
        """Raise an error if the run was cancelled.

        Raises
        ------
        JobCancelledError
            The run was cancelled.
        """
        if isinstance(self._flags, CancelFlags) and self._run in self._flags.cancelled:
            raise JobCancelledError("The computation was cancelled.")
