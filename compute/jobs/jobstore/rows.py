"""Rows of the job store: the listed fields of a job, and its large details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from compute.cluster import ClusterSpec
from compute.errors import InputError
from compute.plan import NdviPlan
from compute.scenes import UnreadScene

State = Literal["queued", "connecting", "running", "done", "failed", "cancelled", "expired"]

Wish = Literal["", "cancel", "delete"]
"""What somebody elsewhere wants of a job; the server that holds it obeys."""

ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled", "expired"})
"""States in which no server works on a job."""

UNDER_WAY: frozenset[State] = frozenset({"connecting", "running"})
"""States in which a server works on a job."""

MOST_TITLE = 120
"""Most characters of a title: what a line of a list can show twice over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRow:
    """One job as the store keeps it, without what is large. Times are UTC.

    Attributes
    ----------
    token : str
        Identity of the computation.
    scope, owner : str
        Whose it is, and the name of who asked first.
    title : str
        Name that somebody gave it; empty for none.
    about : mapping
        What a list says of it, ready for JSON: ``start``, ``end``, ``products``, ``bbox`` and ``grid``.
    engine : str
        Version of Greenup that computes it.
    cluster : ClusterSpec
        Where it runs.
    cluster_name : str
        Short name of the Gateway cluster, once there is one.
    checkpoint : str
        URL of the result outside of memory; empty where none is kept.
    state : str
        ``queued``, ``connecting``, ``running``, ``done``, ``failed``, ``cancelled`` or ``expired``.
    message : str
        What people should know, such as the reason of a failure.
    done, total : int
        Blocks.
    created, started, ended, opened, changed : datetime.datetime
        `created` names the run; `started` and `ended` are None until it has. `opened` is when somebody last asked for
        the result, `changed` when its state last changed.
    attempts : int
        Times that it was taken up again and got no further.
    size : int
        Bytes of the checkpoint.
    wanted : str
        ``cancel`` or ``delete``, until the server that holds the job has obeyed.
    holder : str
        The server that works on it; empty for none.
    lease_end : datetime.datetime or None
        When others may take it over.
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
    wanted: Wish = ""
    holder: str = ""
    lease_end: datetime | None = None

    @property
    def needs_holder(self) -> bool:
        """Whether a server must own it: it is to be worked on, or lies in the memory of a cluster alone."""
        return self.state not in ENDED or (self.state == "done" and not self.size)

    def is_ahead_of(self, other: JobRow) -> bool:
        """Return whether another job of its scope begins only after it: it was asked for before, or has begun."""
        if self.scope != other.scope or self.token == other.token or not self.holder:
            return False
        earlier = (self.created, self.token) < (other.created, other.token)
        return self.state in UNDER_WAY or (self.state == "queued" and earlier)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDetails:
    """Details of a job that are too large for its row.

    Attributes
    ----------
    recipe : str
        The request, canonical JSON.
    plan : bytes
        The plan as a document, with the ids of all scenes; empty once the result has expired.
    failed_scenes : tuple of UnreadScene
        Scenes that could not be read.
    """

    recipe: str
    plan: bytes = b""
    failed_scenes: tuple[UnreadScene, ...] = ()


def about_plan(plan: NdviPlan) -> dict[str, Any]:
    """Return what a list says of a job."""
    request = plan.request
    return {
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "products": list(request.products),
        "bbox": list(request.region.bbox),
        "grid": list(plan.grid.shape),
    }


def checked_title(title: str) -> str:
    """Return a title without the space around it and the breaks within; raise an `InputError` where it is too long."""
    text = " ".join(title.split())
    if len(text) > MOST_TITLE:
        raise InputError("title", f"A title has at most {MOST_TITLE} characters, not {len(text)}; shorten it.")
    return text
