"""Rules on jobs: Python and SQL agree on random rows, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, delete, insert, select

from compute.cluster import ClusterSpec
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import ENDED, UNDER_WAY, UNFINISHED, JobRow
from compute.jobs.jobstore.rules import is_ahead_of, needs_holder
from compute.jobs.jobstore.tables import JOBS

NOW = datetime(2026, 11, 26, 3, 0, 0, 123456, UTC)


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('rules') / 'jobs.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Connection]:
    """Connection to an empty jobs table."""
    url = sqlite_url
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_index").index_url.get_secret_value()
    store = JobStore(url)
    assert store.list_jobs() == []
    store.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


ROWS = st.builds(
    JobRow,
    token=st.text("0123456789abcdef", min_size=32, max_size=32),
    scope=st.sampled_from(["shared", "user:ann"]),
    owner=st.just(""),
    about=st.just({}),
    engine=st.just("1"),
    cluster=st.just(ClusterSpec(kind="local")),
    total=st.just(9),
    state=st.sampled_from(sorted(ENDED | UNFINISHED)),
    size=st.integers(0, 2) | st.integers(0, 2**62),
    # Times that are equal, or differ by a microsecond, are the awkward ones.
    created=st.integers(-2, 2).map(lambda us: NOW + timedelta(microseconds=us)),
    holder=st.sampled_from(["", "one", "two"]),
)


def test_a_state_is_of_one_kind() -> None:
    assert ENDED.isdisjoint(UNFINISHED)
    assert UNDER_WAY < UNFINISHED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, min_size=1, max_size=12, unique_by=lambda row: row.token))
def test_python_and_sql_agree_on_every_rule(connection: Connection, rows: list[JobRow]) -> None:
    details = {"recipe": "", "plan": b"", "failed_scenes": ()}
    connection.execute(delete(JOBS))
    lines = [{each.name: getattr(row, each.name) for each in fields(JobRow)} | details for row in rows]
    connection.execute(insert(JOBS), lines)
    held = set(connection.scalars(select(JOBS.c.token).where(needs_holder(JOBS.c))))
    assert held == {row.token for row in rows if needs_holder(row)}
    for other in rows:
        ahead = set(connection.scalars(select(JOBS.c.token).where(is_ahead_of(JOBS.c, other))))
        assert ahead == {row.token for row in rows if is_ahead_of(row, other)}
    connection.rollback()
