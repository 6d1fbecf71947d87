"""Administration of the durable list of jobs without a server: list, cancel, delete, rebuild."""

from __future__ import annotations

from compute.errors import InputError, JobError
from compute.jobs.checkpoint_recovery import rebuild_list, remove_checkpoint
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import ENDED, JobDetails, JobRow
from compute.jobs.run.computation import CANCELLED
from compute.settings import Settings


class JobAdministration:
    """Administration of a list of jobs, whether or not servers use it. Its methods block until the database responds.

    A job that a server holds is not changed here: the action is requested from that server, which carries it out
    within seconds.

    Parameters
    ----------
    settings : Settings
        Settings with the database of the list and the folder of results.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = JobStore.from_settings(settings)

    def list_jobs(self) -> list[JobRow]:
        """Return all jobs, newest first, except those that expired over a week ago; raises `JobStoreError`."""
        return self._store.list_jobs()

    def find_job(self, token: str) -> JobRow:
        """Return the job with a token, or the only listed job whose token starts with the given text.

        Raises
        ------
        InputError
            No job has the token, or several start with the text.
        JobStoreError
            The list cannot be read.
        """
        found = [row for row in self._store.list_jobs() if row.token.startswith(token)] if token else []
        exact = self._store.find_job(token)
        if exact is not None or len(found) == 1:
            return exact or found[0]
        what = f"begins with {token[:32]!r}" if not found else f"alone begins with {token[:32]!r}, but {len(found)} do"
        raise InputError("token", f"No job {what}; greenup jobs list names all of them.")

    def read_details(self, row: JobRow) -> JobDetails:
        """Return the request and the unread scenes of a job; empty if it has been deleted."""
        return self._store.read_details(row.token) or JobDetails(recipe="")

    def cancel_job(self, row: JobRow) -> bool:
        """Cancel an unfinished job.

        Returns
        -------
        bool
            Whether it was cancelled here; False if this is requested from the server that holds it.

        Raises
        ------
        InputError
            The job has ended.
        """
        if row.state in ENDED:
            raise InputError("token", f"This job is {row.state} already; there is nothing to stop.")
        is_cancelled = self._store.end_job(row.token, row.state, "cancelled", CANCELLED)
        if not is_cancelled:
            self._store.request_action(row.token, "cancel")
        return is_cancelled

    def delete_job(self, row: JobRow) -> bool:
        """Delete a job with its checkpoint; return False if this is requested from the server that holds it."""
        is_deleted = self._store.delete_job(row.token)
        if not is_deleted:
            self._store.request_action(row.token, "delete")
        elif row.checkpoint:
            remove_checkpoint(row.checkpoint)
        return is_deleted

    def rebuild_list(self) -> tuple[list[str], list[str]]:
        """Add the unlisted jobs of all checkpoints; see `compute.jobs.checkpoint_recovery.rebuild_list`.

        Raises
        ------
        JobError
            The folder of results cannot be read.
        """
        try:
            return rebuild_list(self._store, self._settings.results_location)
        except OSError:
            raise JobError("The folder GREENUP_RESULTS cannot be read; see that it is there and may be read.") from None
