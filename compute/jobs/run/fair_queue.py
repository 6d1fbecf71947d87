"""Fair queue of blocks: users take turns on a scheduler, and so do the computations of one user."""

from __future__ import annotations

from collections import Counter

from compute.result.stack_tasks import Key


class FairQueue:
    """Ranks of the blocks of all computations on one scheduler, which computes the lowest rank first.

    The ranks of the blocks of one computation are as far apart as its user has computations there. So users share the
    threads evenly, whatever the number of their computations. A new computation starts at the rank that the scheduler
    has reached, rather than behind all submitted blocks. This is self-clocked fair queueing (Golestani 1994, INFOCOM)
    with blocks of equal length.

    Attributes
    ----------
    current_rank : int
        Highest rank of the blocks that have ended.
    computations : Counter
        Number of computations of each user.
    """

    def __init__(self) -> None:
        self.current_rank = 0
        self.computations: Counter[str] = Counter()

    def add_share(self, user: str) -> QueueShare:
        """Return the share of another computation of a user."""
        return QueueShare(self, user)


class QueueShare:
    """Share of one computation in a fair queue, from `join` until `leave`.

    Parameters
    ----------
    queue : FairQueue
        Queue of its scheduler.
    user : str
        User that it belongs to.
    """

    def __init__(self, queue: FairQueue, user: str) -> None:
        self._queue = queue
        self._user = user
        self._last = 0
        self._ranks: dict[Key, int] = {}

    def join(self) -> None:
        """Count this computation from now on."""
        self._queue.computations[self._user] += 1

    def leave(self) -> None:
        """Count this computation no more."""
        self._queue.computations[self._user] -= 1

    def assign_rank(self, key: Key) -> int:
        """Return the rank of the next submitted block."""
        step = self._queue.computations[self._user]
        self._last = self._ranks[key] = max(self._last, self._queue.current_rank) + step
        return self._last

    def record_end(self, key: Key) -> None:
        """Record that a block has ended, so that the scheduler has reached its rank."""
        self._queue.current_rank = max(self._queue.current_rank, self._ranks.pop(key))
