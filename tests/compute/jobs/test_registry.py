"""The jobs of a server: joined, withdrawn from, cancelled, deleted and lost, on real workers and without a trace."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

from compute.cluster import ClusterPool, parse_cluster
from compute.errors import ClusterError, InputError, JobError
from compute.jobs import ANONYMOUS, JobRegistry, Principal, open_published, published_name
from compute.plan import NdviPlan
from compute.settings import Settings
from dashboard.session.cluster_text import disconnect_text
from tests.fixtures.engine import compute_here
from tests.fixtures.jobs import SECRET, House, existing_scheduler, reaches

pytestmark = pytest.mark.index

NOWHERE = parse_cluster("tcp://127.0.0.1:9")
OTHER = Principal(name="other", scope="elsewhere")


def unreadable(plan: NdviPlan) -> NdviPlan:
    """Let the file of the first scene be missing."""
    gone = plan.sources[0]
    bands = {name: replace(band, uri=f"{band.uri}.gone") for name, band in gone.bands.items()}
    return replace(plan, sources=(replace(gone, bands=bands), *plan.sources[1:]))


# Start to end


def test_a_job_runs_to_its_end_while_nobody_looks(house: House, quick: NdviPlan) -> None:
    async def run(jobs: JobRegistry) -> None:
        record = await jobs.submit(quick, house.spec, ANONYMOUS, "a visit that ends without a word")
        assert (record.state, record.message) == ("queued", "")
        assert record.seconds_left is None
        await reaches(record, "done")
        assert record.row.created <= record.row.started <= record.row.ended  # type: ignore[operator]  # all there by now
        assert record.message == ""
        assert record.seconds_left is None
        assert record.stack is not None
        assert record.connection is not None
        xr.testing.assert_identical(await record.connection.client.compute(record.stack.dataset()), compute_here(quick))

    house.run(run)


def test_a_finished_result_is_published_for_other_clients_until_it_is_deleted(house: House, quick: NdviPlan) -> None:
    async def publish(jobs: JobRegistry) -> None:
        record = await jobs.submit(quick, house.spec, ANONYMOUS, "a")
        await reaches(record, "done")
        assert record.connection is not None
        client = record.connection.client
        async with asyncio.timeout(10):
            while published_name(record.token) not in await client.list_datasets():  # noqa: ASYNC110  # schedulers tell nobody
                await asyncio.sleep(0.02)

        def look() -> xr.Dataset:
            with Client(client.scheduler.address, security=client.security, set_as_default=False) as other:
                with pytest.raises(JobError, match="no finished result of that token"):
                    open_published("elsewhere", other)
                return other.compute(open_published(record.token, other), sync=True)

        xr.testing.assert_identical(await asyncio.to_thread(look), compute_here(quick))
        await jobs.delete(record.token, ANONYMOUS)
        assert await client.list_datasets() == ()
        await house.is_free()

    house.run(publish)


def test_every_block_is_listed_once_as_it_finishes(house: House, quick: NdviPlan) -> None:
    async def watch(jobs: JobRegistry) -> None:
        record = await jobs.submit(quick, house.spec, ANONYMOUS, "a")
        await reaches(record, "running", "done", blocks=1)
        early = list(record.finished)
        await reaches(record, "done")
        assert record.finished[: len(early)] == early
        everyone = list(np.ndindex(len(quick.labels), *map(len, quick.chunks)))
        assert sorted(record.finished) == everyone
        assert record.total == len(everyone)

    house.run(watch)


def test_a_finished_result_is_opened_not_computed_again(house: House, quick: NdviPlan) -> None:
    async def reopen(jobs: JobRegistry) -> None:
        record = await jobs.submit(quick, house.spec, ANONYMOUS, "a")
        await reaches(record, "done")
        assert (await jobs.submit(quick, house.spec, ANONYMOUS, "b")) is record
        assert jobs.get(record.token, ANONYMOUS) is record
        await jobs.withdraw(record.token, ANONYMOUS, "a")
        await jobs.withdraw(record.token, ANONYMOUS, "b")
        assert record.state == "done"

    house.run(reopen)


# Who may see what


def test_the_token_of_somebody_else_is_refused_like_one_that_never_was(house: House, quick: NdviPlan) -> None:
    async def pry(jobs: JobRegistry) -> None:
        record = await jobs.submit(quick, house.spec, ANONYMOUS, "a")
        with pytest.raises(InputError) as never:
            jobs.get("0" * 32, OTHER)
        with pytest.raises(InputError) as theirs:
            jobs.get(record.token, OTHER)
        assert (str(theirs.value), theirs.value.field) == (str(never.value), never.value.field)
        for act in (jobs.cancel(record.token, OTHER), jobs.delete(record.token, OTHER)):
            with pytest.raises(InputError, match="There is no such result here"):
                await act
        with pytest.raises(InputError, match="There is no such result here"):
            await jobs.withdraw(record.token, OTHER, "a")
        assert jobs.list(OTHER) == []
        assert record.state not in ("cancelled", "failed")

    house.run(pry)


def test_two_scopes_never_share_a_job(house: House, quick: NdviPlan) -> None:
    async def ask(jobs: JobRegistry) -> None:
        mine, theirs = [await jobs.submit(quick, house.spec, who, "a") for who in (ANONYMOUS, OTHER)]
        assert mine.token != theirs.token
        assert [row.token for row in jobs.list(ANONYMOUS)] == [mine.token]
        assert [row.token for row in jobs.list(OTHER)] == [theirs.token]
        await jobs.cancel(mine.token, ANONYMOUS)
        await reaches(theirs, "done")

    house.run(ask)


def test_jobs_are_listed_newest_first(house: House, quick: NdviPlan, slow: NdviPlan) -> None:
    async def ask(jobs: JobRegistry) -> None:
        first, second = [await jobs.submit(plan, house.spec, ANONYMOUS, "a") for plan in (slow, quick)]
        assert [row.token for row in jobs.list(ANONYMOUS)] == [second.token, first.token]

    house.run(ask)


def test_the_cluster_of_somebody_else_is_refused(house: House, quick: NdviPlan) -> None:
    async def borrow(jobs: JobRegistry) -> None:
        with pytest.raises(InputError, match="There is no such cluster here; choose another"):
            await jobs.submit(quick, replace(house.spec, owner=OTHER.scope), ANONYMOUS, "a")
        assert jobs.list(ANONYMOUS) == []

    house.run(borrow)


def test_what_a_cluster_holds_is_known_before_it_is_stopped(house: House, quick: NdviPlan, slow: NdviPlan) -> None:
    async def count(jobs: JobRegistry) -> None:
        done, running = [await jobs.submit(plan, house.spec, ANONYMOUS, "a") for plan in (quick, slow)]
        theirs = await jobs.submit(quick, house.spec, OTHER, "b")
        assert jobs.held_by(replace(house.spec, workers=7)) == [done, running, theirs]
        assert jobs.held_by(NOWHERE) == []
        await reaches(done, "done")
        await jobs.cancel(running.token, ANONYMOUS)
        assert jobs.held_by(house.spec) == [done, theirs]

    house.run(count)


# Withdraw, cancel, delete


def test_the_work_goes_on_until_the_last_participant_withdraws(house: House, slow: NdviPlan) -> None:
    async def leave(jobs: JobRegistry) -> None:
        record = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        assert await jobs.submit(slow, house.spec, ANONYMOUS, "b") is record
        await reaches(record, "running", blocks=1)
        assert await jobs.withdraw(record.token, ANONYMOUS, "a")
        assert await jobs.withdraw(record.token, ANONYMOUS, "somebody who only looked")
        assert record.seconds_left is not None
        assert record.seconds_left > 0
        seen = len(record.finished)
        await reaches(record, "running", blocks=seen + 1)
        began = time.perf_counter()
        assert not await jobs.withdraw(record.token, ANONYMOUS, "b")
        assert time.perf_counter() - began < 2.0
        assert (record.state, record.message) == ("cancelled", "The computation was cancelled.")
        assert record.row.ended is not None
        assert record.stack is record.tiles is None
        await house.is_free()

    house.run(leave)


@pytest.mark.parametrize("steps", [0, 1, 4, 30])
def test_cancelled_before_it_runs_it_never_does(house: House, slow: NdviPlan, steps: int) -> None:
    async def cancel(jobs: JobRegistry) -> None:
        record = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        for _ in range(steps):
            await asyncio.sleep(0)
        await jobs.cancel(record.token, ANONYMOUS)
        assert record.state == "cancelled"
        assert record.finished == []
        await house.is_free()

    house.run(cancel)


def test_cancelled_while_its_cluster_starts_it_lets_others_have_it(
    house: House, slow: NdviPlan, quick: NdviPlan
) -> None:
    async def cancel(jobs: JobRegistry) -> None:
        async with existing_scheduler() as spec:
            gone, stays = [await jobs.submit(plan, spec, ANONYMOUS, "a") for plan in (slow, quick)]
            for record in (gone, stays):
                await reaches(record, "connecting")
            await jobs.cancel(gone.token, ANONYMOUS)
            await reaches(stays, "done")
            assert gone.state == "cancelled"
            await jobs.close()
            await house.pool.stop(spec)

    house.run(cancel)


def test_asked_for_again_while_it_is_being_cancelled_it_runs_anew(house: House, slow: NdviPlan) -> None:
    async def again(jobs: JobRegistry) -> None:
        first = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        await reaches(first, "running", blocks=1)
        cancelling = asyncio.create_task(jobs.cancel(first.token, ANONYMOUS))
        await asyncio.sleep(0)
        second = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        assert second is not first
        assert second.token == first.token
        assert jobs.get(first.token, ANONYMOUS) is second
        await cancelling
        await reaches(second, "running", blocks=1)
        began = time.perf_counter()
        await jobs.cancel(second.token, ANONYMOUS)
        assert time.perf_counter() - began < 2.0
        await house.is_free()

    house.run(again)


def test_whoever_withdraws_from_what_has_ended_changes_nothing_and_may_ask_again(house: House, slow: NdviPlan) -> None:
    async def end(jobs: JobRegistry) -> None:
        first = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        await jobs.cancel(first.token, ANONYMOUS)
        ended = first.row.ended
        await jobs.withdraw(first.token, ANONYMOUS, "a")
        assert (first.state, first.row.ended) == ("cancelled", ended)
        second = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        assert second is not first
        assert second.state in ("queued", "connecting")
        assert second.state != "cancelled"
        await jobs.withdraw(second.token, ANONYMOUS, "a")
        assert second.state == "cancelled"

    house.run(end)


def test_whoever_cancels_may_go_away_meanwhile(house: House, slow: NdviPlan) -> None:
    async def go(jobs: JobRegistry) -> None:
        record = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
        await reaches(record, "running", blocks=1)
        cancelling = asyncio.create_task(jobs.cancel(record.token, ANONYMOUS))
        await asyncio.sleep(0)
        cancelling.cancel()
        await house.is_free()

    house.run(go)


def test_deleting_forgets_a_result_and_frees_its_memory(house: House, quick: NdviPlan, slow: NdviPlan) -> None:
    async def delete(jobs: JobRegistry) -> None:
        done, running = [await jobs.submit(plan, house.spec, ANONYMOUS, "a") for plan in (quick, slow)]
        await reaches(done, "done")
        await reaches(running, "running")
        assert await house.held() > 0
        for record in (done, running):
            await asyncio.gather(*(jobs.delete(record.token, ANONYMOUS), _refused(jobs, record.token)))
        assert jobs.list(ANONYMOUS) == []
        await house.is_free()
        # The records that a page may still hold keep nothing alive.
        assert done.stack is done.tiles is running.stack is running.tiles is None
        assert done.message == "The result was deleted."
        assert await jobs.submit(quick, house.spec, ANONYMOUS, "a") is not done

    async def _refused(jobs: JobRegistry, token: str) -> None:
        with pytest.raises(InputError):
            await jobs.delete(token, ANONYMOUS)

    house.run(delete)


# At once and one after another

WAITS = "It waits for one of your other computations to end."


def variants(plan: NdviPlan, count: int) -> list[NdviPlan]:
    """Return plans of as many computations of their own."""
    return [replace(plan, request=replace(plan.request, min_clear=number)) for number in range(1, count + 1)]


def test_the_fifth_computation_of_a_user_waits_until_one_ends_and_nobody_else_does(
    house: House, slow: NdviPlan, quick: NdviPlan
) -> None:
    async def queue(jobs: JobRegistry) -> None:
        *four, fifth, sixth = [await jobs.submit(plan, house.spec, ANONYMOUS, "a") for plan in variants(slow, 6)]
        theirs = await jobs.submit(quick, house.spec, OTHER, "a")
        for record in (*four, theirs):
            await reaches(record, "running", "done")
        assert [(each.state, each.message, each.finished) for each in (fifth, sixth)] == [("queued", WAITS, [])] * 2
        assert jobs.held_by(house.spec) == [*four, fifth, sixth, theirs]
        await jobs.cancel(four[2].token, ANONYMOUS)
        await reaches(fifth, "running")
        assert fifth.message == ""
        assert (sixth.state, sixth.message) == ("queued", WAITS)
        # A result that is held takes nobody's turn.
        await reaches(four[0], "done")
        await reaches(sixth, "running", "done")

    house.run(queue)


def test_who_waits_can_be_cancelled_and_goes_with_its_cluster(house: House, slow: NdviPlan) -> None:
    async def leave() -> None:
        jobs = JobRegistry(house.pool, SECRET, most_at_once=1)
        elsewhere = replace(house.spec, threads=1)
        runs, cancelled, forsaken, last = [
            await jobs.submit(plan, spec, ANONYMOUS, "a")
            for plan, spec in zip(variants(slow, 4), (house.spec, house.spec, elsewhere, house.spec), strict=True)
        ]
        await reaches(runs, "running")
        await jobs.cancel(cancelled.token, ANONYMOUS)
        assert (cancelled.state, cancelled.message) == ("cancelled", "The computation was cancelled.")
        await jobs.fail_waiting_jobs(elsewhere)
        assert (forsaken.state, forsaken.message) == ("failed", "The cluster was stopped; compute again to open one.")
        assert [pooled.spec for pooled in house.pool.clusters()] == [house.spec]
        await jobs.cancel(runs.token, ANONYMOUS)
        await reaches(last, "running")
        assert cancelled.row.started is forsaken.row.started is None
        await jobs.close()

    house.watch(leave)


def test_who_waits_on_a_cluster_that_is_left_connects_to_it_again_and_one_that_computes_is_not_left(
    house: House, slow: NdviPlan, quick: NdviPlan
) -> None:
    async def leave() -> None:
        jobs = JobRegistry(house.pool, SECRET, most_at_once=1)
        async with existing_scheduler() as spec:
            await house.pool.get(spec)
            runs = await jobs.submit(slow, house.spec, ANONYMOUS, "a")
            waits = await jobs.submit(quick, spec, ANONYMOUS, "a")
            await reaches(runs, "running")
            assert disconnect_text("It", []) == "It goes on without this page."
            assert disconnect_text("It", jobs.held_by(spec)) == (
                "It goes on without this page. What waits for its turn on it, 1 computation, connects to it again then."
            )
            with pytest.raises(
                ClusterError, match=r"^It computes for you, or alone holds a result of yours; cancel or"
            ):
                disconnect_text("It", jobs.held_by(house.spec))
            await house.pool.stop(spec)
            await jobs.cancel(runs.token, ANONYMOUS)
            await reaches(waits, "done")
            assert jobs.held_by(spec) == [waits]
            await jobs.close()
            await house.pool.stop(spec)

    house.watch(leave)


# Failures


def test_a_block_that_fails_ends_the_job_and_frees_the_workers(house: House, slow: NdviPlan) -> None:
    async def fail(jobs: JobRegistry) -> None:
        plan = unreadable(slow)
        plan = replace(plan, request=replace(plan.request, reader="odc"))
        record = await jobs.submit(plan, house.spec, ANONYMOUS, "a")
        await reaches(record, "failed")
        assert plan.sources[0].id in record.message
        assert record.message.endswith("check its file and run again.")
        assert record.stack is record.tiles is None
        await house.is_free()
        again = await jobs.submit(plan, house.spec, ANONYMOUS, "a")
        assert again is not record
        assert again.state in ("queued", "connecting")

    house.run(fail)


def test_a_result_may_lack_a_few_scenes_and_says_so(house: House, slow: NdviPlan) -> None:
    async def lack(jobs: JobRegistry) -> None:
        plan = unreadable(slow)
        record = await jobs.submit(plan, house.spec, ANONYMOUS, "a")
        await reaches(record, "done")
        assert [each.scene for each in record.failed_scenes] == [plan.sources[0].id]
        [unread] = record.failed_scenes
        assert unread.reason == "does not exist"
        assert record.message == f"1 of {len(plan.sources)} scenes could not be read and is left out: {unread}."

    house.run(lack, most=0.1)


def test_a_result_that_lacks_too_many_scenes_is_none(house: House, slow: NdviPlan) -> None:
    async def lack(jobs: JobRegistry) -> None:
        record = await jobs.submit(unreadable(slow), house.spec, ANONYMOUS, "a")
        await reaches(record, "failed")
        assert "could not be read" in record.message
        assert record.stack is record.tiles is None

    house.run(lack)


def test_a_cluster_that_does_not_open_ends_the_job_in_a_sentence(house: House, quick: NdviPlan) -> None:
    hurried = ClusterPool(Settings(cluster_start_timeout_s=1.0))

    async def both(jobs: JobRegistry) -> None:
        record = await jobs.submit(quick, NOWHERE, ANONYMOUS, "a")
        await reaches(record, "failed")
        assert record.message.startswith("The scheduler did not answer within 1 s")
        again = await jobs.submit(quick, NOWHERE, ANONYMOUS, "a")
        assert again is not record
        await reaches(again, "failed")
        assert again.message == record.message
        await hurried.close()

    house.run(both, hurried)


def test_a_cluster_stopped_under_its_jobs_fails_them_and_they_can_run_again(
    house: House, quick: NdviPlan, slow: NdviPlan
) -> None:
    async def stop(jobs: JobRegistry) -> None:
        async with existing_scheduler() as spec:
            done = await jobs.submit(quick, spec, ANONYMOUS, "a")
            await reaches(done, "done")
            running = await jobs.submit(slow, spec, ANONYMOUS, "a")
            await reaches(running, "running", blocks=1)
            await house.pool.stop(spec)
            for record, state in ((done, "expired"), (running, "failed")):
                await reaches(record, state)
                assert record.message == "The cluster that held this result was stopped or lost; compute it again."
                assert record.stack is record.tiles is None
            again = await jobs.submit(quick, spec, ANONYMOUS, "a")
            await reaches(again, "done")
            await jobs.close()
            await house.pool.stop(spec)

    house.run(stop)


def test_a_scheduler_that_stays_dead_fails_its_jobs_and_closing_does_not_wait_for_it(
    house: House, quick: NdviPlan, slow: NdviPlan
) -> None:
    pool = ClusterPool(Settings(cluster_start_timeout_s=2.0))

    async def die(jobs: JobRegistry) -> None:
        async with LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            dashboard_address="127.0.0.1:0",
            asynchronous=True,
        ) as cluster:
            spec = parse_cluster(cluster.scheduler_address)
            done = await jobs.submit(quick, spec, ANONYMOUS, "a")
            await reaches(done, "done")
            running = await jobs.submit(slow, spec, ANONYMOUS, "a")
            await reaches(running, "running")
        await reaches(done, "expired")
        assert done.message.endswith("compute it again.")
        await reaches(running, "failed")
        assert running.row.attempts == 2
        assert running.message.startswith("The scheduler is gone")
        began = time.perf_counter()
        await jobs.close()
        await pool.close()
        assert time.perf_counter() - began < 5.0

    house.run(die, pool)
