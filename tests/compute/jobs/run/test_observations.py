"""Every observation of a pixel: what is listed adds up to what the blocks hold, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from compute.engine import PixelTrace, Trace, trace_pixel
from compute.errors import InputError, TooLargeError
from compute.jobs.run import observations
from compute.jobs.run.observations import season_tasks
from compute.plan import NdviPlan
from compute.request.region import parse_geojson
from tests.compute.engine.test_mask_verdicts import ELSEWHERE, fmask_roles, planned, two_days
from tests.fixtures.engine import compute_here
from tests.fixtures.files import region_of

FILTERS = ((255, 2, 1, 2), (255, 3, 0, 1))
MASK_REASONS = {"cloud", "shadow", "snow", "discontiguous"}


def traced(plan: NdviPlan, row: int, column: int) -> PixelTrace:
    (each,) = season_tasks(plan, row, column)
    return trace_pixel(each.task, each.sources, plan.request.min_clear)


def some_pixels(plan: NdviPlan, many: int = 30) -> list[tuple[int, int]]:
    random = np.random.default_rng(11)
    return [(int(random.integers(rows)), int(random.integers(columns))) for rows, columns in [plan.grid.shape] * many]


def counted_of(found: PixelTrace) -> list[Trace]:
    return [each for each in found.traces if each.counted]


def assert_same(found: PixelTrace, result: xr.Dataset, row: int, column: int) -> None:
    """The numbers of the block, and the same from the list alone: sums of whole units of 2**-32."""
    mean, count = (result[name].values[0, row, column] for name in ("ndvi_mean", "clear_count"))
    counted = counted_of(found)
    assert found.clear_count == len(counted) == count
    assert all((each.why_not is None) == each.counted for each in found.traces)
    if np.isnan(mean):
        assert found.ndvi_mean is None
        return
    total = sum(round((each.ndvi or 0.0) * 2**32) for each in counted)
    assert np.float32(total / (len(counted) * 2.0**32)) == np.float32(found.ndvi_mean) == mean


@pytest.mark.parametrize("resampling", ["average", "bilinear", "nearest"])
@pytest.mark.parametrize(("crs", "filters"), [("native", ()), ("EPSG:3577", FILTERS)])
def test_what_is_listed_adds_up_to_the_block(tmp_path: Path, crs: str, filters: Any, resampling: str) -> None:
    scenes = [made for group in two_days(tmp_path, **ELSEWHERE) for made, _, _ in group]
    plan = planned(scenes, fmask_roles(filters=filters), crs=crs, resampling=resampling)
    result, counted = compute_here(plan), 0
    clear = np.argwhere(result.clear_count.values[0] > 0)[::200].tolist()
    for row, column in some_pixels(plan) + [(row, column) for row, column in clear]:
        found = traced(plan, row, column)
        assert_same(found, result, row, column)
        counted += found.clear_count
        why = [each.why_not for each in found.traces if each.why_not]
        told = zip(plan.reasons, result.unclear_count.values[0, :, row, column], strict=True)
        assert {name for name, count in told if count} & MASK_REASONS <= {each.partition(",")[0] for each in why}
    assert counted >= len(clear) > 5


def test_means_of_strata_are_the_blocks_too(tmp_path: Path) -> None:
    scenes = [made for group in two_days(tmp_path) for made, _, _ in group]
    plan = planned(scenes, fmask_roles(), weight="month")
    result = compute_here(plan)
    for row, column in some_pixels(plan, 20):
        found, mean = traced(plan, row, column), result.ndvi_mean.values[0, row, column]
        assert found.ndvi_mean == (None if np.isnan(mean) else mean.item())


def test_values_and_words_are_those_of_the_files(tmp_path: Path) -> None:
    groups = two_days(tmp_path)
    plan = planned([made for group in groups for made, _, _ in group], fmask_roles())
    seen = set[str | None]()
    left, top = plan.grid.transform[2], plan.grid.transform[5]
    by_name = {made.id: (made, pixels) for group in groups for made, pixels, _ in group}
    in_both_rows = [(44 + row % 36, column) for row, column in some_pixels(plan, 150)]
    for row, column in in_both_rows:
        for each in traced(plan, row, column).traces:
            made, pixels = by_name[each.scene]
            _, _, x, _, _, y = made.source.bands["red"].grid.transform
            at = row + round((y - top) / 30.0), column + round((left - x) / 30.0)
            assert_told(each, pixels, at)
            seen.add(each.why_not)
    assert seen == {
        None, "cloud", "shadow", "snow", "discontiguous", "invalid", "nodata", "out of the valid range",
        "another scene won the pixel",
    }  # fmt: skip


def assert_told(each: Trace, pixels: Mapping[str, Any], at: tuple[int, int]) -> None:
    """By hand, what a scene holds at a pixel that is its own."""
    inside = all(0 <= place < len(pixels["mask"]) for place in at)
    code = int(pixels["mask"][at]) if inside else 0
    red, nir = (int(pixels[name][at]) if inside else -999 for name in ("red", "nir"))
    assert each.mask == (code or None)
    assert each.mask_class == {1: "valid", 2: "cloud", 3: "shadow", 4: "snow"}.get(code)
    if -999 not in (red, nir):
        assert each.red is not None
        assert each.nir is not None
        assert (each.red.stored, each.nir.stored) == (red, nir)
        assert (each.red.scaled, each.nir.scaled) == pytest.approx((red * 1e-4, nir * 1e-4), abs=1e-9)
    if each.counted:
        assert code == pixels["contiguity"][at] == 1
        assert min(red, nir) >= 1
        assert each.ndvi == pytest.approx((nir - red) / (nir + red), abs=2**-32)
    elif each.why_not in ("cloud", "shadow", "snow"):
        assert each.mask_class == each.why_not
    elif each.why_not == "nodata":
        assert code == 0 or -999 in (red, nir)
    elif each.why_not == "discontiguous":
        assert (code, pixels["contiguity"][at]) == (1, 0)
    elif each.why_not == "out of the valid range":
        assert min(red, nir) < 1


def test_what_a_filter_covers_is_said_to_be_clear_by_itself(tmp_path: Path) -> None:
    scenes = [made for group in two_days(tmp_path) for made, _, _ in group]
    plan = planned(scenes, fmask_roles(filters=FILTERS))
    looks = [each for place in some_pixels(plan, 50) for each in traced(plan, *place).traces]
    covered = [each for each in looks if each.why_not in ("cloud, by the mask filter", "shadow, by the mask filter")]
    assert covered
    assert {each.mask_class for each in covered} == {"valid"}


def test_a_scene_that_cannot_be_read_and_a_place_outside_the_region_are_said_to_be(tmp_path: Path) -> None:
    scenes = [made for group in two_days(tmp_path) for made, _, _ in group]
    west, south, east, north = region_of(scenes).bbox
    corner = [[west, south], [east, south], [west, north], [west, south]]
    plan = planned(scenes, fmask_roles(), region=parse_geojson(f'{{"type":"Polygon","coordinates":[{corner}]}}'))
    rows, columns = plan.grid.shape
    beyond = traced(plan, 3, columns - 3)
    assert {each.why_not for each in beyond.traces} <= {"outside the region"}

    Path(scenes[0].source.bands["red"].uri.removeprefix("file://")).unlink()
    whole = planned(scenes, fmask_roles())
    looks = traced(whole, rows // 4, columns // 2).traces
    unread = [each for each in looks if str(each.why_not).endswith("red.tif does not exist")]
    assert [each.scene for each in unread] == [scenes[0].id]


def test_what_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes: Sequence[Any] = [made for group in two_days(tmp_path) for made, _, _ in group]
    plan = planned(scenes, fmask_roles())
    with pytest.raises(InputError, match="no season 'XYZ'; it has"):
        season_tasks(plan, 0, 0, "XYZ")
    with pytest.raises(InputError, match="compute with --reader exact"):
        season_tasks(replace(plan, request=replace(plan.request, reader="odc")), 0, 0)
    monkeypatch.setattr(observations, "MOST_SCENES", 1)
    with pytest.raises(TooLargeError, match="more than 1; ask for one season"):
        season_tasks(plan, 70, 40)
