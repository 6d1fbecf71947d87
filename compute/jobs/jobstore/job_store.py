"""Job store: the durable list of jobs in a database, which several servers may share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from compute.jobs.jobstore.clusters import ClusterStore
from compute.jobs.jobstore.database import Database, database_time
from compute.jobs.jobstore.participants import ParticipantStore
from compute.jobs.jobstore.rows import ENDED, JobDetails, JobRow, RequestedAction, State
from compute.jobs.jobstore.rules import is_ahead_of, needs_holder
from compute.jobs.jobstore.tables import CLUSTERS, JOBS, LEASE, PARTICIPANTS, is_unheld
from compute.scenes import UnreadScene
from compute.settings import Settings
from compute.settings.home import open_home

IN_MEMORY = "sqlite://"
"""URL of a store in the memory of the process."""

LISTED_FOR = timedelta(days=7)
"""Time for which an expired job is listed. After that, `JobStore.find_job` still returns its record."""

_ROW = [JOBS.c[each.name] for each in fields(JobRow)]

_DETAILS = [JOBS.c[each.name] for each in fields(JobDetails)]

_SAVED = (
    "checkpoint",
    "cluster",
    "cluster_name",
    "state",
    "message",
    "done",
    "started",
    "ended",
    "changed",
    "attempts",
    "size",
)
"""Fields that the holder of a job writes. Other fields are constant, changed by users, or parts of the lease."""


class JobStore:
    """The durable list of jobs. Its methods block until the database responds; call them from a thread.

    Each method checks the conditions of a change in the same transaction, so servers that share the store need no
    further lock.

    Parameters
    ----------
    url : str or sqlalchemy.engine.URL
        URL of the database, which is opened by the first call; by default a database in memory.

    Raises
    ------
    InputError
        The URL is malformed, or its driver is not installed.

    Attributes
    ----------
    clusters : ClusterStore
        Gateway clusters that the servers have started.
    participants : ParticipantStore
        Participants of the jobs.
    """

    def __init__(self, url: str | URL = IN_MEMORY) -> None:
        self._database = Database(url)
        self.clusters = ClusterStore(self._database)
        self.participants = ParticipantStore(self._database)

    @classmethod
    def from_settings(cls, settings: Settings) -> JobStore:
        """Return the store of the settings; if it is in the home folder, close the folder to other users."""
        if settings.jobs_url is None:
            open_home(settings)
        return cls(settings.jobs_location)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def list_jobs(self, now: datetime | None = None) -> list[JobRow]:
        """Return all jobs, newest first, except those that expired over a week ago.

        Raises
        ------
        JobStoreError
            The database cannot be reached, or rejects a statement; all other methods raise this, too.
        """
        listed = or_(JOBS.c.state != "expired", JOBS.c.changed > (now or datetime.now(UTC)) - LISTED_FOR)
        with self._database.transaction("read") as connection:
            return _rows_where(connection, listed, JOBS.c.created.desc())

    def find_job(self, token: str) -> JobRow | None:
        """Return the record of a job; None if the job does not exist."""
        with self._database.transaction("read") as connection:
            return next(iter(_rows_where(connection, JOBS.c.token == token)), None)

    def read_details(self, token: str) -> JobDetails | None:
        """Return the details of a job; None if the job does not exist."""
        with self._database.transaction("read") as connection:
            line = connection.execute(select(*_DETAILS).where(JOBS.c.token == token)).first()
        return None if line is None else JobDetails(**line._asdict())

    def add_job(self, row: JobRow, details: JobDetails) -> bool:
        """Add a job with a lease for its holder, or replace a job of the same token that has ended without a result.

        Returns
        -------
        bool
            False if the token has an unfinished or finished job, which is not changed.
        """
        line = _values_of(row) | _values_of(details)
        with self._database.transaction("written") as connection:
            if row.holder:
                line["lease_end"] = database_time(connection) + LEASE
            over = update(JOBS).where(JOBS.c.token == row.token, JOBS.c.state.in_(ENDED - {"done"}))
            # The title is kept, because the request is the same.
            if connection.execute(over.values({**line, "title": JOBS.c.title})).rowcount:
                connection.execute(_delete_participants(row.token))
                return True
            if connection.scalar(select(JOBS.c.token).where(JOBS.c.token == row.token)):
                return False
            try:
                connection.execute(insert(JOBS).values(line))
            except IntegrityError:
                return False
            return True

    def save_job(self, row: JobRow, holder: str, failed_scenes: tuple[UnreadScene, ...] = ()) -> bool:
        """Write the progress of a job, and release the job if it needs no server any more; see `needs_holder`.

        Returns
        -------
        bool
            False if `holder` does not hold the job or the job does not exist; then nothing is changed.
        """
        values: dict[str, Any] = {name: getattr(row, name) for name in _SAVED} | {"failed_scenes": failed_scenes}
        if not needs_holder(row):
            values |= {"holder": "", "lease_end": None, "wanted": ""}
        return self._update(and_(JOBS.c.token == row.token, JOBS.c.holder == holder), values)

    def take_over_job(self, token: str, holder: str) -> bool:
        """Take over a job that no server holds, or whose lease has expired.

        Returns
        -------
        bool
            False if another server holds the job, or the job needs no server any more.
        """
        with self._database.transaction("written") as connection:
            now = database_time(connection)
            free = or_(is_unheld(JOBS, now), JOBS.c.holder == holder)
            taking = update(JOBS).where(JOBS.c.token == token, free, needs_holder(JOBS.c))
            return bool(connection.execute(taking.values(holder=holder, lease_end=now + LEASE)).rowcount)

    def start_queued_job(self, token: str, holder: str, most: int) -> bool:
        """Set a queued job of `holder` to connecting, if fewer than `most` jobs of its scope are ahead of it.

        Only jobs with a current lease are counted; see `compute.jobs.jobstore.rules.is_ahead_of`. If two jobs call this
        at the same time, the earlier job is ahead of the later one, so the limit is not exceeded.

        Parameters
        ----------
        token : str
            Token of the job.
        holder : str
            Name of the server that holds the job.
        most : int
            Largest number of jobs of one scope that are under way.

        Returns
        -------
        bool
            Whether the job was started.
        """
        mine = and_(JOBS.c.token == token, JOBS.c.holder == holder, JOBS.c.state == "queued")
        with self._database.transaction("written") as connection:
            now = database_time(connection)
            for queued in _rows_where(connection, mine):
                ahead = and_(is_ahead_of(JOBS.c, queued), JOBS.c.lease_end >= now)
                count: int = connection.execute(select(func.count()).select_from(JOBS).where(ahead)).scalar_one()
                if count < most:
                    starting = update(JOBS).where(mine).values(state="connecting", lease_end=now + LEASE)
                    return bool(connection.execute(starting).rowcount)
        return False

    def renew_leases(self, holder: str, tokens: Collection[str]) -> set[str]:
        """Renew the leases of a server on jobs and on its clusters.

        Returns
        -------
        set of str
            Those of `tokens` that the server still holds.
        """
        with self._database.transaction("written") as connection:
            lease_end = database_time(connection) + LEASE
            mine = and_(JOBS.c.holder == holder, JOBS.c.token.in_(tokens))
            connection.execute(update(JOBS).where(mine).values(lease_end=lease_end))
            connection.execute(update(CLUSTERS).where(CLUSTERS.c.holder == holder).values(lease_end=lease_end))
            return set(connection.scalars(select(JOBS.c.token).where(mine)))

    def list_orphans(self) -> list[str]:
        """Return the tokens of the jobs that need a server and have none, oldest first."""
        with self._database.transaction("read") as connection:
            orphans = and_(is_unheld(JOBS, database_time(connection)), needs_holder(JOBS.c))
            return list(connection.scalars(select(JOBS.c.token).where(orphans).order_by(JOBS.c.created)))

    def release_jobs(self, holder: str) -> None:
        """Release the jobs of a server, so that other servers can take them over before the leases expire."""
        self._update(JOBS.c.holder == holder, {"holder": "", "lease_end": None})

    def end_job(self, token: str, was: State, state: State, message: str, holder: str = "") -> bool:
        """End a job, or expire a result, whose plan is deleted. Nothing is changed if another server holds the job.

        Parameters
        ----------
        token : str
            Token of the job.
        was : str
            Expected state.
        state, message : str
            New state, and the reason for users.
        holder : str
            Name of the calling server; empty for none.

        Returns
        -------
        bool
            False if another server holds the job, or its state is not `was`; then nothing is changed.
        """
        with self._database.transaction("written") as connection:
            now = database_time(connection)
            values: dict[str, Any] = {"state": state, "message": message, "changed": now, "wanted": ""}
            ended = func.coalesce(JOBS.c.ended, literal(now, JOBS.c.ended.type))
            values |= {"ended": ended, "holder": "", "lease_end": None}
            values |= {"plan": b"", "size": 0} if state == "expired" else {}
            mine = or_(is_unheld(JOBS, now), JOBS.c.holder == holder)
            ending = update(JOBS).where(JOBS.c.token == token, JOBS.c.state == was, mine)
            return bool(connection.execute(ending.values(values)).rowcount)

    def delete_job(self, token: str, holder: str = "") -> bool:
        """Delete a job; return False if a server other than `holder` holds it, or it does not exist."""
        with self._database.transaction("written") as connection:
            mine = or_(is_unheld(JOBS, database_time(connection)), JOBS.c.holder == holder)
            is_deleted = bool(connection.execute(delete(JOBS).where(JOBS.c.token == token, mine)).rowcount)
            if is_deleted:
                connection.execute(_delete_participants(token))
            return is_deleted

    def request_action(self, token: str, action: RequestedAction) -> None:
        """Request an action from the server that holds a job."""
        self._update(JOBS.c.token == token, {"wanted": action})

    def set_title(self, token: str, title: str) -> None:
        """Set the title of a job."""
        self._update(JOBS.c.token == token, {"title": title})

    def record_opening(self, token: str, when: datetime) -> None:
        """Record the time of the last request for a result."""
        self._update(JOBS.c.token == token, {"opened": when})

    def _update(self, which: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        with self._database.transaction("written") as connection:
            return bool(connection.execute(update(JOBS).where(which).values(values)).rowcount)


def _rows_where(connection: Connection, condition: ColumnElement[bool], *order: ColumnElement[Any]) -> list[JobRow]:
    lines = connection.execute(select(*_ROW).where(condition).order_by(*order))
    return [JobRow(**line._asdict()) for line in lines]


def _values_of(record: JobRow | JobDetails) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}


def _delete_participants(token: str) -> Delete:
    return delete(PARTICIPANTS).where(PARTICIPANTS.c.token == token)
