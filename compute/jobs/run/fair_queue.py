"""Fair queue of blocks, which divides a scheduler evenly among users, and among the computations of each user."""

from __future__ import annotations

from collections import Counter

from compute.result.stack_tasks import Key


class FairQueue:
    """Ranks of the blocks of all computations on one scheduler, which computes blocks of low rank first.

    The distance between the ranks of consecutive blocks of a computation is the number of computations of its user.
    Therefore users share the threads evenly, whatever the number of their computations. The ranks of a new computation
    start at the rank that the scheduler has reached, rather than behind all submitted blocks. This is self-clocked fair
    queueing (Golestani 1994, INFOCOM) with blocks of equal length.

    Attributes
    ----------
    current_rank : int
        Highest rank of the ended blocks.
    computations : Counter
        Number of computations of each user in the queue.
    """

    def __init__(self) -> None:
        self.current_rank = 0
        self.computations: Counter[str] = Counter()

    def add_share(self, user: str) -> QueueShare:
        """Return a new share for a computation of a user."""
        return QueueShare(self, user)


class QueueShare:
    """Share of one computation in a fair queue, from `join` until `leave`.

    Parameters
    ----------
    queue : FairQueue
        Queue of the scheduler.
    user : str
        User of the computation.
    """

    def __init__(self, queue: FairQueue, user: str) -> None:
        self._queue = queue
        self._user = user
        self._last = 0
        self._ranks: dict[Key, int] = {}

    def join(self) -> None:
        """Add this computation to those that share the queue."""
        self._queue.computations[self._user] += 1

    def leave(self) -> None:
        """Remove this computation from those that share the queue."""
        self._queue.computations[self._user] -= 1

    def assign_rank(self, key: Key) -> int:
        """Assign a rank to the next block to submit, and return it."""
        step = self._queue.computations[self._user]
        self._last = self._ranks[key] = max(self._last, self._queue.current_rank) + step
        return self._last

    def record_end(self, key: Key) -> None:
        """Record that a block has ended, and raise the current rank to that of the block."""
        self._queue.current_rank = max(self._queue.current_rank, self._ranks.pop(key))
