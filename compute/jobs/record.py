"""What a server knows of one job."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from compute.cluster import ClusterSpec, Connection
from compute.jobs.order import BlockOrder
from compute.jobs.preview import Preview
from compute.plan import NdviPlan
from compute.stack import SeasonStack
from compute.tiles import ResultTiles

State = Literal["connecting", "running", "done", "failed", "cancelled"]

ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})


@dataclass(kw_only=True, eq=False)
class JobRecord:
    """What the server knows of one job. Changed by the registry alone; everybody else reads.

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
        ``connecting``, ``running``, ``done``, ``failed`` or ``cancelled``; a result that is lost with its cluster
        becomes ``failed``, and one that is deleted ``cancelled``.
    message : str
        What people should know: why it failed, what it waits for, what a result lacks or where it lies.
    created, started, ended : datetime.datetime
        UTC; `started`, when its cluster was ready, and `ended` are None until it has.
    failed_scenes : list of str
        Ids of the scenes that could not be read, once all blocks are done.
    finished : list of (int, int, int)
        (season, row, column) of the finished blocks, in the order in which they finished.
    participants : set of str
        Who asked for it and has not withdrawn; the work stops with the last.
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
    state: State = "connecting"
    message: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    failed_scenes: list[str] = field(default_factory=list)
    finished: list[tuple[int, int, int]] = field(default_factory=list)
    participants: set[str] = field(default_factory=set)
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

    def is_asked_by(self, participant: str) -> bool:
        """Return whether a visit asked for it and has not withdrawn."""
        return participant in self.participants

    def others(self, participant: str) -> int:
        """Return how many others asked for it: while there are some, it goes on without this visit."""
        return len(self.participants - {participant})

    @property
    def seconds_left(self) -> float | None:
        """Time left at the pace so far, in seconds; None before the first block and after the end."""
        if self.started is None or not self.finished or self.state != "running":
            return None
        spent = (datetime.now(UTC) - self.started).total_seconds()
        return spent / len(self.finished) * (self.total - len(self.finished))
