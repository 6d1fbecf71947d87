"""Tests of the benchmarks `tiles` and `scale`: reports, walks and refusals. Times are not tested."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from compute.errors import InputError
from tests.benchmarks.__main__ import main
from tests.benchmarks.results import GAPS, SyntheticResult, make_block
from tests.benchmarks.walks import VIEW_PX, draw_views, draw_walk, find_walk_zooms
from tests.fixtures.index import require_index

pytestmark = pytest.mark.timeout(600)

BENCHMARKS = [sys.executable, "-m", "tests.benchmarks"]
GRID = SyntheticResult(shape=(3000, 2000)).grid
FIGURES = {
    "p50_c1_ms", "p95_c1_ms", "p50_c8_ms", "p95_c8_ms", "tiles_per_s", "mb_per_tile", "viewport_ms", "hvplot_ms",
    "naive_tile_ms",
}  # fmt: skip


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder for temporary files whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as folder:
        yield Path(folder)


def report_of(scratch: Path, *words: str) -> dict[str, Any]:
    environment = os.environ | {"TMPDIR": str(scratch), "GREENUP_INDEX_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run([*BENCHMARKS, *words, "--json"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(scratch.iterdir()) == []
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def are_figures(*values: Any) -> bool:
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


@pytest.mark.index
@pytest.mark.soak  # a minute, with a Gateway and scenes beside the server
def test_tiles_are_measured_beside_their_rivals(scratch: Path) -> None:
    require_index()
    report = report_of(scratch, "tiles", "--size", "512", "--quick")

    assert report["walks"].keys() == {"512"}
    assert report["walks"]["512"].keys() == {"native", "quarter", "full"}
    received = report["mb_per_tile"]
    for figures in report["walks"]["512"].values():
        assert figures.keys() == FIGURES
        assert are_figures(*(value for name, value in figures.items() if name != "mb_per_tile" or received is not None))
    assert report["ratios"].keys() == {"viewport_full", "viewport_native", "flatness"}
    assert min(report["ratios"].values()) > 0
    assert report["tile_ms"].keys() == {"p50_c1", "p95_c8", "gateway_p50_c1", "kept_p50_c1"}
    assert are_figures(report["tile_ms"]["p50_c1"], report["tile_ms"]["p95_c8"])
    assert are_figures(report["tiles_per_s"], report["busy_p50_ms"], report["rss_mb"], report["rss_growth"])
    assert are_figures(report["overview_time_share"], report["overview_memory_share"])
    # Of a tile's 131 kB of values, corners outside of the result travel, too, and its bits.
    assert received is None or 0.01 < received < 1.0
    assert (report["machine"]["workers"], report["machine"]["cores"] > 0) == (2, True)
    installed = importlib.util.find_spec("dask_gateway_server") is not None
    assert are_figures(report["tile_ms"]["gateway_p50_c1"]) == installed
    assert ("gateway_p50_c1" in report["reasons"]) != installed


def test_the_large_result_is_walked_while_workers_compute(scratch: Path) -> None:
    report = report_of(scratch, "scale", "--quick")

    assert report["shape"] == [4, 2012, 1709]
    assert report["held_mb"] == pytest.approx(4 * 2012 * 1709 * (6 + 5 / 3) / 1e6, rel=1e-3)
    assert report["walks"].keys() == {"native", "quarter", "full"}
    for each in (report, *report["walks"].values()):
        assert each["tile_ms"].keys() == {"p50_c1", "p95_c1", "p50_c8", "p95_c8"}
        assert are_figures(each["tiles_per_s"], *each["tile_ms"].values())
    assert are_figures(report["rss_mb"], report["rss_growth"])


@pytest.mark.parametrize("size", ["100", "30000"])
def test_sizes_out_of_bounds_are_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiles", "--size", size]) == 2
    assert f"from 256 to 20000 pixels, not {size}" in capsys.readouterr().err


def test_a_result_that_would_spill_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.results.MEMORY_LIMIT", 2 * 2**30)

    SyntheticResult(shape=(4096, 4096)).refuse_if_over_memory()
    with pytest.raises(InputError, match=r"takes 7\.7 GiB, and workers here keep 1\.2 GiB"):
        SyntheticResult(shape=(16_384, 16_384)).refuse_if_over_memory()


def test_blocks_continue_one_another_and_have_gaps() -> None:
    left, right = (make_block((300, 400), (0, first), 0, 2) for first in (0, 400))

    assert np.isnan(left.ndvi_mean).mean() == pytest.approx(GAPS, abs=0.005)
    assert np.array_equal(np.isnan(left.ndvi_mean), left.clear_count == 0)
    edges = [np.nanmean(left.ndvi_mean[:, -20:]), np.nanmean(right.ndvi_mean[:, :20])]
    assert edges[0] == pytest.approx(edges[1], abs=0.01)
    assert [level.ndvi_mean.shape for level in right.levels] == [(150, 200), (75, 100)]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_walk_sees_every_tile_of_a_result_once_and_goes_on(number: int) -> None:
    look = find_walk_zooms(GRID)[number]
    everything = len(look.places) * 2 * 4
    paths = list(islice(draw_walk(look, np.random.default_rng(3)), everything + 1))

    assert len(set(paths)) == everything + 1
    assert {path.split("/")[2] for path in paths[:-1]} != {paths[-1].split("/")[2]}
    assert {tuple(map(int, path.removesuffix(".i16").split("/")[-2:])) for path in paths} == set(look.places)


def test_a_walk_goes_to_neighbours() -> None:
    paths = islice(draw_walk(find_walk_zooms(GRID)[0], np.random.default_rng(3)), 20)
    places = [tuple(map(int, path.removesuffix(".i16").split("/")[-2:])) for path in paths]

    steps = [max(abs(x1 - x0), abs(y1 - y0)) for (x0, y0), (x1, y1) in pairwise(places)]
    assert steps.count(1) > len(steps) / 2
    assert 0 not in steps


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_tiles_of_a_look_are_those_that_show_the_result(number: int) -> None:
    """Ten thousand pixels of the result, taken at random, lie in tiles of the look; PROJ says where."""
    look, random = find_walk_zooms(GRID)[number], np.random.default_rng(5)
    dx, _, left, _, dy, top = GRID.transform
    rows, columns = (random.uniform(0, length, 10_000) for length in GRID.shape)
    lon, lat = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True).transform(
        left + dx * columns, top + dy * rows
    )
    n = 2**look.zoom
    x = np.floor((lon + 180) / 360 * n).astype(int)
    y = np.floor((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * n).astype(int)
    found, counts = np.unique(np.column_stack([x, y]), axis=0, return_counts=True)
    well_seen = {tuple(place) for place, count in zip(found.tolist(), counts, strict=True) if count > 20}

    assert well_seen <= look.places <= {tuple(place) for place in found.tolist()}


def test_a_view_is_of_a_screen_and_has_its_tiles() -> None:
    native, _, full = find_walk_zooms(GRID)
    for look in (native, full):
        width_m = 40_075_016.6856 / 2**look.zoom / 256
        for sight in islice(draw_views(look, np.random.default_rng(7)), 5):
            left, bottom, right, top = sight.box
            assert ((right - left) / width_m, (top - bottom) / width_m) == pytest.approx(VIEW_PX)
            assert 1 <= len(sight.paths) == len(set(sight.paths)) <= 5 * 4
    assert len(full.places) <= 9
