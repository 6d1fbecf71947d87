"""Time series of a pixel: every season of every year of the request, with or without scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from compute.plan import NdviPlan
from compute.request.seasons import SeasonYear, season_years
from compute.tiles.pixel_sources import PixelValue

NO_SCENES = "no scenes"
"""State of a season-year of the request without any scene in the result."""


def season_series(plan: NdviPlan, values: Sequence[PixelValue]) -> list[dict[str, Any]]:
    """Return the values of a pixel by season, in the order of time, for JSON.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    values : sequence of PixelValue
        Values of the pixel, one for each label of the result.

    Returns
    -------
    list of dict
        ``season`` (its name), ``year`` (that of its January; None where years are merged), ``months`` (the months of a
        season-year as YYYY-MM, else None), and the fields of `PixelValue`; missing values are None. For results by
        year, season-years of the request that are not in the result have the state `NO_SCENES`.
    """
    if plan.request.by == "season":
        return [{"season": value.label, "year": None, "months": None, **asdict(value)} for value in values]
    known = {value.label: value for value in values}
    # Of the request and of the scenes: the solar day of a scene may lie in the month before the first date.
    found = [each.date() for each in plan.times]
    years = season_years(plan.request.seasons, min([plan.request.start, *found]), max([plan.request.end, *found]))
    asked = set(season_years(plan.request.seasons, plan.request.start, plan.request.end))
    return [_of_year(each, known.get(each.label)) for each in years if each in asked or each.label in known]


def _of_year(each: SeasonYear, value: PixelValue | None) -> dict[str, Any]:
    months = [f"{month:%Y-%m}" for month in each.months]
    absent = {**asdict(PixelValue(label=each.label, state="outside")), "state": NO_SCENES}
    return {"season": each.season.name, "year": each.year, "months": months, **(asdict(value) if value else absent)}
