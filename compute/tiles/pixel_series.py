"""Pixel series: every season of every year of the request, those without a scene included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from compute.plan import NdviPlan
from compute.request.seasons import SeasonYear, season_years
from compute.tiles.pixel_sources import PixelValue

NO_SCENES = "no scenes"
"""State of a season-year that was asked for and has no scene anywhere in the result."""


def season_series(plan: NdviPlan, values: Sequence[PixelValue]) -> list[dict[str, Any]]:
    """Return the values of a pixel, season by season in the order of time, ready for JSON.

    Parameters
    ----------
    plan : NdviPlan
        Of the result.
    values : sequence of PixelValue
        Of the pixel, one for each label of the result.

    Returns
    -------
    list of dict
        ``season`` (its name), ``year`` (that of its January; None where years are merged), ``months`` (the months of a
        season-year as YYYY-MM, else None), and what `PixelValue` has; missing values are None. Where years are kept
        apart, none that was asked for is left out: its state is `NO_SCENES` where it is not in the result.
    """
    if plan.request.by == "season":
        return [{"season": value.label, "year": None, "months": None, **asdict(value)} for value in values]
    known = {value.label: value for value in values}
    # What was asked for, and what there is: a scene of the first day may lie in the month before.
    found = [each.date() for each in plan.times]
    years = season_years(plan.request.seasons, min([plan.request.start, *found]), max([plan.request.end, *found]))
    asked = set(season_years(plan.request.seasons, plan.request.start, plan.request.end))
    return [_of_year(each, known.get(each.label)) for each in years if each in asked or each.label in known]


def _of_year(each: SeasonYear, value: PixelValue | None) -> dict[str, Any]:
    months = [f"{month:%Y-%m}" for month in each.months]
    absent = {**asdict(PixelValue(label=each.label, state="outside")), "state": NO_SCENES}
    return {"season": each.season.name, "year": each.year, "months": months, **(asdict(value) if value else absent)}
