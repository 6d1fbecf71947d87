"""Database of the job store: any that SQLAlchemy supports, migrated by the first transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from compute.errors import InputError, JobStoreError
from compute.jobs.jobstore.schema_migration import migrate_schema
from compute.settings.home import make_private, make_private_file

_BUSY_S = 5.0

_REMEDY = "check the disk or the database behind GREENUP_JOBS_URL."


class Database:
    """Connections to the database, whose errors are raised as `JobStoreError`.

    Parameters
    ----------
    url : str or sqlalchemy.engine.URL
        URL of the database, which is opened by the first transaction.

    Raises
    ------
    InputError
        The URL is malformed, names a server without a database, or its driver is not installed.
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
        self._is_ready = False

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, act: str) -> Iterator[Connection]:
        """Yield a connection within a transaction.

        Parameters
        ----------
        act : str
            ``read`` or ``written``, for the error message.

        Raises
        ------
        JobStoreError
            The database cannot be reached, or rejects a statement.
        """
        try:
            if not self._is_ready:
                self._prepare()
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise JobStoreError(f"The list of jobs cannot be {act}; {_REMEDY}") from error

    def _prepare(self) -> None:
        """Create a missing SQLite file, readable by its owner only, and migrate the schema."""
        file = self._url.database
        if self._url.get_backend_name() == "sqlite" and file and not file.startswith((":", "file:")):
            make_private(Path(file).parent)
            make_private_file(Path(file))
        migrate_schema(self._engine)
        self._is_ready = True


def database_time(connection: Connection) -> datetime:
    """Return the time of the database in UTC, so that leases do not depend on the clocks of servers.

    The resolution is one second, the finest that all databases have in common.
    """
    now: datetime = connection.execute(select(func.current_timestamp())).scalar_one()
    return now.replace(tzinfo=now.tzinfo or UTC)


def _explicit(url: URL) -> URL:
    """Return a URL with an explicit driver for PostgreSQL, because SQLAlchemy's default depends on its version."""
    if url.drivername not in ("postgresql", "postgres"):
        return url
    return url.set(drivername="postgresql+psycopg2", query={"connect_timeout": f"{_BUSY_S:.0f}", **url.query})


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        # A database server may have restarted since the last transaction.
        return create_engine(url, pool_pre_ping=True)
    if url.database in (None, "", ":memory:"):
        # A single connection, because each connection would have its own database.
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    engine = create_engine(url, connect_args={"timeout": _BUSY_S, "check_same_thread": False})
    event.listen(engine, "connect", _set_wal_mode)
    return engine


def _set_wal_mode(connection: sqlite3.Connection, _: object) -> None:
    """Set the journal mode that allows reads during a write."""
    # The mode of a read-only file cannot be changed.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")
