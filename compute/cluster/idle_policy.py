"""Idle policy: keep a cluster active while it is used, and stop it after an idle time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from compute.cluster.cluster_spec import ClusterSpec

IN_USE_S = 6.0
"""Time in seconds for which a cluster counts as used after `IdlePolicy.mark_used`; three times the interval between
calls of it."""

_ACTIVITY_INTERVAL_S = 5.0
"""Interval in seconds between tasks that keep a used cluster active; Gateways check for idle clusters every few
seconds."""


@dataclass(kw_only=True, eq=False)
class IdlePolicy:
    """Time of the last use of a cluster, and its idle time limit.

    Attributes
    ----------
    linger : float or None
        Idle time limit in seconds; None for no limit.
    warm : bool
        Whether a user has chosen to ignore the idle time limit.
    """

    linger: float | None
    warm: bool = False
    _used_at: float = field(default_factory=time.monotonic)
    _active_at: float = 0.0
    _activity: Any = None

    @classmethod
    def for_cluster(cls, spec: ClusterSpec, linger: float) -> IdlePolicy:
        """Return the policy of a cluster; only Gateway clusters started by visitors have an idle time limit.

        Parameters
        ----------
        spec : ClusterSpec
            The cluster.
        linger : float
            Idle time limit in seconds.
        """
        visitors = spec.kind == "gateway" and spec.owner is not None and not spec.name
        return cls(linger=linger if visitors else None)

    def mark_used(self) -> None:
        """Record that the cluster is in use."""
        self._used_at = time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the cluster is stopped; None if it is in use, warm, or without idle time limit."""
        idle = time.monotonic() - self._used_at
        if self.linger is None or self.warm or idle < min(IN_USE_S, self.linger / 2):
            return None
        return max(0.0, self.linger - idle)

    def keep_active(self, client: Any) -> None:
        """Submit a trivial task if the cluster is in use, because only tasks reset the idle timeout of a Gateway."""
        now = time.monotonic()
        if now - self._used_at < IN_USE_S and now - self._active_at > _ACTIVITY_INTERVAL_S:
            self._active_at = now
            self._activity = client.submit(int, pure=False)
