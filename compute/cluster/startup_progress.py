"""Progress reports of cluster startup, which can take minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Stage of a cluster's startup.

    Attributes
    ----------
    name : str
        ``"connecting"``, ``"starting scheduler"``, ``"starting workers"``, ``"checking versions"``,
        ``"warming up"`` or ``"ready"``, in this order; some stages are missing for some kinds of clusters.
    detail : str
        Description as a sentence, such as "2 of 4 workers are ready."
    done, total : int or None
        Number of ready and of requested workers; None if not applicable.
    seconds : float
        Time since the start in seconds.
    cluster : str
        Short name of the Gateway cluster; empty for other kinds, and before the cluster has a name.
    """

    name: str
    detail: str
    done: int | None = None
    total: int | None = None
    seconds: float
    cluster: str = ""


OnStage = Callable[[Stage], None]


class Stages:
    """Reporter of startup stages to a callback, without repetitions.

    Parameters
    ----------
    on_stage : callable or None
        Called on the event loop with each new `Stage`; must not block. None to report nothing.

    Attributes
    ----------
    cluster : str
        Short name of the Gateway cluster for the following reports; empty if unknown.
    """

    def __init__(self, on_stage: OnStage | None) -> None:
        self.cluster = ""
        self._on_stage = on_stage
        self._began = time.monotonic()
        self._last: tuple[str, str] | None = None

    def report(self, name: str, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        """Report a stage, unless its name and detail are the same as in the last report.

        Parameters
        ----------
        name, detail : str
            See `Stage`.
        done, total : int, optional
            Number of ready and of requested workers.
        """
        if self._on_stage is None or self._last == (name, detail):
            return
        self._last = (name, detail)
        stage = Stage(name=name, detail=detail, done=done, total=total, seconds=self.seconds, cluster=self.cluster)
        self._on_stage(stage)

    @property
    def seconds(self) -> float:
        """Time since the start in seconds."""
        return time.monotonic() - self._began
