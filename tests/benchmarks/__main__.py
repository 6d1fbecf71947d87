"""Command line of the benchmarks: ``python -m tests.benchmarks compute|plan|memory|tiles|scale [--json]``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from compute.errors import InputError
from compute.files.file_kinds import folder_problem
from dashboard.cli.arguments import path_option
from dashboard.cli.main import run_application
from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs, print_table, to_people

ROOT = Path(__file__).parents[2]

app = typer.Typer(
    name="benchmarks",
    help="Measure Greenup on this machine. Temporary files are removed at the end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def compute(
    dates: Annotated[int, typer.Option(help="Number of dates.")] = 24,
    size: Annotated[int, typer.Option(help="ScenePixels along each edge of a date.")] = 4000,
    seed: Annotated[int, typer.Option(help="Seed of the input; it determines every pixel.")] = 1,
    patch_px: Annotated[int, typer.Option(help="Size of a patch of clear or cloudy pixels.")] = 64,
    repeat: Annotated[int, typer.Option(help="Runs of each contender; figures are medians.")] = 1,
    latency_ms: Annotated[
        float | None,
        typer.Option(help="Measure over HTTP as well, with this latency of every response in milliseconds."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each worker; by default the cores are divided between the workers.")
    ] = None,
    keep: Annotated[
        Path | None,
        path_option("Folder to keep the scenes in; they are used again when they are there.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a seasonal mean by Greenup, by the recipe of the original notebook and by odc-stac, on two workers."""
    _check_keep(keep)
    from tests.benchmarks.compute import bench_compute
    from tests.benchmarks.input import InputSpec

    spec = InputSpec(dates=dates, size=size, seed=seed, patch_px=patch_px)
    with _report_status() as show_status:
        report = bench_compute(
            spec, repeat=repeat, latency_ms=latency_ms, threads=threads, keep=keep, show_status=show_status
        )
    if as_json:
        print_json(report)
    else:
        _print_compute(report)


@app.command()
def plan(
    scenes: Annotated[int, typer.Option(help="Number of scenes in the index.")] = 20_000,
    by: Annotated[str, typer.Option(help="season (merges the years) or season-year (keeps them apart).")] = "season",
    as_json: AsJson = False,
) -> None:
    """Search, plan and build the graph for two decades of four satellites over Tasmania, without computing it."""
    from tests.benchmarks.plan import bench_plan

    with _report_status() as show_status:
        report = bench_plan(scenes, by=by, show_status=show_status)
    if as_json:
        print_json(report)
    else:
        print_pairs("Plan", [(name, _text(value)) for name, value in report.items() if not isinstance(value, dict)])


@app.command()
def memory(
    size: Annotated[int, typer.Option(help="ScenePixels along each edge of a date.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the input; it determines every pixel.")] = 1,
    keep: Annotated[
        Path | None,
        path_option("Folder to keep the scenes in; they are used again when they are there.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the memory of a worker for 12, 24 and 48 dates, computed on two workers into a store."""
    _check_keep(keep)
    from tests.benchmarks.memory import bench_memory

    with _report_status() as show_status:
        report = bench_memory(size, seed=seed, keep=keep, show_status=show_status)
    if as_json:
        print_json(report)
    else:
        _print_memory(report)


@app.command()
def tiles(
    size: Annotated[
        list[int] | None, typer.Option(help="Edge of a result in pixels, repeatable. Default: 4096, 8192, 16384.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A twentieth of the tiles, to check that the benchmark runs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare tiles of three results over HTTP with hvPlot and pixels selected by label; the largest takes 8.3 GB."""
    from tests.benchmarks.tiles import SIZES, bench_tiles

    with _report_status() as show_status:
        report = bench_tiles(size or SIZES, quick=quick, show_status=show_status)
    if as_json:
        print_json(report)
    else:
        _print_tiles(report)


@app.command()
def scale(
    quick: Annotated[
        bool, typer.Option("--quick", help="An eighth of each edge and few tiles, to check that the benchmark runs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure tiles of 4 x 16097 x 13672 pixels over HTTP while the workers compute something else; takes 6.8 GB."""
    from tests.benchmarks.scale import bench_scale

    with _report_status() as show_status:
        report = bench_scale(quick=quick, show_status=show_status)
    if as_json:
        print_json(report)
    else:
        _print_scale(report)


@contextmanager
def _report_status() -> Iterator[Callable[[str], None]]:
    """Show the current step on a terminal, and clean up after SIGTERM and SIGHUP as after Ctrl-C."""
    # A shell that starts a program in the background makes it ignore SIGINT; then nothing would stop it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    console = to_people()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield status.update


def _check_keep(folder: Path | None) -> None:
    if folder is not None and (problem := folder_problem(folder)):
        raise InputError("keep", f"The folder {folder.name[:80]!r} {problem}; give --keep another.")


def _print_compute(report: Mapping[str, Any]) -> None:
    columns = {"wall_s": "wall s", "cpu_s": "CPU s", "peak_mb": "peak MB", "tasks": "tasks", "ndvi_mean": "mean NDVI"}
    rows = [[name, *(_text(run.get(key)) for key in columns)] for name, run in report["runs"].items()]
    print_table("Runs", ["", *columns.values()], rows)
    for part in ("ratios", "agreement"):
        print_pairs(part.capitalize(), [(name, _text(value)) for name, value in report[part].items()])


def _print_memory(report: Mapping[str, Any]) -> None:
    columns = {"peak_mb": "peak MB", "idle_mb": "idle MB", "wall_s": "wall s"}
    rows = [[f"{dates} dates", *(_text(report[key][dates]) for key in columns)] for dates in report["peak_mb"]]
    print_table("Memory of a worker", ["", *columns.values()], rows)
    print_pairs("Ratios", [(name, _text(value)) for name, value in report["ratios"].items()])


def _print_tiles(report: Mapping[str, Any]) -> None:
    columns = {"p50_c1_ms": "p50 ms", "p95_c8_ms": "p95 ms of 8", "tiles_per_s": "tiles/s", "viewport_ms": "view ms"}
    columns |= {"hvplot_ms": "hvPlot ms", "naive_tile_ms": "by label ms"}
    rows = [
        [f"{size} px, {zoom}", *(_text(figures[key]) for key in columns)]
        for size, zooms in report["walks"].items()
        for zoom, figures in zooms.items()
    ]
    print_table("Tiles", ["", *columns.values()], rows)
    print_pairs("Ratios", [(name, _text(value)) for name, value in report["ratios"].items()])
    print_pairs("Tile, ms", [(name, _text(value)) for name, value in report["tile_ms"].items()])
    print_pairs("In all", _plain(report))


def _print_scale(report: Mapping[str, Any]) -> None:
    walks = {"all zooms": report} | report["walks"]
    columns = list(report["tile_ms"])
    rows = [
        [name, *(_text(each["tile_ms"][key]) for key in columns), _text(each["tiles_per_s"])]
        for name, each in walks.items()
    ]
    print_table("Tiles, ms", ["", *columns, "tiles/s"], rows)
    print_pairs("In all", _plain(report))


def _plain(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in report.items() if not isinstance(value, dict | list)]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line of the benchmarks; see `dashboard.cli.main.run_application`."""
    # Child processes, such as the workers of a Gateway, import from the clone as well.
    path = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(each for each in path if each)
    return run_application(app, arguments)


if __name__ == "__main__":
    sys.exit(main())
