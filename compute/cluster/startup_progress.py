"""Progress messages of a cluster that starts, which can take minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step on the way to a cluster that is ready.

    Attributes
    ----------
    name : str
        ``"connecting"``, ``"starting scheduler"``, ``"starting workers"``, ``"checking versions"``,
        ``"warming up"`` or ``"ready"``, in this order; a kind of cluster may lack some.
    detail : str
        The step as a sentence for people, such as "2 of 4 workers are ready.".
    done, total : int or None
        The step's progress, in workers; None where it has none.
    seconds : float
        Time since opening began, in seconds.
    cluster : str
        Short name of the Gateway cluster, from when the Gateway has named it; empty for other kinds.
    """

    name: str
    detail: str
    done: int | None = None
    total: int | None = None
    seconds: float
    cluster: str = ""


OnStage = Callable[[Stage], None]


class Stages:
    """Reports each change once to whoever listens.

    Parameters
    ----------
    on_stage : callable or None
        Called on the event loop with each new `Stage`; it must not block.

    Attributes
    ----------
    cluster : str
        As in `Stage`.
    """

    def __init__(self, on_stage: OnStage | None) -> None:
        self.cluster = ""
        self._on_stage = on_stage
        self._began = time.monotonic()
        self._last: tuple[str, str] | None = None

    def report(self, name: str, detail: str, *, done: int | None = None, total: int | None = None) -> None:
        """Tell the listener where opening stands, unless it was told just that."""
        if self._on_stage is None or self._last == (name, detail):
            return
        self._last = (name, detail)
        stage = Stage(name=name, detail=detail, done=done, total=total, seconds=self.seconds, cluster=self.cluster)
        self._on_stage(stage)

    @property
    def seconds(self) -> float:
        """Time since opening began, in seconds."""
        return time.monotonic() - self._began
