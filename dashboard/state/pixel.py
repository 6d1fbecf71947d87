"""State of the clicked pixel: seasonal values and observations."""

from __future__ import annotations

import param

from dashboard.state.parameters import ConcernState


class ClickedPixelState(ConcernState):
    """The pixel that was clicked on the map."""

    location = param.Tuple(default=None, length=2, allow_None=True, doc="Longitude and latitude; None for no pixel.")
    series = param.Dict(default=None, allow_None=True, doc="Location, and mean and clear count of every season.")
    observations = param.List(default=None, allow_None=True, doc="Looks at the pixel by season; None until listed.")
    listing = param.Boolean(default=False, doc="Whether the observations are being listed.")

    list_observations = param.Event(doc="List every observation of the pixel.")
