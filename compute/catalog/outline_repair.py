"""Detection and repair of scene outlines that contradict the grids, since an index is searched by outline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from odc.geo import CRS
from shapely import make_valid, union_all
from shapely.affinity import translate
from shapely.geometry import Polygon, shape
from shapely.geometry.base import BaseGeometry

_LEAST_SHARE = 0.9
"""Minimum fraction of an outline that lies on the grid; simplified outlines extend a few pixels beyond the grid."""

_TURN_DEG = 360.0


def outline_grids(document: Mapping[str, Any]) -> BaseGeometry:
    """Return the union of the outlines of all grids of an EO3 document, in the CRS of the document."""
    return union_all([_outline(grid) for grid in complete_grids(document)])


def describe_contradiction(document: Mapping[str, Any], ground: BaseGeometry) -> str:
    """Return a sentence that describes how the outline of an EO3 document contradicts its grids.

    Parameters
    ----------
    document : mapping
        EO3 document; its ``geometry`` is in units of its ``crs``.
    ground : shapely geometry
        Outline of the grids, as returned by `outline_grids`.

    Returns
    -------
    str
        One sentence; empty if there is no contradiction.
    """
    if document.get("geometry") is None or ground.is_empty:
        return ""
    outline = make_valid(shape(document["geometry"]))
    crs = CRS(document["crs"])
    share = _share_inside(_repeat_around_globe(ground, crs), outline)
    if share >= _LEAST_SHARE and outline.area >= _pixel_area(document):
        return ""
    if crs.projected and _fits_degrees(outline) and not _fits_degrees(ground):
        return f"Its geometry is in degrees, while its crs is {document['crs']}."
    if share >= _LEAST_SHARE:
        return "Its geometry is smaller than a pixel of its grid."
    return f"Only {share:.0%} of its geometry lies on its grid." if share else "Its geometry lies beside its grid."


def complete_grids(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the grids of an EO3 document that have a shape and a transform; unused bands may have other grids."""
    return [grid for grid in document["grids"].values() if {"shape", "transform"} <= set(grid or ())]


def _outline(grid: Mapping[str, Any]) -> Polygon:
    rows, columns = grid["shape"]
    a, b, c, d, e, f = (float(number) for number in grid["transform"][:6])
    corners = [(0, 0), (columns, 0), (columns, rows), (0, rows)]
    return Polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in corners])


def _pixel_area(document: Mapping[str, Any]) -> float:
    """Return the area of the smallest pixel of all grids, in units of the CRS."""
    transforms = [[float(number) for number in grid["transform"][:6]] for grid in complete_grids(document)]
    return min(abs(a * e - b * d) for a, b, _, d, e, _ in transforms)


def _repeat_around_globe(ground: BaseGeometry, crs: CRS) -> BaseGeometry:
    """Return an outline, and for a geographic CRS its union with copies shifted by 360 degrees east and west."""
    return union_all([translate(ground, turn) for turn in (0.0, _TURN_DEG, -_TURN_DEG)]) if crs.geographic else ground


def _share_inside(ground: BaseGeometry, outline: BaseGeometry) -> float:
    if ground.covers(outline):
        return 1.0
    return float(ground.intersection(outline).area / outline.area) if outline.area else 0.0


def _fits_degrees(outline: BaseGeometry) -> bool:
    west, south, east, north = outline.bounds
    return west >= -_TURN_DEG and east <= _TURN_DEG and south >= -90.0 and north <= 90.0
