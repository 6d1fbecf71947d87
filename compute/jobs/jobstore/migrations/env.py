"""Alembic environment of the job store, for the connection that `migrate_schema` passes."""

from alembic import context

from compute.jobs.jobstore.schema_migration import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    # SQLite needs a copy of a table for most changes of its columns.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
