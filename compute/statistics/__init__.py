"""Seasonal and regional reductions of a persisted result, on the workers.

The room lies below `compute.tiles`, so that workers need not load the modules of tiles.
"""

from compute.statistics.region_reduction import region_statistics
from compute.statistics.season_pictures import PictureGrid, draw_seasons, picture_grid
from compute.statistics.season_tally import tally_seasons
from compute.statistics.season_totals import reduce_seasons

__all__ = ["PictureGrid", "draw_seasons", "picture_grid", "reduce_seasons", "region_statistics", "tally_seasons"]
