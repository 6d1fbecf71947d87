"""Progress reports of cluster startup, which can take minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the startup.

    Attributes
    ----------
    name : str
        ``"connecting"``, ``"starting scheduler"``, ``"starting workers"``, ``"checking versions"``,
        ``"warming up"`` or ``"ready"``, in this order; some kinds of clusters skip stages.
    detail : str
        Description as a sentence, such as "2 of 4 workers are ready.".
    done, total : int or None
        Progress in workers; None if not applicable.
    seconds : float
        Time since the start, in seconds.
    cluster : str
        Short name of the Gateway cluster, once known; empty for other kinds.
    """

    name: str
    detail: str
    done: int | None = None
    total: int | None = None
    seconds: float
    cluster: str = ""


OnStage = Callable[[Stage], None]


class Stages:
    """Reports startup stages to a callback, without repetition.

    Parameters
    ----------
    on_stage : callable or None
        Called on the event loop with each new `Stage`; must not block.

    Attributes
    ----------
    cluster : str
        Short name of the Gateway cluster, once known.
    """

    def __init__(self, on_stage: OnStage | None) -> None:
        self.cluster = ""
        self._on_stage = on_stage
        self._began = time.monotonic()
        self._last: tuple[str, str] | None = None

    def report(self, name: str, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        """Report a stage, unless name and detail equal the last report.

        Parameters
        ----------
        name, detail : str
            See `Stage`.
        done, total : int, optional
            Progress in workers.
        """
        if self._on_stage is None or self._last == (name, detail):
            return
        self._last = (name, detail)
        stage = Stage(name=name, detail=detail, done=done, total=total, seconds=self.seconds, cluster=self.cluster)
        self._on_stage(stage)

    @property
    def seconds(self) -> float:
        """Time since the start, in seconds."""
        return time.monotonic() - self._began
