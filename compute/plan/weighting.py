"""Weighting of a seasonal mean: by observation, month or season-year."""

from __future__ import annotations

from datetime import date

from compute.request import NdviRequest
from compute.request.seasons import season_year


def has_strata(request: NdviRequest) -> bool:
    """Return whether a request computes the mean of the means of its strata, which are months or season-years."""
    return request.weight == "month" or (request.weight == "year" and request.by == "season")


def stratum_of(request: NdviRequest, month: int) -> int:
    """Return the number of the stratum of an observation.

    Parameters
    ----------
    request : NdviRequest
        Request with its weighting.
    month : int
        Month of the observation, as 12 times the year plus the month from 0 to 11; it lies in a requested season.

    Returns
    -------
    int
        `month` itself if months are weighted, else the year of the season-year.
    """
    if request.weight == "month":
        return month
    season = season_year(request.seasons, date(month // 12, month % 12 + 1, 1))
    assert season is not None, "scenes outside every season are left out before"
    return season.year
