"""Tests of the engine benchmarks: reports, agreement of the contenders, and cleaning up. Times are not tested."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from compute.scenes import Grid
from tests.benchmarks.__main__ import main
from tests.benchmarks.compute import compute_ratios
from tests.benchmarks.input import InputSpec
from tests.benchmarks.overlap import compute_overlap
from tests.benchmarks.writing import write_input
from tests.fixtures.index import require_index
from tests.fixtures.processes import family

pytestmark = [pytest.mark.index, pytest.mark.timeout(600)]

BENCHMARKS = [sys.executable, "-m", "tests.benchmarks"]
CONTENDERS = {
    "recipe_untuned", "recipe_tuned", "recipe_like", "odc_stac", "greenup_native", "greenup_albers",
    "greenup_albers_odc", "floor",
}  # fmt: skip
FIGURES = {"wall_s", "cpu_s", "peak_mb", "idle_mb", "tasks"}
RATIOS = {"native_speed", "albers_speed", "notebook_to_native", "native_over_floor", "native_memory", "native_tasks"}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for temporary files whose path is short enough for a socket."""
    require_index()
    with tempfile.TemporaryDirectory(prefix="greenup-test-") as folder:
        yield Path(folder)


def environment(scratch: Path) -> dict[str, str]:
    """A user's own index is never touched: it is not even reachable here."""
    return os.environ | {"TMPDIR": str(scratch), "GREENUP_INDEX_URL": "postgresql://nobody@127.0.0.1:1/none"}


def report_of(scratch: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run([*BENCHMARKS, *words, "--json"], env=environment(scratch), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def report(scratch: Path) -> dict[str, Any]:
    """One small run, with a remote part."""
    return report_of(scratch, "compute", "--dates", "8", "--size", "600", "--latency-ms", "1", "--threads", "1")


@pytest.mark.soak  # two minutes, as every contender has a cluster of its own
def test_every_contender_is_measured(report: dict[str, Any]) -> None:
    runs = report["runs"]

    assert runs.keys() == CONTENDERS | {"remote", "plain_fetch"}
    assert all(run.keys() >= FIGURES for run in runs.values())
    assert all(run["wall_s"] > 0 and run["tasks"] > 0 and run["peak_mb"] >= 0 for run in runs.values())
    assert (report["machine"]["workers"], report["machine"]["threads"]) == (2, 2)
    assert report["ratios"].keys() == RATIOS | {"remote_throughput"}


@pytest.mark.soak  # two minutes, as every contender has a cluster of its own
def test_the_input_is_what_it_says(report: dict[str, Any]) -> None:
    told = report["input"]

    assert (told["dates"], told["scenes"], told["date_px"], told["scene_px"]) == (8, 16, [600, 600], [316, 600])
    assert told["clear_share"] == pytest.approx(0.45, abs=0.03)
    assert told["packed_share"] == pytest.approx(0.65, abs=0.05)
    assert told["native_px"] == pytest.approx([600, 600], abs=4)


@pytest.mark.soak  # two minutes, as every contender has a cluster of its own
def test_contenders_agree_on_what_they_compute(report: dict[str, Any]) -> None:
    means = {name: run["ndvi_mean"] for name, run in report["runs"].items() if "ndvi_mean" in run}

    assert means.keys() == CONTENDERS - {"floor"} | {"remote"}
    assert max(means.values()) - min(means.values()) < 1e-3
    assert means["recipe_untuned"] == pytest.approx(means["recipe_tuned"], abs=1e-4)
    assert means["remote"] == means["greenup_native"]


@pytest.mark.soak  # two minutes, as every contender has a cluster of its own
def test_the_engine_agrees_with_its_references(report: dict[str, Any]) -> None:
    agreement = report["agreement"]

    assert agreement["odc_reader_max_abs"] <= 1e-6
    assert agreement["odc_reader_unmatched"] == 0
    assert agreement["albers_share_within_1e-4"] >= 0.999
    assert agreement["albers_share_within_1e-4"] > agreement["recipe_share_within_1e-4"]


@pytest.mark.soak  # two minutes, as every contender has a cluster of its own
def test_the_plain_fetch_gets_what_the_engine_was_served(report: dict[str, Any]) -> None:
    remote, plain = report["runs"]["remote"], report["runs"]["plain_fetch"]

    assert 0 < plain["requests"] <= remote["requests"]
    assert 0 < plain["bytes"] <= remote["bytes"]


@pytest.mark.soak
def test_nothing_temporary_is_left(report: dict[str, Any], scratch: Path) -> None:
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(signal.SIGTERM, "greenup-bench-*/index/postgres/postmaster.pid", id="terminated-while-indexing"),
        pytest.param(
            signal.SIGINT, "greenup-bench-*/greenup-*/dask-scratch-space/worker-*", id="interrupted-with-workers"
        ),
    ],
)
def test_a_run_that_is_stopped_leaves_nothing(
    scratch: Path, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    command = [*BENCHMARKS, "compute", "--dates", "2", "--size", "512", "--json"]
    with family(command, tmp_path, TMPDIR=str(scratch)) as started:
        deadline = time.monotonic() + 120
        while not list(scratch.glob(moment)):
            assert started.head.poll() is None, started.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started.head.send_signal(number)

        assert started.survivors() == []
        assert started.head.wait() == 130
        assert started.log.read_text() == "Interrupted.\n"
    assert list(scratch.iterdir()) == []


def test_scenes_are_kept_and_used_again(tmp_path: Path) -> None:
    said: list[int] = []
    spec = InputSpec(dates=2, size=512)
    scenes = write_input(tmp_path / "kept", spec, lambda done, _: said.append(done))
    before = {path: path.stat().st_mtime_ns for date_ in scenes for scene in date_ for path in scene.files.values()}
    again = write_input(tmp_path / "kept", spec, lambda done, _: said.append(done))

    assert said == [1, 2]
    assert len(before) == 2 * 2 * 3
    assert again == scenes
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_plan_of_two_decades(scratch: Path) -> None:
    report = report_of(scratch, "plan", "--scenes", "300")

    assert report.keys() >= {"search_s", "plan_s", "graph_s", "tasks", "graph_mb", "rss_mb", "scenes", "machine"}
    assert report["scenes"] == 300
    assert report["tasks"] >= report["blocks"] > 100
    assert 0 < report["graph_mb"] < 50
    assert report["rss_mb"] > 50
    assert list(scratch.iterdir()) == []


@pytest.mark.soak
def test_memory_is_measured_for_more_and_more_dates(scratch: Path) -> None:
    report = report_of(scratch, "memory", "--size", "512")

    for figure in ("peak_mb", "idle_mb", "wall_s"):
        assert report[figure].keys() == {"12", "24", "48"}
        assert min(report[figure].values()) > 0
    assert report["ratios"]["memory_growth"] == pytest.approx(
        report["peak_mb"]["48"] / report["peak_mb"]["12"], rel=1e-3
    )
    assert report["input"]["dates"] == 48
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["memory", "--size", "10"], "size"),
        (["compute", "--dates", "0"], "number of dates"),
        (["compute", "--size", "10"], "size"),
        (["compute", "--size", "99999999"], "pixels"),
        (["compute", "--seed", "-1"], "seed"),
        (["compute", "--seed", "9" * 30], "seed"),
        (["compute", "--threads", "0"], "threads"),
        (["compute", "--latency-ms", "nan"], "latency"),
        (["compute", "--latency-ms", "1e99"], "latency"),
        (["compute", "--keep", ""], "keep"),
        (["memory", "--size", "0"], "pixels"),
        (["memory", "--keep", __file__], "keep"),
        (["plan", "--scenes", "999999999999"], "scenes"),
        (["nonsense"], "nonsense"),
        (["compute", "--patch-px", "1"], "patch"),
        (["compute", "--repeat", "0"], "number of runs"),
        (["compute", "--latency-ms", "-1"], "latency"),
        (["plan", "--scenes", "0"], "number of scenes"),
        (["plan", "--by", "decade"], "'decade'"),
    ],
)
def test_what_cannot_be_measured_is_refused(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert reason in capsys.readouterr().err


# The arithmetic


def test_ratios_take_the_best_of_the_others() -> None:
    def run(wall_s: float, peak_mb: float = 1.0, tasks: float = 1.0) -> dict[str, float]:
        return {"wall_s": wall_s, "peak_mb": peak_mb, "tasks": tasks}

    found = compute_ratios(
        {
            "recipe_untuned": run(80, 800, 3500),
            "recipe_tuned": run(90, 1600, 1000),
            "recipe_like": run(30),
            "odc_stac": run(24),
            "greenup_native": run(4, 200, 50),
            "greenup_albers": run(10),
            "floor": run(3.2),
            "remote": run(10),
            "plain_fetch": run(9),
        }
    )

    assert found == {
        "native_speed": 6.0,
        "albers_speed": 8.0,
        "notebook_to_native": 20.0,
        "native_over_floor": 1.25,
        "native_memory": 0.25,
        "native_tasks": 0.05,
        "remote_throughput": 0.9,
    }


def test_overlaps_are_those_of_another_library() -> None:
    output = Grid(crs="EPSG:3577", shape=(5, 4), transform=(30.0, 0.0, 1_230_000.0, 0.0, -30.0, -4_560_000.0))
    source = Grid(crs="EPSG:32655", shape=(9, 9), transform=(30.0, 0.0, 456_705.0, 0.0, -30.0, -4_547_985.0))
    found = compute_overlap(output, source)

    transformer = Transformer.from_crs("EPSG:3577", "EPSG:32655", always_xy=True)
    for y, x in np.ndindex(5, 4):
        corners = [(1_230_000 + 30 * (x + i), -4_560_000 - 30 * (y + j)) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
        pixel = shapely.Polygon([transformer.transform(*corner) for corner in corners])
        for row, column in np.ndindex(*found.weights.shape[:2]):
            left = 456_705 + 30 * (found.column[y, x] + column)
            top = -4_547_985 - 30 * (found.row[y, x] + row)
            area = shapely.intersection(pixel, shapely.box(left, top - 30, left + 30, top)).area / 900
            assert found.weights[row, column, y, x] == pytest.approx(area, abs=1e-9)
        assert found.weights[:, :, y, x].sum() == pytest.approx(pixel.area / 900, abs=1e-9)
