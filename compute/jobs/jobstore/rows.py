"""Records of the job store: the listed fields of a job, and its unlisted details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from compute.cluster import ClusterSpec
from compute.errors import InputError
from compute.plan import NdviPlan, plan_document
from compute.result.number_format import NUMBER_FORMAT
from compute.scenes import UnreadScene

State = Literal["queued", "connecting", "running", "done", "failed", "cancelled", "expired"]

RequestedAction = Literal["", "cancel", "delete"]
"""Action that another process requests from the server that holds a job; empty for none."""

ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled", "expired"})
"""States of jobs whose computation has ended."""

UNDER_WAY: frozenset[State] = frozenset({"connecting", "running"})
"""States of jobs that a server is computing."""

UNFINISHED: frozenset[State] = UNDER_WAY | {"queued"}
"""States of jobs that have not ended."""

MOST_TITLE = 120
"""Largest number of characters of a title, twice as many as one line of the list shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """Record of one job in the list. Times are UTC.

    Attributes
    ----------
    token : str
        Token of the computation.
    scope : str
        Scope of the principals that may see the job.
    owner : str
        Name of the principal who submitted the job first.
    title : str
        Title from a user; empty for none.
    about : mapping
        Summary for lists, ready for JSON: ``start``, ``end``, ``products``, ``bbox`` and ``grid``.
    engine : str
        Number format of the result; see `compute.result.number_format`.
    cluster : ClusterSpec
        Cluster that the job runs on.
    cluster_name : str
        Short name of the Gateway cluster; empty before it starts, and for other clusters.
    checkpoint : str
        URL of the checkpoint; empty if none is written.
    state : str
        ``queued``, ``connecting``, ``running``, ``done``, ``failed``, ``cancelled`` or ``expired``. A result without a
        checkpoint expires when its cluster is lost.
    message : str
        Message for users, such as the reason of a failure.
    done, total : int
        Number of finished blocks, and number of all blocks.
    created, started, ended, opened, changed : datetime.datetime
        Times of submission (which identifies the run), of the start on a ready cluster (None before), of the end (None
        before), of the last request for the result, and of the last change of the state.
    attempts : int
        Number of repeated attempts since the last one that finished a further block.
    size : int
        Size of the complete checkpoint in bytes; 0 if there is none.
    wanted : str
        Action that is requested from the holder and not carried out yet: ``cancel`` or ``delete``; empty for none.
    holder : str
        Name of the server that holds the job; empty for none.
    lease_end : datetime.datetime or None
        Time after which another server may take the job over.
    """

    token: str
    scope: str
    owner: str
    title: str = ""
    about: Mapping[str, Any]
    engine: str
    cluster: ClusterSpec
    cluster_name: str = ""
    checkpoint: str = ""
    state: State = "queued"
    message: str = ""
    done: int = 0
    total: int
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    opened: datetime = field(default_factory=lambda: datetime.now(UTC))
    changed: datetime = field(default_factory=lambda: datetime.now(UTC))
    attempts: int = 0
    size: int = 0
    wanted: RequestedAction = ""
    holder: str = ""
    lease_end: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDetails:
    """Details of a job that are not listed.

    Attributes
    ----------
    recipe : str
        Canonical JSON of the request.
    plan : bytes
        Document of the plan with all its scenes; empty after the result has expired.
    failed_scenes : tuple of UnreadScene
        Scenes that could not be read.
    """

    recipe: str
    plan: bytes = b""
    failed_scenes: tuple[UnreadScene, ...] = ()


def new_row(plan: NdviPlan, *, token: str, scope: str, cluster: ClusterSpec, owner: str = "") -> JobRow:
    """Return the record of a new job.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the computation.
    token, scope, cluster, owner
        See `JobRow`.
    """
    request = plan.request
    about = {
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "products": list(request.products),
        "bbox": list(request.region.bbox),
        "grid": list(plan.grid.shape),
    }
    return JobRow(
        token=token,
        scope=scope,
        owner=owner,
        about=about,
        engine=NUMBER_FORMAT,
        cluster=cluster,
        total=len(plan.blocks),
        created=datetime.now(UTC),
    )


def details_of(plan: NdviPlan, failed_scenes: tuple[UnreadScene, ...] = ()) -> JobDetails:
    """Return the details of a job; encoding a large plan takes seconds."""
    return JobDetails(recipe=plan.request.to_json(), plan=plan_document(plan), failed_scenes=failed_scenes)


def clean_title(title: str) -> str:
    """Return a title in which each run of white space is a single space, with none around it.

    Raises
    ------
    InputError
        The title is longer than `MOST_TITLE` characters.
    """
    text = " ".join(title.split())
    if len(text) > MOST_TITLE:
        raise InputError("title", f"A title has at most {MOST_TITLE} characters, not {len(text)}; shorten it.")
    return text
