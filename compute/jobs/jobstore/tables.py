"""Tables of the job store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    or_,
)

from compute.cluster import ClusterSpec
from compute.scenes import UnreadScene

LEASE_S = 20.0
"""Length of a lease in seconds, after which another server may take over a job: four times the renewal interval, so
that a lease does not expire when a single renewal fails."""

LEASE = timedelta(seconds=LEASE_S)


class Moment(TypeDecorator[datetime]):
    """Time in UTC, stored as seconds since 1970, with a resolution of microseconds in every database."""

    impl = Float(53)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        """Encode a time as seconds since 1970."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Decode a time from seconds since 1970."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


class JsonText(TypeDecorator[Mapping[str, Any]]):
    """Mapping, stored as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Encode a mapping as JSON text."""
        return json.dumps(dict(value or {}))

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any]:  # noqa: ARG002
        """Decode a mapping from its stored JSON text."""
        found: dict[str, Any] = json.loads(value)
        return found


class ClusterText(TypeDecorator[ClusterSpec]):
    """Cluster specification, stored as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: ClusterSpec | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Encode a cluster specification as JSON text."""
        assert value is not None, "the column is not nullable"
        return json.dumps(asdict(value) | {"options": dict(value.options)})

    def process_result_value(self, value: Any, dialect: Dialect) -> ClusterSpec:  # noqa: ARG002
        """Decode a cluster specification from its stored JSON text."""
        return ClusterSpec(**json.loads(value))


class UnreadScenesText(TypeDecorator[tuple[UnreadScene, ...]]):
    """Unread scenes, stored as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[UnreadScene, ...] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Encode unread scenes as JSON text."""
        return json.dumps([asdict(each) for each in value or ()])

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[UnreadScene, ...]:  # noqa: ARG002
        """Decode unread scenes from their stored JSON text."""
        return tuple(map(UnreadScene.kept, json.loads(value)))


METADATA = MetaData()

JOBS = Table(
    "greenup_jobs",
    METADATA,
    Column("token", String(32), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("about", JsonText, nullable=False),
    Column("engine", Text, nullable=False),
    Column("cluster", ClusterText, nullable=False),
    Column("cluster_name", Text, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("opened", Moment, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("wanted", String(16), nullable=False),
    Column("holder", String(32), nullable=False),
    Column("lease_end", Moment),
    Column("recipe", Text, nullable=False),
    Column("plan", LargeBinary, nullable=False),
    Column("failed_scenes", UnreadScenesText, nullable=False),
)
"""One row for each job, with the fields of `JobRow` and then those of `JobDetails`."""

CLUSTERS = Table(
    "greenup_clusters",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("cluster", ClusterText, nullable=False),
    Column("holder", String(32), nullable=False),
    Column("lease_end", Moment),
)
"""One row for each Gateway cluster, by its short name, because the full name grants access to the cluster."""

PARTICIPANTS = Table(
    "greenup_participants",
    METADATA,
    Column("token", String(32), primary_key=True),
    Column("participant", String(32), primary_key=True),
)
"""One row for each participant of a job who has not withdrawn."""


def is_unheld(table: Table, now: datetime) -> ColumnElement[bool]:
    """Return the condition that no server holds a row of a table, at the time `now` of the database."""
    return or_(table.c.holder == "", table.c.lease_end < now)
