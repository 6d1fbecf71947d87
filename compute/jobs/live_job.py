"""Live job: the record of one job on a server, with its handles."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

from compute.cluster import ClusterSpec, Connection
from compute.jobs.jobstore.rows import JobRow, State, about_plan
from compute.jobs.run.block_order import BlockOrder
from compute.jobs.run.preview import Preview
from compute.plan import NdviPlan
from compute.result.number_format import NUMBER_FORMAT
from compute.result.stack import SeasonStack
from compute.scenes import UnreadScene
from compute.tiles.tile_service import ResultTiles


@dataclass(kw_only=True, eq=False)
class LiveJob:
    """State of one job on this server. Written by the registry and its runners alone.

    Attributes
    ----------
    token : str
        Identity of the computation.
    scope : str
        Whose it is.
    plan : NdviPlan
        What is computed.
    cluster : ClusterSpec
        Where.
    state : str
        ``queued``, ``connecting``, ``running``, ``done``, ``failed``, ``cancelled`` or ``expired``; a result that is
        lost with its cluster, and lies nowhere else, becomes ``expired``, and one that is deleted ``cancelled``.
    message : str
        What people should know: why it failed, what it waits for, what a result lacks or where it lies.
    created, started, ended : datetime.datetime
        UTC; `started`, when its cluster was ready, and `ended` are None until it has.
    failed_scenes : list of UnreadScene
        Scenes that could not be read, once all blocks are done.
    finished : list of (int, int, int)
        (season, row, column) of the finished blocks, in the order in which they finished.
    taken_up : bool
        Whether another server acknowledged it, so that it is not given up where its cluster cannot be had yet.
    attempts : int
        Times that it was taken up again and got no further.
    furthest : int
        Most blocks that any attempt has finished.
    cluster_name : str
        Short name of the Gateway cluster, once there is one.
    checkpoint : str
        URL of the result outside of memory; empty where none is kept.
    size : int
        Bytes of the whole result there; 0 while it is not.
    seen : float
        When somebody last looked at it, in seconds of `time.monotonic`.
    connection : Connection or None
        The cluster that holds it, once there is one.
    stack : SeasonStack or None
        The persisted blocks, finished or not, once it runs.
    tiles : ResultTiles or None
        Tiles and values of the stack.
    preview : Preview or None
        What stands for the result until it is done.
    order : BlockOrder
        Which block comes next; see `JobRegistry.look_at`.
    """

    token: str
    scope: str
    plan: NdviPlan
    cluster: ClusterSpec
    state: State = "queued"
    message: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    failed_scenes: list[UnreadScene] = field(default_factory=list)
    finished: list[tuple[int, int, int]] = field(default_factory=list)
    taken_up: bool = False
    attempts: int = 0
    furthest: int = 0
    cluster_name: str = ""
    checkpoint: str = ""
    size: int = 0
    seen: float = field(default_factory=time.monotonic)
    connection: Connection | None = None
    stack: SeasonStack | None = None
    tiles: ResultTiles | None = None
    preview: Preview | None = None
    order: BlockOrder = field(init=False)

    def __post_init__(self) -> None:
        self.order = BlockOrder.of_plan(self.plan)

    @property
    def total(self) -> int:
        """Number of blocks."""
        return len(self.plan.blocks)

    def row(self, owner: str = "") -> JobRow:
        """Return the row of a job that is new."""
        row = JobRow(
            token=self.token,
            scope=self.scope,
            owner=owner,
            about=about_plan(self.plan),
            engine=NUMBER_FORMAT,
            cluster=self.cluster,
            total=self.total,
            created=self.created,
        )
        return self.onto(row)

    def onto(self, row: JobRow) -> JobRow:
        """Return a row of this job brought up to date."""
        return replace(
            row,
            state=self.state,
            changed=row.changed if row.state == self.state else datetime.now(UTC),
            message=self.message,
            done=len(self.finished),
            started=self.started,
            ended=self.ended,
            attempts=self.attempts,
            cluster=self.cluster,
            cluster_name=self.cluster_name,
            checkpoint=self.checkpoint,
            size=self.size,
        )

    @classmethod
    def of_row(cls, row: JobRow, plan: NdviPlan, failed_scenes: Iterable[UnreadScene] = ()) -> Self:
        """Return the record of a job that is kept in the list."""
        blocks = [(block.season, block.row, block.column) for block in plan.blocks]
        return cls(
            token=row.token,
            scope=row.scope,
            plan=plan,
            cluster=row.cluster,
            state=row.state,
            message=row.message,
            created=row.created,
            started=row.started,
            ended=row.ended,
            failed_scenes=list(failed_scenes),
            finished=blocks if row.state == "done" else [],
            attempts=row.attempts,
            furthest=row.done,
            cluster_name=row.cluster_name,
            checkpoint=row.checkpoint,
            size=row.size,
        )

    @property
    def seconds_left(self) -> float | None:
        """Time left at the pace so far, in seconds; None before the first block and after the end."""
        if self.started is None or not self.finished or self.state != "running":
            return None
        spent = (datetime.now(UTC) - self.started).total_seconds()
        return spent / len(self.finished) * (self.total - len(self.finished))
