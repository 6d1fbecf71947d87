"""Fair queue of blocks: users take turns on a scheduler, and so do the computations of one user."""

from __future__ import annotations

from collections import Counter

from compute.result.stack_tasks import Key


class FairQueue:
    """Gives the blocks of all computations on one scheduler a rank; the scheduler computes the lowest first.

    The ranks of a computation's blocks are as far apart as its user has computations there. So users share the threads
    evenly, however much each has under way. Who begins does so at the rank that the scheduler has come to, rather than
    behind all that others have handed over: fair queueing, as routers do it.
    """

    def __init__(self) -> None:
        self.come_to = 0
        self.computations: Counter[str] = Counter()

    def add_share(self, user: str) -> QueueShare:
        """Return the share of another computation of a user."""
        return QueueShare(self, user)


class QueueShare:
    """The part of one computation; it counts from `join` until `leave`.

    Parameters
    ----------
    sharing : FairQueue
        Of its scheduler.
    user : str
        Whose computation it is.
    """

    def __init__(self, sharing: FairQueue, user: str) -> None:
        self._sharing = sharing
        self._user = user
        self._last = 0
        self._ranks: dict[Key, int] = {}

    def join(self) -> None:
        """Take part from now on."""
        self._sharing.computations[self._user] += 1

    def leave(self) -> None:
        """Leave the threads to the others."""
        self._sharing.computations[self._user] -= 1

    def rank(self, key: Key) -> int:
        """Return the rank of the block that is handed over next."""
        step = self._sharing.computations[self._user]
        self._last = self._ranks[key] = max(self._last, self._sharing.come_to) + step
        return self._last

    def ended(self, key: Key) -> None:
        """Note that the scheduler has come to a block."""
        self._sharing.come_to = max(self._sharing.come_to, self._ranks.pop(key))
