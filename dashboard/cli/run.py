"""``greenup run``: compute a request from the command line; the workers write the result."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from compute.errors import InputError
from compute.files.file_kinds import folder_problem
from dashboard.cli.arguments import path_option
from dashboard.cli.options import AsJson, RequestOptions, with_request_options
from dashboard.cli.output import print_json, print_pairs, to_people
from dashboard.cli.plan import make_plan

if TYPE_CHECKING:
    from compute.cluster import ClusterSpec, Connection, Stage, WorkerGuard
    from compute.jobs import Computation
    from compute.plan import NdviPlan
    from compute.scenes import UnreadScene
    from compute.settings import Settings

ZARR_NAME = "seasonal_ndvi.zarr"
PICTURE_NAME = "quicklook.png"
FORMATS = ("zarr", "cog")


@with_request_options
def run(
    options: RequestOptions,
    cluster: Annotated[str, typer.Option(help="local, gateway, gateway:NAME, or tcp://HOST:PORT.")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Number of workers; by default as many as suit the cluster.")
    ] = None,
    adapt: Annotated[
        str | None, typer.Option(metavar="LEAST-MOST", help="Scale workers as needed within these limits, such as 1-8.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each local worker; by default an equal share of the cores.")
    ] = None,
    cluster_option: Annotated[
        list[str] | None, typer.Option(help="Cluster option of the Gateway as NAME=VALUE; repeatable.")
    ] = None,
    out: Annotated[Path | None, path_option("Folder for the result, shared with the workers.", metavar="DIR")] = None,
    format_: Annotated[str, typer.Option("--format", help="zarr, or cog for one file per season.")] = "zarr",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing result in the folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute a request on a cluster and have the workers write the result."""
    from compute.cluster import check_cluster, parse_cluster
    from compute.settings import load_settings

    settings = load_settings()
    spec = parse_cluster(cluster, workers=workers, adapt=adapt, threads=threads, options=cluster_option or ())
    check_cluster(spec, settings)
    target = _Target.check(out, format_, overwrite=overwrite)
    planned = make_plan(options, settings)
    report = asyncio.run(_until_told(_compute(planned, spec, settings, target)))
    if as_json:
        print_json(report)
    else:
        _print_report(report)


async def _until_told(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run a coroutine, and cancel it on SIGTERM or SIGHUP, which batch systems and closed terminals send."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


class _Target:
    """Output folder and format of a result, checked before a cluster starts."""

    def __init__(self, folder: Path | None, format_: str) -> None:
        self.folder = folder
        self.format = format_

    @classmethod
    def check(cls, folder: Path | None, format_: str, *, overwrite: bool) -> _Target:
        if format_ not in FORMATS:
            raise InputError("format", f"The format {format_[:40]!r} is not known; give {' or '.join(FORMATS)}.")
        if folder is None:
            return cls(None, format_)
        folder = folder.absolute()
        if problem := folder_problem(folder):
            raise InputError("out", f"The folder {folder.name[:80]!r} {problem}; give --out another.")
        from compute.export import find_results

        if not overwrite and (kept := find_results(folder)):
            raise InputError("out", f"The folder holds {kept[0].name} already; give --out another or --overwrite.")
        return cls(folder, format_)

    @asynccontextmanager
    async def stage_output(self, cluster: Connection) -> AsyncIterator[Path | None]:
        """Yield a scratch folder, shared with the workers, for the files of the result; None if it is not saved."""
        if self.folder is None:
            yield None
            return
        from compute.export import check_output_folder, stage_output

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise InputError("out", f"The folder {self.folder.name!r} cannot be made; give --out another.") from None
        await check_output_folder(self.folder, cluster.client)
        async with stage_output(self.folder) as scratch:
            yield scratch


async def _compute(plan: NdviPlan, spec: ClusterSpec, settings: Settings, target: _Target) -> dict[str, Any]:
    from compute.cluster import open_cluster
    from compute.jobs import left_out, result_remarks
    from compute.tiles.tile_patches import warm_up

    started = time.perf_counter()
    with _progress(to_people()) as progress:
        stages = progress.add_task("cluster", total=None)
        show = partial(_show_stage, progress, stages)
        async with open_cluster(spec, settings, on_stage=show, warm_up=warm_up) as cluster:
            ready = time.perf_counter()
            async with target.stage_output(cluster) as scratch, cluster.guard_workers() as guard:
                job = await _computed(plan, cluster, scratch, progress, guard)
                computed = time.perf_counter()
                statistics = await job.statistics()
                failed = left_out(statistics, plan, settings.max_failed_share)
                outputs = await _write(job, cluster, target, scratch, job.provenance(failed, statistics), failed)
            return {
                "token": job.token,
                "plan": plan.summary(),
                "cluster": {
                    "kind": spec.kind,
                    "workers": cluster.workers,
                    "threads": cluster.threads,
                    "notes": list(cluster.version_notes),
                },
                "seasons": statistics,
                "scenes_failed": [asdict(each) for each in failed],
                "remarks": result_remarks(plan, statistics),
                "outputs": outputs,
                "seconds": {
                    "cluster": round(ready - started, 3),
                    "compute": round(computed - ready, 3),
                    "write": round(time.perf_counter() - computed, 3),
                },
            }


async def _computed(
    plan: NdviPlan, cluster: Connection, scratch: Path | None, progress: Progress, guard: WorkerGuard
) -> Computation:
    """Compute a plan and wait for the result; if there is a scratch folder, blocks are written to a store in it."""
    from compute.jobs import Computation

    store = None if scratch is None else str(scratch / ZARR_NAME)
    job = await Computation.submit(plan, cluster.client, store=store, threads=lambda: cluster.threads_to_come)
    if job.note:
        progress.console.print(job.note)
    await _watch(job, progress, guard)
    return job


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _show_stage(progress: Progress, task: Any, stage: Stage) -> None:
    progress.update(task, description=stage.detail, completed=stage.done or 0, total=stage.total)


async def _watch(job: Computation, progress: Progress, guard: WorkerGuard) -> None:
    """Show the number of finished blocks until all are finished; an interrupt or a failed block cancels the job."""
    blocks = progress.add_task("Computing blocks", total=job.total)
    try:
        async for done in job.progress():
            guard.record_progress()
            progress.update(blocks, completed=done)
    except BaseException:
        guard.stop()
        await job.cancel()
        raise


async def _write(
    job: Computation,
    cluster: Connection,
    target: _Target,
    scratch: Path | None,
    provenance: Mapping[str, Any],
    failed: Sequence[UnreadScene],
) -> Mapping[str, Any]:
    if target.folder is None or scratch is None:
        return {}
    from compute import export

    client, written = cluster.client, dict[str, Path | list[Path]]()
    title, notes = job.caption(failed)
    store, picture = scratch / ZARR_NAME, scratch / PICTURE_NAME
    with export.translate_write_errors():
        written["picture"] = await export.write_quicklook(job.stack, picture, client, title=title, notes=notes)
        if target.format == "zarr":
            written["zarr"] = await export.finish_zarr(store, job.total, provenance)
        else:
            written["cog"] = await export.write_cogs(job.stack, scratch, client, provenance)
            await asyncio.to_thread(shutil.rmtree, store)
    return {name: _moved(paths, target.folder) for name, paths in written.items()}


def _moved(paths: Path | list[Path], folder: Path) -> str | list[str]:
    """Return the final paths of files in the scratch folder."""
    if isinstance(paths, list):
        return [str(folder / path.name) for path in paths]
    return str(folder / paths.name)


def _print_report(report: Mapping[str, Any]) -> None:
    from compute.scenes import UnreadScene

    seconds = report["seconds"]
    outputs = report["outputs"]
    files = [path for value in outputs.values() for path in (value if isinstance(value, list) else [value])]
    print_pairs(
        "Result",
        [
            *((f"season {each['label']}", _season_text(each)) for each in report["seasons"]),
            *((f"looks {each['label']}", _looks_text(each["looks"])) for each in report["seasons"] if "looks" in each),
            *(("left out", str(UnreadScene(**each))) for each in report["scenes_failed"]),
            *(("note", remark) for remark in report["remarks"]),
            ("took", f"{seconds['compute']:.1f} s computing, {seconds['write']:.1f} s writing"),
            *(("written", path) for path in files),
            *([] if files else [("written", "nothing; give --out to keep a result")]),
        ],
    )


def _season_text(season: Mapping[str, Any]) -> str:
    if season["ndvi_mean"] is None:
        return "no clear observation"
    return f"mean NDVI {season['ndvi_mean']:.3f} over {season['clear_share']:.0%} of the region"


def _looks_text(looks: Mapping[str, int]) -> str:
    every = sum(looks.values())
    return ", ".join(f"{name} {count / every:.1%}" for name, count in looks.items()) if every else "none"
