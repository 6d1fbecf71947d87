"""Extents of scenes: the outlines of the grids of their bands, in the CRS of a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from compute.plan.grid_outlines import project_outlines, window
from compute.scenes import Grid, Scene

_Outline = tuple[str, tuple[tuple[float, float], ...]]
"""CRS and corners of a grid, which are mostly the same for all bands of a scene and for all scenes of a tile."""


@dataclass(frozen=True, kw_only=True)
class Extents:
    """Outlines of the band grids of scenes in the CRS of a result. They do not depend on footprints in documents.

    Attributes
    ----------
    outlines : numpy.ndarray
        (n,) shapely geometries in the CRS of the result: for each scene, the union of the grids of its bands.
    margin : float
        Number of result pixels by which a window is widened, so that it meets all scenes that may cover a pixel in
        it: two pixels of the result or of the scenes, whichever is larger.
    """

    outlines: NDArray[np.object_]
    margin: float

    def keep(self, kept: NDArray[np.bool_]) -> Self:
        """Return the extents of the scenes for which `kept`, an (n,) bool array, is True."""
        return type(self)(outlines=self.outlines[kept], margin=self.margin)

    def meet_grid(self, grid: Grid) -> NDArray[np.bool_]:
        """Return (n,) bool, True for scenes that may cover a pixel of a grid."""
        whole = window(grid, (0, grid.shape[0]), (0, grid.shape[1]), margin=self.margin)
        meets: NDArray[np.bool_] = shapely.intersects(self.outlines, whole)
        return meets


def project_extents(scenes: Sequence[Scene], grid: Grid) -> Extents:
    """Return the extents of scenes in the CRS of a grid. Equal outlines are projected once.

    Outlines that the CRS cannot express are replaced by the outline of the grid, so that no scene is lost.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes with at least one band each.
    grid : Grid
        Pixel grid of the result.
    """
    numbers: dict[_Outline, int] = {}
    grids: dict[Grid, int] = {}
    members = [_numbers((band.grid for band in scene.source.bands.values()), grids, numbers) for scene in scenes]
    own = np.array([shapely.Polygon(corners) for _, corners in numbers], object)
    outlines = project_outlines(own, np.array([crs for crs, _ in numbers]), grid)
    whole = [outlines[each[0]] if len(each) == 1 else shapely.union_all(outlines[each]) for each in members]
    return Extents(outlines=np.array(whole, object), margin=_margin(own, outlines, grids, grid))


def _numbers(bands: Iterable[Grid], grids: dict[Grid, int], numbers: dict[_Outline, int]) -> list[int]:
    """Return the numbers of the outlines of some grids; new outlines are added to `numbers`."""
    found = []
    for each in set(bands):
        if each not in grids:
            grids[each] = numbers.setdefault((each.crs, each.corners), len(numbers))
        found.append(grids[each])
    return sorted(set(found))


def _margin(own: NDArray[np.object_], outlines: NDArray[np.object_], grids: dict[Grid, int], grid: Grid) -> float:
    stretch = np.sqrt(shapely.area(outlines) / shapely.area(own))
    coarsest = max(max(each.resolution) * float(stretch[number]) for each, number in grids.items())
    return 2.0 * max(1.0, coarsest / min(grid.resolution))
