"""Record of all states of one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import param

from dashboard.state.cluster import ClusterState
from dashboard.state.job import JobState
from dashboard.state.job_list import JobListState
from dashboard.state.look import LookState
from dashboard.state.parameters import ConcernState
from dashboard.state.pixel import ClickedPixelState
from dashboard.state.region_summary import RegionSummaryState
from dashboard.state.request import RequestState
from dashboard.state.visit import VisitState


@dataclass(frozen=True, kw_only=True)
class PageState:
    """States of one page, one per concern.

    Attributes
    ----------
    visit : VisitState
        Visitor, window, theme and notice.
    request : RequestState
        The request that the form edits, with its estimate.
    cluster : ClusterState
        The cluster to compute on.
    job : JobState
        The job whose result the page shows.
    job_list : JobListState
        The visitor's jobs.
    look : LookState
        Season, layer and colours on the map.
    pixel : ClickedPixelState
        The pixel that was clicked.
    region_summary : RegionSummaryState
        Seasonal statistics of the region.
    """

    visit: VisitState = field(default_factory=VisitState)
    request: RequestState = field(default_factory=RequestState)
    cluster: ClusterState = field(default_factory=ClusterState)
    job: JobState = field(default_factory=JobState)
    job_list: JobListState = field(default_factory=JobListState)
    look: LookState = field(default_factory=LookState)
    pixel: ClickedPixelState = field(default_factory=ClickedPixelState)
    region_summary: RegionSummaryState = field(default_factory=RegionSummaryState)

    def __iter__(self) -> Iterator[ConcernState]:
        """Iterate over the states."""
        return (getattr(self, each.name) for each in fields(self))

    def get_parameters(self, *paths: str) -> list[param.Parameter[Any]]:
        """Return parameters by path, such as ``job.token``, for `panel.bind`."""
        return [getattr(self, concern).param[name] for concern, _, name in (path.partition(".") for path in paths)]

    def trigger(self, path: str) -> None:
        """Trigger an event by path, such as ``job.cancel``."""
        concern, _, name = path.partition(".")
        getattr(self, concern).param.trigger(name)
