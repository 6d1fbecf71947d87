"""What each season of a persisted result comes to, and how it looks from afar: reduced on the workers.

It stands below `compute.tiles`, so that workers load no more of them than this.
"""

from compute.reductions.pictures import Raster, draw_seasons, raster_of
from compute.reductions.seasons import reduce_seasons
from compute.reductions.statistics import region_statistics
from compute.reductions.tallies import tally_seasons

__all__ = ["Raster", "draw_seasons", "raster_of", "reduce_seasons", "region_statistics", "tally_seasons"]
