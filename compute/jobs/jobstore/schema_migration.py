"""Schema migration of the job store by Alembic, with a lock for servers that start at the same time.

Each revision is a file in the folder ``migrations/versions``; the latest one matches `compute.jobs.jobstore.tables`.
"""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, select

from compute.errors import JobStoreError

VERSION_TABLE = "greenup_schema_version"
"""Table with the revision. Alembic's default name may belong to a scene index in the same database."""

_POSTGRESQL_LOCK = 0x677265656E7570
"""Key of the advisory lock: an arbitrary number that other programs of the database are unlikely to use."""

# Alembic 1.20 keeps the running migration in globals of its modules `context` and `op`
# (alembic/util/langhelpers.py, ModuleClsProxy). The lock can be removed when Alembic no longer does so.
_ALEMBIC_LOCK = threading.Lock()

_NEWER = (
    "A newer version of Greenup has written the list of jobs; update this one, or have GREENUP_JOBS_URL name another "
    "list."
)


def migrate_schema(engine: Engine) -> None:
    """Migrate the database to the latest revision, in place; a database at that revision is not changed.

    An empty database gets all tables. A database with tables and no revision was created by release 0.1.0. If several
    servers call this at the same time, one migrates and the others wait (only with SQLite and PostgreSQL).

    Parameters
    ----------
    engine : sqlalchemy.Engine
        Engine of the database.

    Raises
    ------
    JobStoreError
        A newer version of Greenup has migrated the database.
    sqlalchemy.exc.SQLAlchemyError
        The database cannot be reached, or rejects a statement.
    """
    config = Config()
    config.set_main_option("script_location", "compute.jobs.jobstore:migrations")
    script = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        if _is_current(connection, script):
            return
    with _ALEMBIC_LOCK, engine.connect() as connection:
        _lock(connection)
        config.attributes["connection"] = connection
        if not _is_current(connection, script):
            command.upgrade(config, "head")
        connection.commit()


def _is_current(connection: Connection, script: ScriptDirectory) -> bool:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    revision = context.get_current_revision()
    if revision not in {None, *(each.revision for each in script.walk_revisions())}:
        raise JobStoreError(_NEWER)
    return revision == script.get_current_head()


def _lock(connection: Connection) -> None:
    """Lock the database against other migrations until the end of the transaction."""
    if connection.dialect.name == "sqlite":
        # Python's sqlite3 does not start a transaction for statements that define tables.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
