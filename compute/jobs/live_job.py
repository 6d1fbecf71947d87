"""Live job: the record of one job that is open on this server, with its connection, blocks and tiles."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from compute.cluster import ClusterSpec, Connection
from compute.jobs.jobstore.rows import JobRow, State
from compute.jobs.run.block_order import BlockOrder
from compute.jobs.run.preview import Preview
from compute.plan import NdviPlan
from compute.result.stack import SeasonStack
from compute.scenes import UnreadScene
from compute.tiles.tile_service import ResultTiles


@dataclass(kw_only=True, eq=False)
class LiveJob:
    """Record of one job on this server, with its connection, blocks and tiles.

    The record is immutable; `compute.jobs.job_list.JobList.save` replaces it and marks it for writing.

    Attributes
    ----------
    row : JobRow
        Record of the job.
    plan : NdviPlan
        Plan of the computation.
    failed_scenes : tuple of UnreadScene
        Scenes that could not be read; empty until all blocks are done.
    finished : list of (int, int, int)
        (season, row, column) of the finished blocks, in the order in which they finished.
    taken_over : bool
        Whether the job was taken over from another server; then it is queued again if its cluster cannot be reached.
    furthest : int
        Largest number of blocks that any attempt has finished.
    notice : str
        Message for users of this server, in place of that of the record; empty for none.
    seen : float
        Time of the last access, in seconds of `time.monotonic`.
    connection : Connection or None
        Connection to the cluster of the job; None before it is open and after the result has left the cluster.
    stack : SeasonStack or None
        Persisted blocks, finished or not; None before the job runs and after the result has left the cluster.
    tiles : ResultTiles or None
        Tiles and pixel values of the result; None before the job runs.
    preview : Preview or None
        Coarse preview; None if there is none, or after the result is done.
    order : BlockOrder
        Order of the blocks that are not submitted yet; see `JobRegistry.look_at`.
    """

    row: JobRow
    plan: NdviPlan
    failed_scenes: tuple[UnreadScene, ...] = ()
    finished: list[tuple[int, int, int]] = field(default_factory=list)
    taken_over: bool = False
    furthest: int = 0
    notice: str = ""
    seen: float = field(default_factory=time.monotonic)
    connection: Connection | None = None
    stack: SeasonStack | None = None
    tiles: ResultTiles | None = None
    preview: Preview | None = None
    order: BlockOrder = field(init=False)

    def __post_init__(self) -> None:
        self.order = BlockOrder.of_plan(self.plan)

    @property
    def token(self) -> str:
        """Identity of the computation."""
        return self.row.token

    @property
    def scope(self) -> str:
        """Scope of the principals that may see the job."""
        return self.row.scope

    @property
    def cluster(self) -> ClusterSpec:
        """Cluster that the job runs on."""
        return self.row.cluster

    @property
    def state(self) -> State:
        """State of the job; see `JobRow`."""
        return self.row.state

    @property
    def message(self) -> str:
        """Message for users, such as the reason of a failure."""
        return self.notice or self.row.message

    @property
    def total(self) -> int:
        """Number of blocks."""
        return self.row.total

    @property
    def seconds_left(self) -> float | None:
        """Estimated time left in seconds, at the average pace so far; None before the first block and after the end."""
        if self.row.started is None or not self.finished or self.state != "running":
            return None
        spent = (datetime.now(UTC) - self.row.started).total_seconds()
        return spent / len(self.finished) * (self.total - len(self.finished))
