"""Seasons against the calendar: every date is asked for by itself."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import InputError
from compute.request.seasons import (
    STANDARD,
    Season,
    SeasonYear,
    format_seasons,
    missing_months,
    parse_seasons,
    season_year,
    season_years,
)
from tests.strategies import DAYS, accepted, date_ranges, season_sets

pytestmark = pytest.mark.unit

DJF, MAM, JJA, SON = STANDARD


def days_of(each: SeasonYear) -> list[date]:
    """Every day of a season-year."""
    return [
        month.replace(day=day) for month in each.months for day in range(1, monthrange(month.year, month.month)[1] + 1)
    ]


def days_between(start: date, end: date) -> list[date]:
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


@pytest.mark.parametrize(
    ("day", "label"),
    [
        ("2019-11-30", "2019-SON"),
        ("2019-12-01", "2020-DJF"),
        ("2020-01-01", "2020-DJF"),
        ("2020-02-29", "2020-DJF"),
        ("2020-03-01", "2020-MAM"),
        ("2020-08-31", "2020-JJA"),
    ],
)
def test_a_season_year_is_named_by_the_year_of_its_january(day: str, label: str) -> None:
    found = season_year(STANDARD, date.fromisoformat(day))
    assert found is not None
    assert found.label == label


def test_2020_djf_is_december_2019_to_february_2020() -> None:
    assert days_of(SeasonYear(season=DJF, year=2020)) == days_between(date(2019, 12, 1), date(2020, 2, 29))


@given(season_sets(), DAYS)
def test_a_day_falls_in_the_one_season_year_that_holds_it(seasons: tuple[Season, ...], day: date) -> None:
    found = season_year(seasons, day)
    if found is None:
        assert all(day.month not in season.months for season in seasons)
    else:
        assert day in days_of(found)


@given(season_sets(), DAYS)
def test_months_of_a_season_year_follow_one_another(seasons: tuple[Season, ...], day: date) -> None:
    found = season_year(seasons, day)
    if found is not None:
        days = days_of(found)
        assert days == days_between(days[0], days[-1])
        assert tuple(month.month for month in found.months) == found.season.months


# Definitions as text


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("DJF", (12, 1, 2)),
        ("JFMAMJJASOND", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)),
        ("NDJFMA", (11, 12, 1, 2, 3, 4)),
        ("wet=11-4", (11, 12, 1, 2, 3, 4)),
        ("dry=5-10", (5, 6, 7, 8, 9, 10)),
        ("july=7-7", (7,)),
        ("water-year=10-9", (10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
    ],
)
def test_a_season_is_written_by_initials_or_by_month_numbers(text: str, months: tuple[int, ...]) -> None:
    (season,) = parse_seasons(text)
    assert season.months == months


def test_a_wet_season_across_the_year_end_is_named_by_its_january() -> None:
    wet, dry = parse_seasons("wet=11-4, dry=5-10")
    assert days_of(SeasonYear(season=wet, year=2020)) == days_between(date(2019, 11, 1), date(2020, 4, 30))
    assert days_of(SeasonYear(season=dry, year=2020)) == days_between(date(2020, 5, 1), date(2020, 10, 31))


@given(season_sets())
def test_seasons_written_and_read_are_the_same(seasons: tuple[Season, ...]) -> None:
    assert parse_seasons(format_seasons(seasons)) == seasons


def test_standard_seasons_are_written_by_their_initials() -> None:
    assert format_seasons(STANDARD) == "DJF,MAM,JJA,SON"
    assert parse_seasons("DJF,MAM,JJA,SON") == STANDARD


def test_initials_that_name_other_months_are_written_with_numbers() -> None:
    odd = (Season(name="DJF", months=(6, 7, 8)),)
    assert parse_seasons(format_seasons(odd)) == odd


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "DJF,",
        "J",
        "A",
        "DJFX",
        "XYZ",
        "JJ.",
        "djf",
        "JFMAMJJASONDJ",
        "wet=0-4",
        "wet=11-13",
        "wet=11",
        "=1-2",
        "2020=1-2",
        "wet=1-2-3",
        "a/b=1-2",
        f"{'a' * 33}=1-2",
        "é=1-2",
        "wet=\u0661-\u0662",
        "DJF" * 100_000,
    ],
)
def test_a_season_that_is_not_understood_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_seasons(text)
    assert "DJF" in str(caught.value)
    assert "wet=11-4" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["DJF,DJF", "DJF,wet=11-12", "a=1-2,a=3-4", "JFM,MAM"])
def test_seasons_that_share_a_month_or_a_name_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="share a month or a name"):
        parse_seasons(text)


@given(st.text(max_size=30) | st.text(alphabet="DJFMASON=,-0123456789 ", max_size=30))
def test_no_text_breaks_the_parser(text: str) -> None:
    found = accepted(lambda: parse_seasons(text))
    assert found is None or parse_seasons(format_seasons(found)) == found


# Ranges of dates


@given(season_sets(), date_ranges())
def test_season_years_of_a_range_are_those_of_its_days_in_the_order_of_time(
    seasons: tuple[Season, ...], span: tuple[date, date]
) -> None:
    of_days = [season_year(seasons, day) for day in days_between(*span)]
    expected = list(dict.fromkeys(each for each in of_days if each is not None))
    assert season_years(seasons, *span) == expected
    starts = [each.months[0] for each in expected]
    assert starts == sorted(starts)


@given(season_sets(), date_ranges())
def test_a_month_is_missing_when_one_of_its_days_is(seasons: tuple[Season, ...], span: tuple[date, date]) -> None:
    for each in season_years(seasons, *span):
        outside = {day.replace(day=1) for day in days_of(each) if not span[0] <= day <= span[1]}
        assert missing_months(each, *span) == sorted(outside)


@pytest.mark.parametrize(
    ("start", "end", "missing"),
    [
        ("2019-12-01", "2020-02-29", []),
        ("2019-12-02", "2020-02-29", ["2019-12-01"]),
        ("2019-12-01", "2020-02-28", ["2020-02-01"]),
        ("2020-01-15", "2020-01-20", ["2019-12-01", "2020-01-01", "2020-02-01"]),
    ],
)
def test_a_month_cut_by_the_range_is_missing(start: str, end: str, missing: list[str]) -> None:
    found = missing_months(SeasonYear(season=DJF, year=2020), date.fromisoformat(start), date.fromisoformat(end))
    assert [month.isoformat() for month in found] == missing
