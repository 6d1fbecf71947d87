"""Idle policy of a cluster: keep it alive while it is needed, stop it after a while when it is not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from compute.cluster.cluster_spec import ClusterSpec

FRESH_S = 6.0
"""How long a cluster counts as needed after somebody has said so: thrice the time between two who say it."""

_STIR_S = 5.0
"""How often a cluster that is needed is stirred: Gateways that let idle ones go look every few seconds at the least."""


@dataclass(kw_only=True, eq=False)
class Need:
    """Need for a cluster: since when nobody has needed it, and how long it stays then.

    Attributes
    ----------
    linger : float or None
        Seconds after which it is let go when nobody needs it; None for never.
    warm : bool
        Whether it is to stay all the same: somebody has chosen so.
    """

    linger: float | None
    warm: bool = False
    _said: float = field(default_factory=time.monotonic)
    _stirred: float = 0.0
    _stirring: Any = None

    @classmethod
    def of(cls, spec: ClusterSpec, linger: float) -> Need:
        """Return the need of a cluster that opens; only what a visitor has a Gateway start is ever let go."""
        visitors = spec.kind == "gateway" and spec.owner is not None and not spec.name
        return cls(linger=linger if visitors else None)

    def note(self) -> None:
        """Say that it is needed now."""
        self._said = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds until it is let go; None while it is needed, or where it never is."""
        idle = time.monotonic() - self._said
        if self.linger is None or self.warm or idle < min(FRESH_S, self.linger / 2):
            return None
        return max(0.0, self.linger - idle)

    def stir(self, client: Any) -> None:
        """Have the scheduler see some work while it is needed: to look at results is none in its eyes."""
        now = time.monotonic()
        if now - self._said < FRESH_S and now - self._stirred > _STIR_S:
            self._stirred = now
            self._stirring = client.submit(int, pure=False)
