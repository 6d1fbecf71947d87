"""Weighting of a seasonal mean: by observation, month or season-year."""

from __future__ import annotations

from datetime import date

from compute.request import NdviRequest
from compute.request.seasons import season_year


def has_strata(request: NdviRequest) -> bool:
    """Return whether the mean of a request is one of means of months or season-years."""
    return request.weight == "month" or (request.weight == "year" and request.by == "season")


def stratum_of(request: NdviRequest, month: int) -> int:
    """Return the number of the stratum of a look.

    Parameters
    ----------
    request : NdviRequest
        Request with its weighting.
    month : int
        Month of the look in a season, as 12 times the year plus the month from 0 to 11.

    Returns
    -------
    int
        The month itself, or the year of the season-year.
    """
    if request.weight == "month":
        return month
    season = season_year(request.seasons, date(month // 12, month % 12 + 1, 1))
    assert season is not None, "scenes outside every season are left out before"
    return season.year
