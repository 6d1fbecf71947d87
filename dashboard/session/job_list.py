"""Job list of a visitor: rows, deletion and renaming."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from compute.errors import InputError
from compute.jobs import JobRow, Principal
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.state import JobListState, JobState


class JobListController:
    """Update the list of jobs, and delete and rename results.

    Parameters
    ----------
    job_list : JobListState
        The list.
    job : JobState
        The job on the page, which is closed if it is deleted.
    services : Services
        Services of the server.
    tasks : BackgroundTasks
        Background tasks of the visit.
    principal : Principal
        The visitor.
    """

    def __init__(
        self,
        job_list: JobListState,
        job: JobState,
        services: Services,
        tasks: BackgroundTasks,
        principal: Principal,
    ) -> None:
        self._job_list = job_list
        self._job = job
        self._services = services
        self._principal = principal
        job_list.param.watch(lambda _: tasks.start(self._delete), "delete")
        job_list.param.watch(lambda _: tasks.start(self._rename), "rename")
        job_list.update(retention_notice=services.retention_words)

    def poll(self) -> None:
        """Update the rows."""
        jobs = self._services.jobs
        rows = [self._describe(row) for row in jobs.list(self._principal)]
        self._job_list.update(jobs=rows, persistence_warning=jobs.trouble)

    async def _delete(self) -> None:
        token = self._job_list.pending_deletion
        self._job_list.update(pending_deletion="")
        with suppress(InputError):
            await self._services.jobs.delete(token, self._principal)
        if self._job.token == token:
            self._job.update(token="")
        self.poll()

    async def _rename(self) -> None:
        state = self._job_list
        await self._services.jobs.rename(state.pending_rename, self._principal, state.new_title)
        state.update(pending_rename="")
        self.poll()

    def _describe(self, row: JobRow) -> dict[str, Any]:
        """Return a job as a row of the list."""
        return {
            "token": row.token,
            "title": row.title,
            "state": row.state,
            **row.about,
            "created": row.created.isoformat(timespec="seconds"),
            "done": row.done,
            "total": row.total,
            "kept_until": self._services.kept_until(row),
        }
