"""OpenLayers map as a Panel component: the Python part.

``build.sh`` bundles the JavaScript of ``src`` into ``map.bundle.js``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from compute.errors import InputError

Box = tuple[float, float, float, float]

NEVER_CLEAR = (168, 175, 179, 120)
"""Colour of pixels without a clear observation: red, green, blue and opacity from 0 to 255. Pixels with too few clear
observations have diagonal stripes of this colour, 4 pixels wide at intervals of 8 pixels."""
HATCH = (128, 140, 148, 160)
"""Colour of the diagonal hatch over pixels that are not computed yet, of lines 2 pixels wide at intervals of 16."""

_GREYS = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
_REMEMBERED_BOXES = 256


class NdviMap(JSComponent):
    """Map that colours tiles of values in the browser, with tools to draw a region and to select places.

    Longitudes and latitudes are in degrees (EPSG:4326); the view is in Web Mercator (EPSG:3857). The map sends no
    request to another host unless `basemap_url` names one. Relative tile URLs are resolved against the page, so any
    path prefix works.

    A tile consists of 256 x 256 little-endian int16 values, row by row from the north. The codes are -32768 for never
    clear, -32767 for outside the result, -32766 for not computed yet, and -32765 for too few clear observations. Any
    other number, multiplied by ``scale`` and added to ``offset``, is a value in ``units``. The values of a preview may
    follow in the same layout; they are drawn below the hatch of pixels that are not computed yet, and never shown as
    numbers. A tile route returns status 204 or 404 for a tile outside the result. Statuses 408, 425, 429 and 5xx and
    network errors are retried up to four times with growing delays that respect ``Retry-After``, then when the visitor
    presses *Try again*.

    With the map in focus, arrow keys pan, and plus and minus zoom. ``b`` and ``p`` draw a box or polygon, with Enter
    for each corner and Shift+Enter to finish; Escape cancels. Otherwise Enter clicks the map centre, and ``v``
    announces its value to screen readers.
    """

    layer = param.Dict(
        default=None,
        allow_None=True,
        doc="""
        The result shown, or None: "tiles" (URL template with {label}, {z}, {x}, {y}), "label", "extent" (west, south,
        east, north), "min_zoom", "max_zoom" (native; pixels are enlarged beyond it), "scale", "offset", "units",
        "digits" (decimals in the read-out), "complete". If only the label changes, tiles of the old season stay until
        the new ones are loaded. When "complete" becomes true, tiles with pending pixels are requested again.""",
    )
    colours = param.List(default=_GREYS, item_type=str, doc="Colours #rrggbb, from low to high; at most 256.")
    span = param.Range(default=(0.0, 1.0), doc="Values of the first and the last colour.")
    opacity = param.Number(default=1.0, bounds=(0, 1), doc="Opacity of the result.")
    dark = param.Boolean(default=False, doc="Dark theme of basemap and controls.")
    region = param.Dict(
        default=None, allow_None=True, doc="GeoJSON Polygon or MultiPolygon; set by Python or drawn in the browser."
    )
    tool: param.Selector[str] = param.Selector(
        default="pan", objects=["pan", "box", "polygon"], doc="Tool of the pointer; it returns to pan after a drawing."
    )
    view = param.Dict(
        default={"center": [0.0, 20.0], "zoom": 2.0}, doc='{"center": [lon, lat], "zoom": z}, set by either side.'
    )
    clicked = param.Dict(
        default=None,
        allow_None=True,
        doc='Last clicked place, {"lon", "lat", "count"}; the count distinguishes two clicks on the same place.',
    )
    pin = param.NumericTuple(default=None, length=2, allow_None=True, doc="(lon, lat) of the marker, or None.")
    toolbar = param.Boolean(default=True, doc="Whether the map has buttons for drawing and clearing the region.")
    basemap_url = param.String(default="", doc="XYZ template of an online map below the result; none by default.")
    basemap_attribution = param.String(default="", doc="Attribution of the online map.")
    changes = param.List(
        default=[],
        item_type=dict,
        doc="""
        Recent calls of `refresh`, {"version", "boxes"}, the newest last. A browser that reconnects requests what it has
        missed, or all tiles if the list no longer holds all of it.""",
    )
    fitting = param.List(default=None, allow_None=True, doc="Box that `fit` has set, until the browser shows it.")

    flush_counter = param.Integer(doc="Flush of Panel's message queue; without effect on the map.")

    visitor = param.String(doc="Identifier that the browser stores across visits; empty if storage is disabled.")
    narrow = param.Boolean(default=False, doc="Whether the window was at most 600 px wide when the page opened.")

    prefers_dark = param.Boolean(default=False, doc="Whether the system preferred a dark theme when the page opened.")

    _bundle = "map.bundle.js"
    _constants: ClassVar[dict[str, Any]] = {"never_clear": NEVER_CLEAR, "hatch": HATCH}

    def refresh(self, boxes: Iterable[Sequence[float]]) -> None:
        """Request loaded tiles that overlap a box again, visible tiles first, without blanking them.

        Parameters
        ----------
        boxes : iterable of (west, south, east, north)
            Boxes with changed pixels, in degrees.
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
            raise InputError("bbox", "The box of the map has no area; give west < east and south < north, in degrees.")
        self.fitting = [west, south, east, north]
