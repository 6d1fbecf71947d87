"""Database of the job store: any that SQLAlchemy knows, created on first use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, func, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from compute.errors import InputError, JobStoreError
from compute.jobs.jobstore.tables import METADATA
from compute.settings.home import make_private, make_private_file

_BUSY_S = 5.0

_REMEDY = "check the disk or the database behind GREENUP_JOBS_URL."


class Database:
    """Gives connections, and says in a sentence what went wrong.

    Parameters
    ----------
    url : str or sqlalchemy.engine.URL
        Nothing is opened before the first question.

    Raises
    ------
    InputError
        The URL is none, names no database of a server, or its driver is not installed.
    """

    def __init__(self, url: str | URL) -> None:
        try:
            self._url = _explicit(make_url(url))
            self._engine = _engine(self._url)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
            raise InputError(
                "GREENUP_JOBS_URL",
                "The setting GREENUP_JOBS_URL is not a database URL that SQLAlchemy knows, such as sqlite:///jobs.sqlite.",
            ) from None
        if self._url.get_backend_name() != "sqlite" and not self._url.database:
            raise InputError(
                "GREENUP_JOBS_URL", "The setting GREENUP_JOBS_URL names no database; add its name to the URL as a path."
            )
        self._ready = False

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, act: str) -> Iterator[Connection]:
        """Give a connection within a transaction; what the database refuses becomes a `JobStoreError`."""
        try:
            if not self._ready:
                self._create()
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise JobStoreError(f"The list of jobs cannot be {act}; {_REMEDY}") from error

    def _create(self) -> None:
        """Make folder and tables where they are missing."""
        file = self._url.database
        if self._url.get_backend_name() == "sqlite" and file and not file.startswith((":", "file:")):
            make_private(Path(file).parent)
            make_private_file(Path(file))
        for table in METADATA.sorted_tables:
            if inspect(self._engine).has_table(table.name):
                continue
            try:
                with self._engine.begin() as connection:
                    connection.execute(CreateTable(table, if_not_exists=True))
            except DBAPIError:
                # Another server may have been faster, which not every database forgives.
                if not inspect(self._engine).has_table(table.name):
                    raise
        self._ready = True


def database_time(connection: Connection) -> datetime:
    """Return the time of the database, in seconds of its own: the clocks of servers may differ, and leases must not.

    To the second, as databases agree on no finer one.
    """
    now: datetime = connection.execute(select(func.current_timestamp())).scalar_one()
    return now.replace(tzinfo=now.tzinfo or UTC)


def _explicit(url: URL) -> URL:
    """Return a URL with PostgreSQL's driver written out, for what SQLAlchemy takes as the default varies."""
    if url.drivername not in ("postgresql", "postgres"):
        return url
    return url.set(drivername="postgresql+psycopg2", query={"connect_timeout": f"{_BUSY_S:.0f}", **url.query})


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        # A database server may have been restarted since the last question.
        return create_engine(url, pool_pre_ping=True)
    if url.database in (None, "", ":memory:"):
        # One connection, or each would have a store of its own.
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    engine = create_engine(url, connect_args={"timeout": _BUSY_S, "check_same_thread": False})
    event.listen(engine, "connect", _in_wal_mode)
    return engine


def _in_wal_mode(connection: sqlite3.Connection, _: object) -> None:
    """Let others read while one writes."""
    # A file that cannot be written stays as it is, and can still be read.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")
