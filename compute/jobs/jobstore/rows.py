"""Records of the job store: the listed fields of a job, and its large details."""

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
"""Action that another process requests of the server that holds a job."""

ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled", "expired"})
"""States in which no server works on a job."""

UNDER_WAY: frozenset[State] = frozenset({"connecting", "running"})
"""States in which a server works on a job."""

UNFINISHED: frozenset[State] = UNDER_WAY | {"queued"}
"""States of jobs that have not ended."""

MOST_TITLE = 120
"""Largest number of characters of a title: twice as many as one line of a list shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """Record of one job, as the store lists it. Times are UTC.

    Attributes
    ----------
    token : str
        Identity of the computation.
    scope : str
        Scope of the principals that may see the job.
    owner : str
        Name of the principal who submitted it first.
    title : str
        Title that a user gave it; empty for none.
    about : mapping
        Summary for lists, ready for JSON: ``start``, ``end``, ``products``, ``bbox`` and ``grid``.
    engine : str
        Number format of the result, see `compute.result.number_format`.
    cluster : ClusterSpec
        Cluster that the job runs on.
    cluster_name : str
        Short name of the Gateway cluster, once there is one.
    checkpoint : str
        URL of the checkpoint; empty where none is written.
    state : str
        ``queued``, ``connecting``, ``running``, ``done``, ``failed``, ``cancelled`` or ``expired``. A result that is
        lost with its cluster and has no checkpoint expires.
    message : str
        Message for users, such as the reason of a failure.
    done, total : int
        Number of finished blocks and of all blocks.
    created, started, ended, opened, changed : datetime.datetime
        `created` identifies the run. `started` is when its cluster was ready and `ended` when it ended; both are None
        before. `opened` is when the result was last requested, and `changed` when the state last changed.
    attempts : int
        Number of repeated attempts that finished no further block.
    size : int
        Bytes of the complete checkpoint; 0 before.
    wanted : str
        Action that is requested of the holder, until it is carried out: ``cancel`` or ``delete``.
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
    """Details of a job that lists leave out.

    Attributes
    ----------
    recipe : str
        Canonical JSON of the request.
    plan : bytes
        Document of the plan, with all scenes; empty once the result has expired.
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
    """Return the details of a job; the document of a large plan takes seconds."""
    return JobDetails(recipe=plan.request.to_json(), plan=plan_document(plan), failed_scenes=failed_scenes)


def clean_title(title: str) -> str:
    """Return a title with single spaces.

    Raises
    ------
    InputError
        It is too long.
    """
    text = " ".join(title.split())
    if len(text) > MOST_TITLE:
        raise InputError("title", f"A title has at most {MOST_TITLE} characters, not {len(text)}; shorten it.")
    return text
