"""Jobs outlive their server, their scheduler and their cluster: real workers, and one real server that is killed."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from distributed import LocalCluster
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from compute.catalog import OdcCatalog
from compute.cluster import ClusterPool, ClusterSpec, PooledCluster, parse_cluster
from compute.errors import InputError, JobStoreError, ResultAwayError, ResultGoneError
from compute.jobs import (
    ANONYMOUS,
    JobRegistry,
    JobStore,
    KeptResults,
    Principal,
    Retention,
    participant_of,
)
from compute.jobs.checkpoint_recovery import rebuild_list
from compute.jobs.jobstore.rows import JobDetails, JobRow, details_of, new_row
from compute.plan import UNREADABLE, NdviPlan, plan_document
from compute.result.store import Checkpoint, open_result
from compute.settings import Settings
from dashboard.services import Services
from dashboard.session.background_tasks import BackgroundTasks
from dashboard.session.job_control import JobController
from dashboard.state import JobState, PageState, VisitState
from tests.fixtures.engine import compute_here
from tests.fixtures.jobs import SECRET, House, existing_scheduler, reaches
from tests.fixtures.processes import family

pytestmark = pytest.mark.index

OWN = ClusterSpec(kind="local")
TAKEN_UP = "The computation is taken up again."


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.sqlite'}"


def run_out(url: str) -> None:
    """Let every lease have run out."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update greenup_jobs set lease_end = 0 where lease_end is not null"))
    engine.dispose()


@asynccontextmanager
async def server(
    house: House, url: str, retention: Retention | None = None, **options: Any
) -> AsyncIterator[JobRegistry]:
    """A server, as far as jobs know of one."""
    pool = options.pop("pool", house.pool)
    jobs = JobRegistry(pool, SECRET, store=JobStore(url), own=options.pop("own", house.spec), **options)
    await jobs.start(retention)
    try:
        yield jobs
    finally:
        await jobs.close()


async def until(condition: Any, within_s: float = 90.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # as the page does
            await asyncio.sleep(0.02)


def row_of(jobs: JobRegistry, token: str) -> Any:
    return jobs._list.rows[token]


# From server to server


def test_a_job_has_one_server_and_is_taken_up_by_the_next_once_that_has_stopped(
    house: House, long: NdviPlan, url: str
) -> None:
    async def hand_over() -> None:
        async with server(house, url) as second:
            async with server(house, url) as first:
                record = await first.submit(long, house.spec, ANONYMOUS, "a")
                await reaches(record, "running", blocks=2)
                await until(lambda: record.token in second._list.rows)
                assert record.state == "running"
                seen = await second.open(record.token, ANONYMOUS)
                joined = await second.submit(long, house.spec, ANONYMOUS, "b")
                assert joined is seen
                assert seen.tiles is None
                assert seen.message.startswith("Another server computes this result")
                assert not second._live.tasks
            await until(lambda: bool(second._live.tasks))
            taken = second.get(record.token, ANONYMOUS)
            await reaches(taken, "running")
            assert taken.message == TAKEN_UP
            assert taken.row.created == record.row.created
            await second.cancel(record.token, ANONYMOUS)
            assert taken.state == "cancelled"

    house.watch(hand_over)


def test_the_queue_of_a_user_outlives_servers_in_its_order_and_waiting_is_no_attempt(
    house: House, slow: NdviPlan, url: str
) -> None:
    plans = [replace(slow, request=replace(slow.request, min_clear=number)) for number in (1, 2, 3)]

    async def hand_over() -> None:
        async with server(house, url, most_at_once=1) as first:
            runs, *_ = [await first.submit(plan, house.spec, ANONYMOUS, "a") for plan in plans]
            await reaches(runs, "running", blocks=1)
        for _ in range(2):
            async with server(house, url, most_at_once=1) as following:
                tokens = [following.token(plan, ANONYMOUS) for plan in plans]
                records = [following.get(token, ANONYMOUS) for token in tokens]
                await reaches(records[0], "running")
                await until(lambda: all(record.message.startswith("It waits for") for record in records[1:]))  # noqa: B023
                assert [(record.row.attempts, record.state) for record in records[1:]] == [(0, "queued")] * 2
        async with server(house, url, most_at_once=1) as last:
            records = [last.get(token, ANONYMOUS) for token in tokens]
            await last.cancel(records[0].token, ANONYMOUS)
            await reaches(records[1], "running")
            assert (records[1].message, records[2].state) == ("", "queued")
            await last.cancel(records[1].token, ANONYMOUS)
            await reaches(records[2], "running")

    house.watch(hand_over)


def test_who_takes_part_is_known_after_a_restart_and_nobody_takes_a_job_from_another(
    house: House, quick: NdviPlan, long: NdviPlan, url: str, tmp_path: Path
) -> None:
    ann, bob = (Principal(name=name, scope=name) for name in ("ann", "bob"))

    async def part() -> None:
        kept = KeptResults(str(tmp_path))
        async with server(house, url, kept=kept) as first:
            # One after another: Zarr's warnings are errors here, and filters of warnings belong to no thread.
            anns = await first.submit(quick, house.spec, ann, "x")
            await reaches(anns, "done")
            bobs = await first.submit(quick, house.spec, bob, "x")
            await reaches(bobs, "done")
            shared, again = [await first.submit(long, house.spec, ANONYMOUS, visit) for visit in ("a", "b")]
            assert shared is again
            await reaches(shared, "running", blocks=1)
        async with server(house, url, kept=kept) as second:
            assert [[row.token for row in second.list(who)] for who in (ann, bob)] == [[anns.token], [bobs.token]]
            await second.delete(anns.token, ann)
            assert second.list(ann) == []
            assert (await second.open(bobs.token, bob)).tiles is not None
            taken = second.get(shared.token, ANONYMOUS)
            await reaches(taken, "running")
            assert await second.withdraw(shared.token, ANONYMOUS, "a")
            assert taken.state == "running"
        async with server(house, url, kept=kept) as third:
            assert [row.token for row in third.list(ANONYMOUS)] == [shared.token]
            assert not await third.withdraw(shared.token, ANONYMOUS, "b")
            assert third.get(shared.token, ANONYMOUS).state == "cancelled"
        await kept.close()

    house.watch(part)


def test_a_user_has_no_more_under_way_on_two_servers_than_on_one(
    house: House, long: NdviPlan, quick: NdviPlan, url: str
) -> None:
    other = replace(long, request=replace(long.request, min_clear=2))
    ann = Principal(name="ann", scope="ann")

    async def queue() -> None:
        async with server(house, url, most_at_once=1) as first, server(house, url, most_at_once=1) as second:
            runs = await first.submit(long, house.spec, ANONYMOUS, "a")
            await reaches(runs, "running", blocks=1)
            # At once, long before the second server has read the list again.
            waits = await second.submit(other, house.spec, ANONYMOUS, "a")
            theirs = await second.submit(quick, house.spec, ann, "b")
            await reaches(theirs, "running", "done")
            await until(lambda: waits.message.startswith("It waits for"))
            assert (waits.state, waits.finished) == ("queued", [])
            await first.cancel(runs.token, ANONYMOUS)
            await reaches(waits, "running")
            assert waits.message == ""
            await second.cancel(waits.token, ANONYMOUS)

    house.watch(queue)


def test_a_server_that_did_not_answer_for_a_while_lays_down_what_another_has_taken_over(
    house: House, slow: NdviPlan, url: str
) -> None:
    async def sleep() -> None:
        asleep = JobRegistry(house.pool, SECRET, store=JobStore(url))
        record = await asleep.submit(slow, house.spec, ANONYMOUS, "a")
        await reaches(record, "running")
        run_out(url)
        async with server(house, url) as awake:
            await until(lambda: bool(awake._live.tasks))
            await asleep._live.renew_leases()
            assert not asleep._live.tasks
            taken = awake.get(record.token, ANONYMOUS)
            await reaches(taken, "done")
            assert record.state != "done"
        await asleep.close()

    house.watch(sleep)


def test_a_result_in_the_memory_of_a_cluster_alone_expires_with_its_server_and_can_be_computed_again(
    house: House, quick: NdviPlan, url: str
) -> None:
    async def forget() -> None:
        async with server(house, url) as first:
            record = await first.submit(quick, house.spec, ANONYMOUS, "a")
            await reaches(record, "done")
        async with server(house, url) as second:
            [row] = second.list(ANONYMOUS)
            assert row.state == "expired"
            with pytest.raises(
                InputError, match="in the memory of a cluster alone, and went with it; compute it again"
            ):
                await second.open(record.token, ANONYMOUS)
            assert await second.recipe(record.token, ANONYMOUS) == quick.request.to_json()
            again = await second.submit(quick, house.spec, ANONYMOUS, "a")
            assert again.token == record.token
            await reaches(again, "done")

    house.watch(forget)


def test_a_result_kept_elsewhere_stays_open_without_its_cluster_and_its_server_until_it_expires(
    house: House, quick: NdviPlan, url: str, tmp_path: Path
) -> None:
    async def keep() -> None:
        kept = KeptResults(str(tmp_path / "results"))
        async with existing_scheduler() as spec:
            async with server(house, url, kept=kept) as first:
                record = await first.submit(quick, spec, ANONYMOUS, "a")
                await reaches(record, "done")
                assert first.held_by(spec) == []
                await house.pool.stop(spec)
                await until(lambda: record.connection is None)
                assert record.state == "done"
                assert record.tiles is not None
                await first.rename(record.token, ANONYMOUS, "  Hay \n meadow ")
            async with server(house, url, kept=kept) as second:
                opened = await second.open(record.token, ANONYMOUS)
                assert opened.tiles is not None
                assert len(opened.finished) == opened.total
                [row] = second.list(ANONYMOUS)
                assert (row.title, row.state) == ("Hay meadow", "done")
                assert row.size > 1000
                assert await second.submit(quick, house.spec, ANONYMOUS, "b") is opened
            again = JobStore()
            (tmp_path / "results" / "broken").mkdir()
            (tmp_path / "results" / "broken" / "manifest.json").write_text("{")
            assert rebuild_list(again, str(tmp_path / "results")) == ([record.token], ["broken"])
            assert rebuild_list(again, str(tmp_path / "results")) == ([], ["broken"])
            [found] = again.list_jobs()
            assert (found.state, found.about, found.size) == ("done", row.about, row.size)
            assert again.read_details(record.token) == JobStore(url).read_details(record.token)
            async with server(house, url, Retention(most_bytes=row.size - 1), kept=kept) as third:
                assert [path.name for path in (tmp_path / "results").iterdir()] == ["broken"]
                with pytest.raises(InputError, match=r"This result has expired; compute it again\."):
                    await third.open(record.token, ANONYMOUS)
            await kept.close()

    house.watch(keep)


def test_what_is_asked_for_elsewhere_is_done_by_the_server_that_can(house: House, long: NdviPlan, url: str) -> None:
    async def ask() -> None:
        async with server(house, url) as first, server(house, url) as second:
            record = await first.submit(long, house.spec, ANONYMOUS, "a")
            await until(lambda: record.token in second._list.rows)
            await second.cancel(record.token, ANONYMOUS)
            await reaches(record, "cancelled")
            await until(lambda: row_of(second, record.token).state == "cancelled")
            again = await first.submit(long, house.spec, ANONYMOUS, "a")
            await until(lambda: row_of(second, record.token).created == again.row.created)
            await second.delete(record.token, ANONYMOUS)
            await until(lambda: not second.list(ANONYMOUS) and not first.list(ANONYMOUS))

    house.watch(ask)


def test_what_cannot_be_taken_up_again_says_why(house: House, quick: NdviPlan, url: str) -> None:
    async def give_up() -> None:
        reasons: dict[str, dict[str, Any]] = {
            "Greenup was updated meanwhile": {"engine": "0.0.1"},
            "made by another version of Greenup, or is damaged": {},
            "was taken up again 3 times and got no further": {"attempts": 3},
        }
        async with server(house, url) as first:
            record = await first.submit(quick, house.spec, ANONYMOUS, "a")
            await first.delete(record.token, ANONYMOUS)
        store, document = JobStore(url), plan_document(quick)
        for number, changes in enumerate(reasons.values()):
            row: JobRow = replace(record.row, token=f"{number:032x}", state="running", **changes)
            details = JobDetails(recipe=quick.request.to_json(), plan=document[: None if changes else 100])
            assert store.add_job(row, details)
        async with server(house, url, pauses=(0.1,) * 3) as second:
            rows = {row.token: row for row in second.list(ANONYMOUS)}
            for number, reason in enumerate(reasons):
                row = rows[f"{number:032x}"]
                assert row.state == "failed"
                assert reason in row.message

    house.watch(give_up)


def test_a_kept_result_that_cannot_be_opened_says_why_stays_in_the_list_and_can_be_computed_again(
    house: House, quick: NdviPlan, url: str, tmp_path: Path
) -> None:
    async def open_again() -> None:
        results, kept = tmp_path / "results", KeptResults(str(tmp_path / "results"))
        async with server(house, url, kept=kept) as first:
            record = await first.submit(quick, house.spec, ANONYMOUS, "a")
            await reaches(record, "done")
        manifest = results / record.token / "manifest.json"
        whole = manifest.read_text()
        async with server(house, url, kept=kept) as second:
            manifest.write_text(whole.replace('"format": 1', '"format": 2'))
            with pytest.raises(ResultGoneError, match="made by another version of Greenup, or is damaged"):
                await second.open(record.token, ANONYMOUS)
            manifest.write_text(whole)
            results.rename(tmp_path / "away")
            results.touch()
            with pytest.raises(ResultAwayError, match="cannot be reached now; try again later"):
                await second.open(record.token, ANONYMOUS)
            results.unlink()
            (tmp_path / "away").rename(results)
            assert row_of(second, record.token).state == "done"
            assert (await second.open(record.token, ANONYMOUS)).tiles is not None
        async with server(house, url) as elsewhere:
            with pytest.raises(ResultAwayError):
                await elsewhere.open(record.token, ANONYMOUS)
        async with server(house, url, kept=kept) as third:
            manifest.unlink()
            with pytest.raises(ResultGoneError, match="is not there any more; compute it again"):
                await third.open(record.token, ANONYMOUS)
            again = await third.submit(quick, house.spec, ANONYMOUS, "a")
            assert (again.token, again.row.created > record.row.created) == (record.token, True)
            await reaches(again, "done")
            assert again.row.size
        await kept.close()

    house.watch(open_again)


def job_controller(state: PageState, services: Services) -> JobController:
    """The controller of the job on a page that has no map."""
    tasks = BackgroundTasks(state.visit)
    return JobController(
        state.job, state.look, state.request, state.visit, services, tasks, ANONYMOUS, lambda boxes: None
    )


def test_the_page_says_what_became_of_a_result_that_cannot_be_opened_and_what_was_asked_for(
    quick: NdviPlan, url: str, tmp_path: Path
) -> None:
    async def look() -> None:
        settings = Settings(home=tmp_path, jobs_url=SecretStr(url))
        services, state = Services(settings, {}, ClusterSpec(kind="local")), PageState()
        job_controller(state, services)
        state.job.token = unreadable(url, quick)
        await until(lambda: state.job.message)
        assert state.job.message == UNREADABLE
        assert (state.request.start, state.request.end) == (quick.request.start, quick.request.end)
        await services.jobs.close()

    asyncio.run(look())


def test_cancel_on_the_page_leaves_the_job_to_others_and_stops_it_with_the_last(
    quick: NdviPlan, url: str, tmp_path: Path
) -> None:
    async def cancel() -> None:
        store, services = JobStore(url), Services(Settings(home=tmp_path, jobs_url=SecretStr(url)), {}, OWN)
        record = new_row(quick, token="d" * 32, scope=ANONYMOUS.scope, cluster=OWN)
        assert store.add_job(replace(record, state="running", holder="another server"), details_of(quick))
        for name in ("laptop", "telephone"):
            store.participants.add_participant(record.token, participant_of(ANONYMOUS, name))
        said = []
        for name in ("laptop", "a passer-by", "telephone"):
            state = PageState(visit=VisitState(visitor=name), job=JobState(token=record.token))
            await job_controller(state, services)._cancel()
            row = store.find_job(record.token)
            assert row is not None
            said += [(state.visit.notice, row.wanted)]
        goes_on = "It goes on for others who have asked for it; delete it to stop it for everybody."
        assert said == [(goes_on, ""), (goes_on, ""), ("", "cancel")]
        await services.jobs.close()

    asyncio.run(cancel())


def unreadable(url: str, plan: NdviPlan) -> str:
    """Have the list know a result that is done, and whose plan is damaged."""
    row = new_row(plan, token="f" * 32, scope=ANONYMOUS.scope, cluster=ClusterSpec(kind="local"))
    row = replace(row, state="done", size=1, checkpoint="memory://nowhere")
    assert JobStore(url).add_job(row, JobDetails(recipe=plan.request.to_json(), plan=plan_document(plan)[:100]))
    return row.token


# When the cluster is lost, or the list


def test_a_job_waits_for_a_gateway_that_is_away_for_as_long_as_it_takes(
    house: House, quick: NdviPlan, url: str
) -> None:
    spec = ClusterSpec(kind="gateway", owner=ANONYMOUS.scope)
    pool = ClusterPool(Settings(gateway_address="http://127.0.0.1:9"))

    async def wait() -> None:
        record = new_row(quick, token="e" * 32, scope=ANONYMOUS.scope, cluster=spec)
        assert JobStore(url).add_job(record, details_of(quick))
        tried: list[PooledCluster] = []
        async with server(house, url, pool=pool, pauses=(0.05, 0.05)) as jobs:
            while len(tried) < 6:
                tried += [each for each in pool.clusters() if each not in tried]
                await asyncio.sleep(0.01)
            row = row_of(jobs, record.token)
            assert row.state in ("queued", "connecting")
            assert row.message.startswith("The Dask Gateway cannot be reached")
            assert row.message.endswith("The computation goes on once it can.")
            await jobs.cancel(record.token, ANONYMOUS)

    with dask.config.set({"gateway.http-client.proxy": False}):
        house.watch(wait)


def test_a_job_whose_scheduler_is_lost_is_taken_up_again_where_there_is_another(
    house: House, slow: NdviPlan, url: str
) -> None:
    pool = ClusterPool(Settings(cluster_start_timeout_s=5.0))

    def cluster(port: int = 0) -> LocalCluster:
        return LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            scheduler_port=port,
            dashboard_address="127.0.0.1:0",
            asynchronous=True,
        )

    async def lose() -> None:
        async with server(house, url, pool=pool, pauses=(0.5, 5.0, 5.0)) as jobs:
            async with cluster() as first:
                address = first.scheduler_address
                record = await jobs.submit(slow, parse_cluster(address), ANONYMOUS, "a")
                await reaches(record, "running", blocks=2)
            await reaches(record, "queued", "connecting")
            assert record.message == f"The cluster was lost. {TAKEN_UP}"
            async with cluster(int(address.rpartition(":")[2])):
                await until(lambda: record.state == "done", 60)
                assert record.stack is not None
                assert record.connection is not None
                client = record.connection.client
                xr.testing.assert_identical(await client.compute(record.stack.dataset()), compute_here(slow))
                assert len(record.finished) == record.total
                await jobs.delete(record.token, ANONYMOUS)
                await pool.close()

    house.watch(lose)


def test_a_list_that_cannot_be_written_stops_nothing_unless_it_must_and_is_written_once_it_can_be(
    house: House, quick: NdviPlan, tmp_path: Path
) -> None:
    async def go_on() -> None:
        (tmp_path / "disk").touch()
        url = f"sqlite:///{tmp_path / 'disk' / 'jobs.sqlite'}"
        async with server(house, url, must_keep=True) as strict:
            with pytest.raises(JobStoreError, match="Nothing is computed that a restart would lose"):
                await strict.submit(quick, house.spec, ANONYMOUS, "a")
            assert strict.list(ANONYMOUS) == []
        async with server(house, url) as jobs:
            record = await jobs.submit(quick, house.spec, ANONYMOUS, "a")
            await reaches(record, "done")
            assert jobs.trouble == (
                "The list of jobs cannot be written; check the disk or the database behind GREENUP_JOBS_URL."
            )
            assert [row.state for row in jobs.list(ANONYMOUS)] == ["done"]
            (tmp_path / "disk").unlink()
            await until(lambda: not jobs.trouble)
            await until(lambda: bool(JobStore(url).list_jobs()))
            [row] = JobStore(url).list_jobs()
            assert (row.token, row.state) == (record.token, "done")
            await jobs.delete(record.token, ANONYMOUS)
            assert JobStore(url).list_jobs() == []

    house.watch(go_on)


# A real server

_SERVE_ONE = """
import asyncio, sys
from compute.catalog import open_catalog
from compute.cluster import parse_cluster
from compute.jobs import ANONYMOUS
from compute.plan import plan_of
from compute.products import load_profiles
from compute.settings import load_settings
from compute.result.store import Checkpoint
from dashboard.services import Services

def written(url):
    checkpoint = Checkpoint.find(url)
    return checkpoint.written() if checkpoint else {}

async def main():
    services = Services(load_settings(), load_profiles(None), parse_cluster("local", workers=1))
    await services.start()
    plan = plan_of(open(sys.argv[1], "rb").read())
    record = await services.jobs.submit(plan, services.cluster, ANONYMOUS, "a")
    print("acknowledged", record.token, flush=True)
    while len(await asyncio.to_thread(written, f"{sys.argv[2]}/{record.token}")) < 2:
        await asyncio.sleep(0.01)
    print("two blocks are kept", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_job_of_a_server_that_is_killed_is_found_under_the_same_address_and_comes_to_its_end(
    house: House, slow: NdviPlan, url: str, index_settings: Settings, catalog: OdcCatalog, tmp_path: Path
) -> None:
    document = tmp_path / "plan"
    document.write_bytes(plan_document(slow))
    results = tmp_path / "results"
    here = {
        "GREENUP_HOME": str(index_settings.home),
        "GREENUP_JOBS_URL": url,
        "GREENUP_RESULTS": str(results),
    }
    (tmp_path / "first").mkdir()
    with family([sys.executable, "-c", _SERVE_ONE, str(document), str(results)], tmp_path / "first", **here) as first:
        first.await_words("two blocks are kept")
        token = first.log.read_text().split("acknowledged ")[1].split()[0]
        first.head.kill()
        first.head.wait()
    checkpoint = Checkpoint.find(str(results / token))
    assert checkpoint is not None
    written = checkpoint.written()
    before = {
        path: path.stat().st_mtime_ns for path in Path(checkpoint.store).glob("ndvi_mean/c/**/*") if path.is_file()
    }
    run_out(url)
    (tmp_path / "second").mkdir()
    command = [str(Path(sys.executable).with_name("greenup")), "serve", "--port", "0", "--workers", "1"]
    with family(command, tmp_path / "second", **here) as second:
        second.await_words("Greenup is at")
        root = second.log.read_text().split("Greenup is at ")[1].split()[0]
        found = answer(f"{root}api/results/{token}")
        assert (found["total"], found["token"]) == (16, token)
        assert found["message"].endswith(TAKEN_UP)
        deadline = time.monotonic() + 90
        while found["state"] != "done":
            assert found["state"] in ("queued", "connecting", "running"), found
            assert time.monotonic() < deadline
            time.sleep(0.2)
            found = answer(f"{root}api/results/{token}")
        west, south, east, north = slow.request.region.bbox
        place = (west + east) / 2, (south + north) / 2
        value = answer(f"{root}api/results/{token}/value?lon={place[0]}&lat={place[1]}")
        with pytest.raises(urllib.error.HTTPError, match="410") as refusal:
            answer(f"{root}api/results/{unreadable(url, slow)}")
        assert json.load(refusal.value) == {"error": UNREADABLE}
        refusal.value.close()
    # What was written before it was killed was not computed again.
    assert len(written) >= 2
    assert sum(path.stat().st_mtime_ns == time for path, time in before.items()) >= len(written)
    exact = compute_here(slow)
    with open_result(str(results / token)) as kept:
        for layer in exact.data_vars:
            np.testing.assert_array_equal(kept[layer], exact[layer])
    assert {season["state"] for season in value["seasons"]} <= {"clear", "never clear"}
    assert len(value["seasons"]) == len(slow.labels)


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return json.load(reply)
