"""Schema migration: databases of every release open, several servers may start at once, newer ones are refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, inspect, text

from compute.errors import JobStoreError
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.schema_migration import VERSION_TABLE, migrate_schema
from compute.jobs.jobstore.tables import METADATA
from tests.compute.jobs.jobstore.test_job_store import DETAILS, TOKEN, at_once, job, url

__all__ = ["url"]

FORMAT_1 = Path(__file__).parents[3] / "data" / "format-1" / "jobs.sqlite"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Engine of a database with an empty list of jobs."""
    JobStore(url).list_jobs()
    engine = create_engine(url)
    yield engine
    engine.dispose()


def revisions_of(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text(f"select version_num from {VERSION_TABLE}")))


def test_the_latest_revision_is_what_the_tables_say(engine: Engine) -> None:
    def is_ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or name in METADATA.tables

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours, "compare_type": True})
        assert compare_metadata(context, METADATA) == []
    assert revisions_of(engine) == ["format_1"]


def test_several_servers_create_and_migrate_a_list_at_once(url: str) -> None:
    stores = [JobStore(url) for _ in range(6)]

    assert all(at_once(lambda n: stores[n].list_jobs() == []))
    assert stores[0].add_job(job(), DETAILS)
    assert [store.find_job(TOKEN) is not None for store in stores] == [True] * 6
    for store in stores:
        store.close()
    engine = create_engine(url)
    assert revisions_of(engine) == ["format_1"]
    engine.dispose()


def test_a_list_of_the_first_release_is_migrated_in_place_by_several_servers_at_once(tmp_path: Path) -> None:
    shutil.copy(FORMAT_1, tmp_path / "jobs.sqlite")
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    engine = create_engine(url)
    with engine.connect() as connection:
        before = connection.execute(text("select * from greenup_jobs")).all()
    stores = [JobStore(url) for _ in range(6)]

    assert all(at_once(lambda n: len(stores[n].list_jobs()) == 1))
    assert revisions_of(engine) == ["format_1"]
    with engine.connect() as connection:
        assert connection.execute(text("select * from greenup_jobs")).all() == before
    for store in stores:
        store.close()
    engine.dispose()


def test_a_current_list_is_only_read(engine: Engine) -> None:
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    migrate_schema(engine)

    assert [each for each in statements if not each.lstrip().lower().startswith(("select", "pragma"))] == []
    assert inspect(engine).has_table(VERSION_TABLE)


def test_a_list_of_a_newer_version_is_refused_and_left_alone(engine: Engine, url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"update {VERSION_TABLE} set version_num = 'format_99'"))

    for act in (JobStore.list_jobs, lambda store: store.add_job(job(), DETAILS)):
        with pytest.raises(JobStoreError) as refusal:
            act(JobStore(url))
        assert str(refusal.value) == (
            "A newer version of Greenup has written the list of jobs; update this one, or have GREENUP_JOBS_URL name "
            "another list."
        )
    assert revisions_of(engine) == ["format_99"]
