"""Rules on jobs, which apply both to a `JobRow` in memory and to the columns of the jobs table in SQL.

The rules use only operators that Python and SQLAlchemy share: comparison, ``&`` and ``|``. They cannot use ``~``,
because ``~`` of a Python bool is an integer.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, overload

from sqlalchemy import ColumnElement
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from compute.jobs.jobstore.rows import UNDER_WAY, UNFINISHED, JobRow

Columns = ReadOnlyColumnCollection[str, Any]
"""Columns of the jobs table."""


@overload
def needs_holder(job: JobRow) -> bool: ...
@overload
def needs_holder(job: Columns) -> ColumnElement[bool]: ...
def needs_holder(job: Any) -> Any:
    """Return whether a job needs a server: it is unfinished, or its result is only in the memory of a cluster."""
    return _is_in(job.state, UNFINISHED) | ((job.state == "done") & (job.size == 0))


@overload
def is_ahead_of(job: JobRow, other: JobRow) -> bool: ...
@overload
def is_ahead_of(job: Columns, other: JobRow) -> ColumnElement[bool]: ...
def is_ahead_of(job: Any, other: JobRow) -> Any:
    """Return whether a job of the same scope is ahead of a queued job.

    A job is ahead if a server holds it, and it is under way or was queued earlier.

    Parameters
    ----------
    job : JobRow or columns of the jobs table
        Job that may be ahead.
    other : JobRow
        Queued job.

    Returns
    -------
    bool or sqlalchemy.ColumnElement
        Bool for a `JobRow`, SQL condition for columns.
    """
    is_earlier = (job.created < other.created) | ((job.created == other.created) & (job.token < other.token))
    is_first = _is_in(job.state, UNDER_WAY) | ((job.state == "queued") & is_earlier)
    return (job.scope == other.scope) & (job.token != other.token) & (job.holder != "") & is_first


def _is_in(value: Any, choices: Collection[str]) -> Any:
    return value.in_(choices) if isinstance(value, ColumnElement) else value in choices
