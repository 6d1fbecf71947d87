"""``greenup bench``: how fast and how lean the engine is on this machine, beside its alternatives in the same run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dashboard.cli.options import AsJson
from dashboard.cli.output import print_json, print_pairs, print_table, to_people

app = typer.Typer(help="Measure the engine on this machine; everything temporary is removed.", no_args_is_help=True)


@app.command()
def compute(
    dates: Annotated[int, typer.Option(help="Number of dates.")] = 24,
    size: Annotated[int, typer.Option(help="Pixels along each edge of a date.")] = 4000,
    seed: Annotated[int, typer.Option(help="Number of the input; it decides every pixel.")] = 1,
    patch_px: Annotated[int, typer.Option(help="Size of a patch of clear or cloudy pixels.")] = 64,
    repeat: Annotated[int, typer.Option(help="Runs of each contender; figures are medians.")] = 1,
    latency_ms: Annotated[
        float | None, typer.Option(help="Read over HTTP as well, each response so many milliseconds late.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each worker; left out, the cores are shared out.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to keep the scenes in; they are used again when they are there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute a seasonal mean with Greenup, with the notebook's recipe and with odc-stac, on the same two workers."""
    from compute.bench.compute import bench_compute
    from compute.bench.input import InputSpec

    spec = InputSpec(dates=dates, size=size, seed=seed, patch_px=patch_px)
    with _shown() as say:
        report = bench_compute(spec, repeat=repeat, latency_ms=latency_ms, threads=threads, keep=keep, say=say)
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
    """Search, plan and build the graph of two decades of four satellites over all of Tasmania; nothing is computed."""
    from compute.bench.plan import bench_plan

    with _shown() as say:
        report = bench_plan(scenes, by=by, say=say)
    if as_json:
        print_json(report)
    else:
        print_pairs("Plan", [(name, _text(value)) for name, value in report.items() if not isinstance(value, dict)])


@app.command()
def memory(
    size: Annotated[int, typer.Option(help="Pixels along each edge of a date.")] = 2000,
    seed: Annotated[int, typer.Option(help="Number of the input; it decides every pixel.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to keep the scenes in; they are used again when they are there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute 12, 24 and 48 dates on two workers into a store, and say what a worker needed for each."""
    from compute.bench.memory import bench_memory

    with _shown() as say:
        report = bench_memory(size, seed=seed, keep=keep, say=say)
    if as_json:
        print_json(report)
    else:
        _print_memory(report)


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is done, and clean up after a batch system or a closing terminal as after Ctrl-C."""
    # A shell that starts this in the background has it ignore Ctrl-C, and then nothing would end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    console = to_people()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield status.update


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


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
    return "" if value is None else str(value)
