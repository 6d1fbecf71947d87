"""Job store: the durable list of jobs in any SQLAlchemy database, shared by several servers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError

from compute.jobs.jobstore.clusters import ClusterStore
from compute.jobs.jobstore.database import Database, now_of
from compute.jobs.jobstore.participants import ParticipantStore
from compute.jobs.jobstore.rows import ENDED, UNDER_WAY, JobDetails, JobRow, State, Wish
from compute.jobs.jobstore.tables import (
    CLUSTERS,
    DETAILS,
    JOBS,
    LEASE_S,
    LIGHT,
    PARTICIPANTS,
    details_from_line,
    details_line,
    failed_text,
    from_line,
    to_line,
    unheld,
)
from compute.scenes import UnreadScene
from compute.settings import Settings
from compute.settings.home import open_home

IN_MEMORY = "sqlite://"
"""A store that lives and dies with the process."""

SHOWN_AFTER_S = 7 * 86400.0
"""How long an expired job is listed: its owner may come back a week later. Its link knows it for ever."""

_NEEDS_A_HOLDER = or_(JOBS.c.state.not_in(ENDED), and_(JOBS.c.state == "done", JOBS.c.size == 0))
"""A job to work on, or a result that lies in the memory of a cluster alone."""


class JobStore:
    """The durable list of jobs. Its methods wait for the database: call them from a thread.

    Every change is right whatever others do meanwhile, so servers that share the store need no lock of their own.

    Parameters
    ----------
    url : str or sqlalchemy.engine.URL
        Of the database; left out, one in memory. Nothing is opened before the first question.

    Raises
    ------
    InputError
        The URL is none, or its driver is not installed.

    Attributes
    ----------
    clusters : ClusterStore
        The Gateway clusters that the servers have started.
    participants : ParticipantStore
        Who has asked for the jobs.
    """

    def __init__(self, url: str | URL = IN_MEMORY) -> None:
        self._database = Database(url)
        self.clusters = ClusterStore(self._database)
        self.participants = ParticipantStore(self._database)

    @classmethod
    def of(cls, settings: Settings) -> JobStore:
        """Return the list that the settings name; the home folder is closed to other users where it lies there."""
        if settings.jobs_url is None:
            open_home(settings)
        return cls(settings.jobs_location)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def rows(self, now: datetime | None = None) -> list[JobRow]:
        """Return all jobs, newest first, but for those that expired over a week ago.

        Raises
        ------
        JobStoreError
            As all methods do: the database cannot be reached, or refuses.
        """
        since = ((now or datetime.now(UTC)) - timedelta(seconds=SHOWN_AFTER_S)).timestamp()
        shown = or_(JOBS.c.state != "expired", JOBS.c.changed > since)
        with self._database.asking("read") as connection:
            lines = connection.execute(select(*LIGHT).where(shown).order_by(JOBS.c.created.desc()))
            return [from_line(line._asdict()) for line in lines]

    def row(self, token: str) -> JobRow | None:
        """Return a job, or None where there is none."""
        with self._database.asking("read") as connection:
            line = connection.execute(select(*LIGHT).where(JOBS.c.token == token)).first()
        return None if line is None else from_line(line._asdict())

    def details(self, token: str) -> JobDetails | None:
        """Return what is kept beside the row of a job, or None where there is none."""
        columns = (JOBS.c[name] for name in DETAILS)
        with self._database.asking("read") as connection:
            line = connection.execute(select(*columns).where(JOBS.c.token == token)).first()
        return None if line is None else details_from_line(line._asdict())

    def put(self, row: JobRow, details: JobDetails) -> bool:
        """Add a job, in place of one of the same token that has ended without a result; it is its holder's then.

        Returns
        -------
        bool
            False where the token has a job that is alive or done: nothing is changed.
        """
        line = to_line(row) | details_line(details)
        with self._database.asking("written") as connection:
            if row.holder:
                line["lease_end"] = now_of(connection) + LEASE_S
            over = update(JOBS).where(JOBS.c.token == row.token, JOBS.c.state.in_(ENDED - {"done"}))
            # Who asks again means the same: its title stays.
            if connection.execute(over.values({**line, "title": JOBS.c.title})).rowcount:
                connection.execute(_nobody_in(row.token))
                return True
            if connection.scalar(select(JOBS.c.token).where(JOBS.c.token == row.token)):
                return False
            try:
                connection.execute(insert(JOBS).values(line))
            except IntegrityError:
                return False
            return True

    def save(self, row: JobRow, holder: str, failed_scenes: tuple[UnreadScene, ...] = ()) -> bool:
        """Write how a job does that `holder` works on; it stays its own for as long as it needs one.

        Returns
        -------
        bool
            False where another server holds it, or nobody knows it: nothing is changed.
        """
        line = to_line(row)
        names = ("checkpoint", "cluster", "cluster_name", "state", "message", "done", "started", "ended", "changed")
        values = {name: line[name] for name in (*names, "attempts", "size")}
        values["failed_scenes"] = failed_text(failed_scenes)
        if not row.needs_holder:
            values |= {"holder": "", "lease_end": None, "wanted": ""}
        return self._change(and_(JOBS.c.token == row.token, JOBS.c.holder == holder), values)

    def take(self, token: str, holder: str) -> bool:
        """Take a job over that nobody holds, or whose lease has run out.

        Returns
        -------
        bool
            False where another server was faster, or the job has ended.
        """
        with self._database.asking("written") as connection:
            now = now_of(connection)
            free = or_(unheld(JOBS, now), JOBS.c.holder == holder)
            taking = update(JOBS).where(JOBS.c.token == token, free, _NEEDS_A_HOLDER)
            return bool(connection.execute(taking.values(holder=holder, lease_end=now + LEASE_S)).rowcount)

    def let_begin(self, token: str, holder: str, most: int) -> bool:
        """Let a queued job of `holder` begin: it is connecting from now on.

        Returns
        -------
        bool
            False where `most` jobs of its scope are ahead of it, being under way or queued before it, and held by
            servers that are alive. Of two jobs that ask at the same time, the later one counts the other in any case,
            so both begin only where there is room for both.
        """
        mine = and_(JOBS.c.token == token, JOBS.c.holder == holder, JOBS.c.state == "queued")
        with self._database.asking("written") as connection:
            now = now_of(connection)
            asking = connection.execute(select(JOBS.c.scope, JOBS.c.created).where(mine)).first()
            if asking is None:
                return False
            earlier = or_(JOBS.c.created < asking.created, and_(JOBS.c.created == asking.created, JOBS.c.token < token))
            ahead = and_(
                JOBS.c.scope == asking.scope,
                JOBS.c.token != token,
                JOBS.c.lease_end >= now,
                or_(JOBS.c.state.in_(UNDER_WAY), and_(JOBS.c.state == "queued", earlier)),
            )
            count: int = connection.execute(select(func.count()).select_from(JOBS).where(ahead)).scalar_one()
            if count >= most:
                return False
            beginning = update(JOBS).where(mine).values(state="connecting", lease_end=now + LEASE_S)
            return bool(connection.execute(beginning).rowcount)

    def renew(self, holder: str, tokens: Collection[str]) -> set[str]:
        """Go on owning jobs, and return their tokens: what is not among them is another's by now.

        The clusters of the server are its own for as long.
        """
        with self._database.asking("written") as connection:
            lease_end = now_of(connection) + LEASE_S
            mine = and_(JOBS.c.holder == holder, JOBS.c.token.in_(tokens))
            connection.execute(update(JOBS).where(mine).values(lease_end=lease_end))
            connection.execute(update(CLUSTERS).where(CLUSTERS.c.holder == holder).values(lease_end=lease_end))
            return set(connection.scalars(select(JOBS.c.token).where(mine)))

    def adoptable(self) -> list[str]:
        """Return the tokens of jobs that no server owns though one should, the oldest first."""
        with self._database.asking("read") as connection:
            orphans = and_(unheld(JOBS, now_of(connection)), _NEEDS_A_HOLDER)
            return list(connection.scalars(select(JOBS.c.token).where(orphans).order_by(JOBS.c.created)))

    def release(self, holder: str) -> None:
        """Let go of the jobs of a server, so that another need not wait until its lease runs out."""
        with self._database.asking("written") as connection:
            connection.execute(update(JOBS).where(JOBS.c.holder == holder).values(holder="", lease_end=None))

    def end(self, token: str, was: State, state: State, message: str, holder: str = "") -> bool:
        """End a job that `holder` or no server holds, or let a result go; an expired one keeps its recipe alone.

        Returns
        -------
        bool
            False where another server holds it, or it is not in the state `was` any more: nothing is changed.
        """
        with self._database.asking("written") as connection:
            now = now_of(connection)
            values: dict[str, Any] = {"state": state, "message": message, "changed": now, "wanted": ""}
            values |= {"ended": func.coalesce(JOBS.c.ended, now), "holder": "", "lease_end": None}
            values |= {"plan": b"", "size": 0} if state == "expired" else {}
            mine = or_(unheld(JOBS, now), JOBS.c.holder == holder)
            ending = update(JOBS).where(JOBS.c.token == token, JOBS.c.state == was, mine)
            return bool(connection.execute(ending.values(values)).rowcount)

    def delete(self, token: str, holder: str = "") -> bool:
        """Forget a job that `holder` or no server holds; False where another does, or where nobody knows it."""
        with self._database.asking("written") as connection:
            mine = or_(unheld(JOBS, now_of(connection)), JOBS.c.holder == holder)
            gone = connection.execute(delete(JOBS).where(JOBS.c.token == token, mine)).rowcount
            if gone:
                connection.execute(_nobody_in(token))
            return bool(gone)

    def wish(self, token: str, wanted: Wish) -> None:
        """Tell the server that holds a job what to do with it."""
        self._change(JOBS.c.token == token, {"wanted": wanted})

    def rename(self, token: str, title: str) -> None:
        """Give a job a title."""
        self._change(JOBS.c.token == token, {"title": title})

    def note_opened(self, token: str, when: datetime) -> None:
        """Note that somebody asked for a result."""
        self._change(JOBS.c.token == token, {"opened": when.timestamp()})

    def _change(self, which: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        with self._database.asking("written") as connection:
            return bool(connection.execute(update(JOBS).where(which).values(values)).rowcount)


def _nobody_in(token: str) -> Delete:
    return delete(PARTICIPANTS).where(PARTICIPANTS.c.token == token)
