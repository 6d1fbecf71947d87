"""Season definitions, season-years and their labels, and the missing months of incomplete season-years."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from compute.errors import InputError

By = Literal["season", "season-year"]
"""Treatment of years: ``season`` merges them into a climatology; ``season-year`` keeps each year separate."""

_INITIALS = "JFMAMJJASOND"
_NAMED = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_-]{0,31})=(?P<first>[0-9]{1,2})-(?P<last>[0-9]{1,2})")
_MONTHS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Season:
    """Season of consecutive calendar months.

    Attributes
    ----------
    name : str
        Label of the season, such as ``"DJF"``.
    months : tuple of int
        Calendar months (1 to 12) in order; a season may cross the year end, such as (12, 1, 2).
    """

    name: str
    months: tuple[int, ...]

    def year_of(self, day: date) -> int:
        """Return the year of the season-year that contains a day of this season.

        If the season crosses the year end, this is the year of its January; otherwise, it is the calendar year.
        """
        crosses = self.months[0] > self.months[-1]
        return day.year + (crosses and day.month >= self.months[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class SeasonYear:
    """Season of one year; ``2020-DJF`` is December 2019 to February 2020."""

    season: Season
    year: int

    @property
    def label(self) -> str:
        """Label, such as ``"2020-DJF"``."""
        return f"{self.year:04d}-{self.season.name}"

    @property
    def months(self) -> tuple[date, ...]:
        """First day of each month of this season-year, in order."""
        first = self.season.months[0]
        crosses = first > self.season.months[-1]
        return tuple(date(self.year - (crosses and month >= first), month, 1) for month in self.season.months)


STANDARD = tuple(
    Season(name=name, months=months)
    for name, months in (("DJF", (12, 1, 2)), ("MAM", (3, 4, 5)), ("JJA", (6, 7, 8)), ("SON", (9, 10, 11)))
)
"""The four meteorological seasons."""


def parse_seasons(text: str) -> tuple[Season, ...]:
    """Parse season definitions.

    Parameters
    ----------
    text : str
        Comma-separated seasons, each by the initials of its months (``DJF,MAM,JJA,SON``) or as
        ``name=FIRST-LAST`` in month numbers (``wet=11-4,dry=5-10``).

    Returns
    -------
    tuple of Season
        Seasons in the given order.

    Raises
    ------
    InputError
        A definition is malformed, its initials do not match exactly one run of consecutive months, or two seasons share
        a month or a name.
    """
    seasons = tuple(_parse_season(part.strip()) for part in text.split(","))
    months = [month for season in seasons for month in season.months]
    names = [season.name for season in seasons]
    if len(set(months)) < len(months) or len(set(names)) < len(names):
        raise InputError("seasons", f"Two of the seasons {text[:60]!r} share a month or a name; each may stand once.")
    return seasons


def format_seasons(seasons: Sequence[Season]) -> str:
    """Format seasons as text from which `parse_seasons` returns the same seasons."""
    return ",".join(
        season.name
        if _runs(season.name) == [season.months]
        else f"{season.name}={season.months[0]}-{season.months[-1]}"
        for season in seasons
    )


def _parse_season(part: str) -> Season:
    if named := _NAMED.fullmatch(part):
        first, last = int(named["first"]), int(named["last"])
        if 1 <= first <= _MONTHS and 1 <= last <= _MONTHS:
            return Season(name=named["name"], months=_run(first, (last - first) % _MONTHS + 1))
    elif len(runs := _runs(part)) == 1:
        return Season(name=part, months=runs[0])
    raise InputError(
        "seasons",
        f"The season {part[:40]!r} is not understood; give initials of three or more months such as DJF, "
        "or a name of up to 32 letters as name=FIRST-LAST in month numbers, such as wet=11-4.",
    )


def _run(first: int, length: int) -> tuple[int, ...]:
    return tuple((first - 1 + n) % _MONTHS + 1 for n in range(length))


def _runs(initials: str) -> list[tuple[int, ...]]:
    """Return every run of 2 to 12 consecutive months with these initials."""
    if not 1 < len(initials) <= _MONTHS:
        return []
    around = _INITIALS * 2
    starts = [n for n in range(_MONTHS) if around.startswith(initials, n)]
    return [_run(start + 1, len(initials)) for start in starts]


def season_year(seasons: Iterable[Season], day: date) -> SeasonYear | None:
    """Return the season-year that contains a day; None if no season contains its month.

    Parameters
    ----------
    seasons : iterable of Season
        Seasons without common months.
    day : datetime.date
        Solar day.
    """
    for season in seasons:
        if day.month in season.months:
            return SeasonYear(season=season, year=season.year_of(day))
    return None


def season_years(seasons: Sequence[Season], start: date, end: date) -> list[SeasonYear]:
    """Return the season-years that overlap the days from `start` to `end`, inclusive, in temporal order."""
    months = _months_between(start, end)
    found = (season_year(seasons, month) for month in months)
    return list(dict.fromkeys(each for each in found if each is not None))


def missing_months(each: SeasonYear, start: date, end: date) -> list[date]:
    """Return the months of a season-year that are not entirely within the days from `start` to `end`.

    Parameters
    ----------
    each : SeasonYear
        The season-year.
    start, end : datetime.date
        First and last day of the request, inclusive.

    Returns
    -------
    list of datetime.date
        First day of each of these months.
    """
    return [month for month in each.months if month < start or _last_day(month) > end]


def _last_day(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _months_between(start: date, end: date) -> list[date]:
    first, last = start.year * _MONTHS + start.month - 1, end.year * _MONTHS + end.month - 1
    return [date(n // _MONTHS, n % _MONTHS + 1, 1) for n in range(first, last + 1)]
