"""Tables of the job store, and conversion between rows and jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    or_,
)

from compute.cluster import ClusterSpec
from compute.jobs.jobstore.rows import JobDetails, JobRow
from compute.scenes import UnreadScene

LEASE_S = 20.0
"""How long a server owns a job without a word from it: four renewals, so that a busy moment costs nothing."""

JOBS = Table(
    "greenup_jobs",
    MetaData(),
    Column("token", String(32), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("cluster_name", Text, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    # Seconds since 1970 rather than dates: every database keeps them alike, and to the microsecond.
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("ended", Float(53)),
    Column("opened", Float(53), nullable=False),
    Column("changed", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("holder", String(32), nullable=False),
    Column("lease_end", Float(53)),
    Column("recipe", Text, nullable=False),
    Column("plan", LargeBinary, nullable=False),
    Column("failed_scenes", Text, nullable=False),
)
"""A line a job."""

CLUSTERS = Table(
    "greenup_clusters",
    MetaData(),
    Column("name", String(64), primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("holder", String(32), nullable=False),
    Column("lease_end", Float(53)),
)
"""A line a Gateway cluster, by its short name: the whole one opens every door."""

PARTICIPANTS = Table(
    "greenup_participants",
    MetaData(),
    Column("token", String(32), primary_key=True),
    Column("participant", String(32), primary_key=True),
)
"""A line for each who has asked for a job and has not withdrawn."""

TABLES = (JOBS, CLUSTERS, PARTICIPANTS)

DETAILS = ("recipe", "plan", "failed_scenes")
"""Columns that lists leave out."""

LIGHT = [column for column in JOBS.columns if column.name not in DETAILS]
"""Columns of a `JobRow`."""

_TIMES = ("created", "started", "ended", "opened", "changed", "lease_end")


def to_line(row: JobRow) -> dict[str, Any]:
    """Return a row as values of its columns."""
    values = {column.name: getattr(row, column.name) for column in LIGHT}
    times = {name: seconds(values[name]) for name in _TIMES}
    return values | times | {"about": json.dumps(dict(row.about)), "cluster": cluster_text(row.cluster)}


def from_line(line: Mapping[str, Any]) -> JobRow:
    """Return a row from the values of its columns."""
    times = {name: moment(line[name]) for name in _TIMES}
    about, cluster = json.loads(line["about"]), cluster_from_text(line["cluster"])
    return JobRow(**{**line, **times, "about": about, "cluster": cluster})


def cluster_text(cluster: ClusterSpec) -> str:
    """Return what was asked for of a cluster as its column has it."""
    return json.dumps(asdict(cluster) | {"options": dict(cluster.options)})


def cluster_from_text(text: str) -> ClusterSpec:
    """Return what was asked for of a cluster from its column."""
    return ClusterSpec(**json.loads(text))


def unheld(table: Table, now: float) -> ColumnElement[bool]:
    """Return which lines of a table no server owns, at a time of the database."""
    return or_(table.c.holder == "", table.c.lease_end < now)


def details_line(details: JobDetails) -> dict[str, Any]:
    """Return what is kept beside a row as values of its columns."""
    return {"recipe": details.recipe, "plan": details.plan, "failed_scenes": failed_text(details.failed_scenes)}


def failed_text(failed_scenes: Sequence[UnreadScene]) -> str:
    """Return the scenes that cannot be read as their column has them."""
    return json.dumps([asdict(each) for each in failed_scenes])


def details_from_line(line: Mapping[str, Any]) -> JobDetails:
    """Return what is kept beside a row from the values of its columns."""
    failed = tuple(map(UnreadScene.kept, json.loads(line["failed_scenes"])))
    return JobDetails(recipe=line["recipe"], plan=bytes(line["plan"]), failed_scenes=failed)


def seconds(when: datetime | None) -> float | None:
    """Return a time as seconds since 1970."""
    return None if when is None else when.timestamp()


def moment(since_1970: float | None) -> datetime | None:
    """Return a time, UTC, from seconds since 1970."""
    return None if since_1970 is None else datetime.fromtimestamp(since_1970, UTC)
