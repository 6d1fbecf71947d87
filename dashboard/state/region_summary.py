"""State of the region summary: seasonal statistics of the region."""

from __future__ import annotations

import param

from dashboard.state.parameters import ConcernState


class RegionSummaryState(ConcernState):
    """Seasonal statistics of the region of a result."""

    statistics = param.Dict(default=None, allow_None=True, doc="Statistics of every season; None until computed.")
    computing = param.Boolean(default=False, doc="Whether the statistics are being computed.")

    summarise = param.Event(doc="Compute the statistics.")
