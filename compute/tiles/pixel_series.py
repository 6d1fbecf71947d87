"""Time series of a pixel over all seasons and years of a request, with or without scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from compute.plan import NdviPlan
from compute.request.seasons import SeasonYear, season_years
from compute.tiles.pixel_sources import PixelValue

NO_SCENES = "no scenes"
"""State of a requested season-year that has no scenes and is therefore not in the result."""


def season_series(plan: NdviPlan, values: Sequence[PixelValue]) -> list[dict[str, Any]]:
    """Return the values of a pixel by season or season-year, for JSON.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    values : sequence of PixelValue
        Values of the pixel, one for each label of the result.

    Returns
    -------
    list of dict
        Each with ``season`` (name), ``year`` (year of its last month; None if years are merged), ``months`` (months of
        the season-year as YYYY-MM; None if years are merged) and the fields of `PixelValue`. Missing values are None.
        If years are merged, the order is that of the labels. Otherwise it is chronological, and requested season-years
        that are not in the result have the state `NO_SCENES`.
    """
    if plan.request.by == "season":
        return [{"season": value.label, "year": None, "months": None, **asdict(value)} for value in values]
    known = {value.label: value for value in values}
    # The dates of the scenes extend those of the request: a solar day may lie in the month before the first date.
    found = [each.date() for each in plan.times]
    years = season_years(plan.request.seasons, min([plan.request.start, *found]), max([plan.request.end, *found]))
    asked = set(season_years(plan.request.seasons, plan.request.start, plan.request.end))
    return [_of_year(each, known.get(each.label)) for each in years if each in asked or each.label in known]


def _of_year(each: SeasonYear, value: PixelValue | None) -> dict[str, Any]:
    months = [f"{month:%Y-%m}" for month in each.months]
    absent = {**asdict(PixelValue(label=each.label, state="outside")), "state": NO_SCENES}
    return {"season": each.season.name, "year": each.year, "months": months, **(asdict(value) if value else absent)}
