"""Map component: the Python side. The browser's side is in src/, bundled by build.sh into map.bundle.js."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from compute.errors import InputError

Box = tuple[float, float, float, float]

NEVER_CLEAR = (168, 175, 179, 120)
"""Colour of a pixel that was never clear: red, green, blue, opacity of 255. Where it was clear too few times, there are
diagonal stripes of it, 4 pixels of 8."""
HATCH = (128, 140, 148, 160)
"""Colour of the diagonal lines, 2 pixels of 16, over what is not computed yet."""

_GREYS = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
_REMEMBERED_BOXES = 256


class NdviMap(JSComponent):
    """A map of value tiles that are coloured in the browser, with a region to draw and places to click.

    Longitudes and latitudes are degrees (EPSG:4326); the view is Web Mercator. No request leaves for another host
    unless `basemap_url` names one. Relative tile URLs are resolved against the page, so any path prefix works.

    A tile holds 256 x 256 little-endian int16 values, row by row from the north: -32768 was never clear, -32767 lies
    outside, -32766 is not computed yet, -32765 has too few clear observations, anything else times ``scale`` plus
    ``offset`` is a value in ``units``. As many again may follow: what a preview has for pixels that are not computed
    yet, drawn under their hatch and never told as values. A tile route answers 204 or 404 for a tile that lies outside;
    408, 425, 429, 5xx and network errors are retried with growing waits, ``Retry-After`` honoured, four times at the
    most, then on the visitor's demand.

    Keys, with the map in focus: arrows, plus and minus move; ``b`` and ``p`` draw a box or polygon with Enter at the
    corners and Shift+Enter to finish, Escape cancels; Enter clicks the centre, ``v`` reads its value aloud.
    """

    layer = param.Dict(
        default=None,
        allow_None=True,
        doc="""
        The result shown, or None: "tiles" (URL template with {label}, {z}, {x}, {y}), "label", "extent" (west, south,
        east, north), "min_zoom", "max_zoom" (native; beyond it pixels grow), "scale", "offset", "units", "digits"
        (decimals in the read-out), "complete". With another label alone the old season stays until each new tile is
        there; once "complete" turns true, tiles with pixels not computed yet are asked for again.""",
    )
    colours = param.List(default=_GREYS, item_type=str, doc="Colours #rrggbb, from low to high; 256 at the most.")
    span = param.Range(default=(0.0, 1.0), doc="Values of the first and the last colour.")
    opacity = param.Number(default=1.0, bounds=(0, 1), doc="Opacity of the result.")
    dark = param.Boolean(default=False, doc="Dark theme of basemap and controls.")
    region = param.Dict(
        default=None, allow_None=True, doc="GeoJSON Polygon or MultiPolygon; drawn and edited in the browser as well."
    )
    tool: param.Selector[str] = param.Selector(
        default="pan", objects=["pan", "box", "polygon"], doc="What the pointer does; a finished drawing ends in pan."
    )
    view = param.Dict(default={"center": [0.0, 20.0], "zoom": 2.0}, doc='{"center": [lon, lat], "zoom": z}, both ways.')
    clicked = param.Dict(
        default=None,
        allow_None=True,
        doc='The place last clicked, {"lon", "lat", "count"}; the count tells two clicks on one place apart.',
    )
    pin = param.NumericTuple(default=None, length=2, allow_None=True, doc="(lon, lat) of the marker, or None.")
    toolbar = param.Boolean(default=True, doc="Whether the map has buttons for drawing and clearing the region.")
    basemap_url = param.String(default="", doc="XYZ template of an online map below the result; none by default.")
    basemap_attribution = param.String(default="", doc="Credit that the online map asks for.")
    changes = param.List(
        default=[],
        item_type=dict,
        doc="""
        What `refresh` was told lately, {"version", "boxes"}, the newest last: a browser that comes back catches up, or
        asks for everything again when more was missed than is remembered.""",
    )
    fitting = param.List(
        default=None, allow_None=True, doc="The box that `fit` asks for, until the browser has moved there."
    )

    flush_counter = param.Integer(doc="Flush of Panel's message queue; without effect on the map.")

    visitor = param.String(doc="Name that the browser keeps from visit to visit; empty where it may store nothing.")
    narrow = param.Boolean(default=False, doc="Whether the window was as narrow as a telephone when the page opened.")

    prefers_dark = param.Boolean(default=False, doc="Whether the system asked for dark when the page opened.")

    _bundle = "map.bundle.js"
    _constants: ClassVar[dict[str, Any]] = {"never_clear": NEVER_CLEAR, "hatch": HATCH}

    def refresh(self, boxes: Iterable[Sequence[float]]) -> None:
        """Ask again for the loaded tiles that meet a box, the visible ones now, without a blank frame.

        Parameters
        ----------
        boxes : iterable of (west, south, east, north)
            Where pixels changed, in degrees.
        """
        changed = [[float(edge) for edge in box] for box in boxes]
        if not changed:
            return
        version = self.changes[-1]["version"] + 1 if self.changes else 1
        changes = [*self.changes, {"version": version, "boxes": changed}]
        while len(changes) > 1 and sum(len(change["boxes"]) for change in changes) > _REMEMBERED_BOXES:
            changes.pop(0)
        self.changes = changes

    def fit(self, bbox: Box) -> None:
        """Move the view so that a box fills it.

        Parameters
        ----------
        bbox : tuple of float
            (west, south, east, north) in degrees.

        Raises
        ------
        InputError
            The box has no area.
        """
        west, south, east, north = bbox
        if not (west < east and south < north):
            raise InputError("bbox", "A box to show needs west < east and south < north, in degrees.")
        self.fitting = [west, south, east, north]
