"""Seasonal and regional reductions of a persisted result, on the workers.

It stands below `compute.tiles`, so that workers load no more of them than this.
"""

from compute.statistics.region_reduction import region_statistics
from compute.statistics.season_pictures import Raster, draw_seasons, raster_of
from compute.statistics.season_tally import tally_seasons
from compute.statistics.season_totals import reduce_seasons

__all__ = ["Raster", "draw_seasons", "raster_of", "reduce_seasons", "region_statistics", "tally_seasons"]
