"""State of the map: season, layer, colours and centre."""

from __future__ import annotations

import param

from dashboard.state.parameters import ConcernState

LAYERS = {"NDVI": "ndvi_mean", "Clear count": "clear_count"}
"""Layers of a result by label."""


class LookState(ConcernState):
    """Season, layer, colours and centre of the map."""

    season = param.String(default=None, allow_None=True, doc="Label of the shown season; None for none.")
    layer: param.Selector[str] = param.Selector(
        default="ndvi_mean", objects=list(LAYERS.values()), doc="Shown layer of the result."
    )
    palette = param.String(default="land", doc="Name of the palette.")
    span = param.Range(default=(-0.1, 0.9), bounds=(-1.0, 1.0), doc="NDVI at the two ends of the palette.")
    centre = param.Tuple(default=None, length=2, allow_None=True, doc="Longitude and latitude of the map's centre.")

    fit_colours = param.Event(doc="Fit the span to the values of the result.")
