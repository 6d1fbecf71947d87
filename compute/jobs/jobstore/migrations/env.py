"""Alembic environment of the job store: migrates the database of a connection that `migrate_schema` passes."""

from alembic import context

from compute.jobs.jobstore.schema_migration import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    # SQLite alters a table only by copying it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
