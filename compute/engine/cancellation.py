"""Cooperative cancellation of the running tasks of a run."""

from __future__ import annotations

from distributed import Worker, WorkerPlugin, get_worker

from compute.errors import JobCancelledError


class CancelFlags(WorkerPlugin):
    """Worker plugin that records cancelled runs. Running tasks check the record before every read."""

    name = "greenup-cancel-flags"
    idempotent = True

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  # signature required by distributed
        """Create an empty record; called by distributed on each worker."""
        self.cancelled: set[str] = set()


def cancel_on_worker(run: str, dask_worker: Worker) -> None:
    """Cancel the running tasks of a run on one worker; call it with `distributed.Client.run`.

    Parameters
    ----------
    run : str
        Name of the run.
    dask_worker : distributed.Worker
        The worker; passed by distributed.
    """
    flags = dask_worker.plugins.get(CancelFlags.name)
    if isinstance(flags, CancelFlags):
        flags.cancelled.add(run)


def running_on_worker(run: str, dask_worker: Worker) -> int:
    """Return the number of tasks of a run that are executing on a worker, including cancelled tasks.

    Parameters
    ----------
    run : str
        Name of the run.
    dask_worker : distributed.Worker
        The worker; passed by distributed.
    """
    keys = (task.key for task in dask_worker.state.executing)
    return sum(isinstance(key, tuple) and str(key[0]).endswith(run) for key in keys)


class CancelWatch:
    """Check for the cancellation of a run on this worker. Outside Dask workers, no run is ever cancelled.

    Instances must be created in the thread of the task, because `distributed.get_worker` works only there. They can be
    used in any thread.

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
