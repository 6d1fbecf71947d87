"""The durable list of jobs, on SQLite and on PostgreSQL: rows come back as they went, and a job has one owner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Float, create_engine, type_coerce, update

from compute.cluster import ClusterSpec
from compute.errors import InputError, JobStoreError
from compute.jobs.jobstore.clusters import ClusterRow
from compute.jobs.jobstore.job_store import JobStore
from compute.jobs.jobstore.rows import JobDetails, JobRow, State
from compute.jobs.jobstore.tables import CLUSTERS, JOBS, LEASE_S
from compute.scenes import UnreadScene

NOW = datetime(2026, 11, 26, 3, 0, 0, 123456, UTC)
BROKEN = UnreadScene(scene="c", file="red.tif", reason="is damaged")
DETAILS = JobDetails(recipe='{"by": "season"}', plan=b"\x00\xff plan", failed_scenes=(UnreadScene(scene="a"), BROKEN))
TOKEN = "a" * 32


def job(**changes: Any) -> JobRow:
    values: dict[str, Any] = {
        "token": TOKEN,
        "scope": "shared",
        "owner": "anonymous",
        "about": {"start": "2020-12-01", "products": ["p"], "bbox": [1.0, 2.0, 3.0, 4.0], "grid": [5, 6]},
        "engine": "0.1.0",
        "cluster": ClusterSpec(kind="gateway", workers=3, options={"cores": "2"}, owner="me"),
        "total": 12,
        "created": NOW,
        "holder": "one",
    }
    return JobRow(**(values | changes))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database that several stores may share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'jobs.sqlite'}"
    location = request.getfixturevalue("empty_index").index_url.get_secret_value()
    return str(location)


def run_out(url: str) -> None:
    """Let every lease have run out a second ago."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in (JOBS, CLUSTERS):
            connection.execute(update(table).values(lease_end=type_coerce(table.c.lease_end, Float) - (LEASE_S + 2)))
    engine.dispose()


def at_once(ask: Callable[[int], bool], count: int = 6) -> list[bool]:
    """Return what threads are answered that ask at the same time."""
    answers, start = [False] * count, threading.Barrier(count)

    def asking(number: int) -> None:
        start.wait()
        answers[number] = ask(number)

    threads = [threading.Thread(target=asking, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_the_life_of_a_job_is_written_and_read(url: str) -> None:
    one, two = JobStore(url), JobStore(url)
    assert (two.list_jobs(), two.find_job(TOKEN), two.read_details(TOKEN)) == ([], None, None)
    assert one.add_job(job(), DETAILS)
    assert two.read_details(TOKEN) == DETAILS
    running = job(state="running", done=5, started=NOW, message="so far", attempts=1, cluster_name="abc")
    assert one.save_job(running, "one", (BROKEN,))
    found = two.find_job(TOKEN)
    assert found is not None
    assert found.lease_end is not None
    assert replace(found, lease_end=None) == replace(running, opened=found.opened)
    assert two.read_details(TOKEN) == replace(DETAILS, failed_scenes=(BROKEN,))
    assert one.save_job(job(state="done", done=12, ended=NOW, size=10**12), "one")
    [ended] = two.list_jobs()
    assert (ended.state, ended.size, ended.holder, ended.lease_end) == ("done", 10**12, "", None)
    two.set_title(TOKEN, "Heard")
    two.record_opening(TOKEN, NOW + timedelta(days=1))
    renamed = one.find_job(TOKEN)
    assert renamed is not None
    assert (renamed.title, renamed.opened) == ("Heard", NOW + timedelta(days=1))
    assert one.end_job(TOKEN, "done", "expired", "It has expired.")
    assert one.read_details(TOKEN) == JobDetails(recipe=DETAILS.recipe)
    assert one.delete_job(TOKEN)
    assert two.list_jobs() == []
    for store in (one, two):
        store.close()


def test_a_job_has_one_owner_however_many_want_it(url: str) -> None:
    stores = [JobStore(url) for _ in range(6)]
    assert at_once(lambda n: stores[n].add_job(job(holder=f"server-{n}"), DETAILS)).count(True) == 1
    assert not any(at_once(lambda n: stores[n].take_over_job(TOKEN, "another")))
    assert stores[0].list_orphans() == []
    run_out(url)
    assert stores[0].list_orphans() == [TOKEN]
    taken = at_once(lambda n: stores[n].take_over_job(TOKEN, f"next-{n}"))
    assert taken.count(True) == 1
    owner = f"next-{taken.index(True)}"
    assert [store.renew_leases(f"next-{n}", [TOKEN]) == {TOKEN} for n, store in enumerate(stores)] == taken
    # Who has lost it can neither write it nor end it nor delete it.
    assert not stores[0].save_job(job(state="failed"), "server-0")
    assert not stores[0].end_job(TOKEN, "queued", "cancelled", "")
    assert not stores[0].delete_job(TOKEN)
    assert not stores[0].add_job(job(), DETAILS)
    stores[0].release_jobs(owner)
    assert stores[1].take_over_job(TOKEN, "after a restart")
    for store in stores:
        store.close()


def test_of_jobs_that_are_asked_for_anywhere_only_so_many_of_a_scope_begin_the_first_first(url: str) -> None:
    stores = [JobStore(url) for _ in range(6)]
    tokens = [f"{n:032x}" for n in range(6)]
    for n, store in enumerate(stores):
        assert store.add_job(job(token=tokens[n], holder=f"server-{n}", created=NOW + timedelta(seconds=n)), DETAILS)
    assert stores[0].add_job(job(token="f" * 32, scope="another", holder="server-0"), DETAILS)

    def begun(most: int) -> list[int]:
        began = at_once(lambda n: stores[n].start_queued_job(tokens[n], f"server-{n}", most))
        return [n for n, yes in enumerate(began) if yes]

    # Who asks while one before it begins is asked to wait, and asks again.
    assert set(begun(2)) <= {0, 1}
    begun(2)
    states = [row.state for row in reversed(stores[0].list_jobs()) if row.scope == "shared"]
    assert states == ["connecting"] * 2 + ["queued"] * 4
    assert begun(2) == []
    assert stores[0].start_queued_job("f" * 32, "server-0", 1)
    assert not stores[3].start_queued_job(tokens[2], "server-3", 9), "it is another server's"
    assert stores[0].save_job(job(token=tokens[0], state="done", size=1), "server-0")
    assert begun(2) == [2]
    # Servers that are dead have nothing under way, and nothing that waits.
    run_out(url)
    assert stores[5].start_queued_job(tokens[5], "server-5", 1)
    assert not stores[4].start_queued_job(tokens[4], "server-4", 1)
    for store in stores:
        store.close()


@pytest.mark.parametrize("state", ["running", "done", "failed", "cancelled", "expired"])
def test_only_what_has_ended_without_a_result_is_replaced_and_keeps_its_title(state: State) -> None:
    store = JobStore()
    assert store.add_job(job(), DETAILS)
    store.set_title(TOKEN, "Mine")
    assert store.save_job(job(state=state, size=1), "one")
    assert store.add_job(job(holder="two"), DETAILS) == (state not in ("running", "done"))
    found = store.find_job(TOKEN)
    assert found is not None
    assert (found.title, found.holder) == ("Mine", {"running": "one", "done": ""}.get(state, "two"))


def test_who_takes_part_in_a_job_is_known_until_they_leave_it_is_deleted_or_begun_again(url: str) -> None:
    store, other = JobStore(url), JobStore(url)
    assert store.add_job(job(), DETAILS)
    for name in ("a", "b", "a"):
        store.participants.add_participant(TOKEN, name)
    store.participants.add_participant("b" * 32, "c")
    assert other.participants.remove_participant(TOKEN, "a")
    assert other.participants.remove_participant(TOKEN, "who only looked")
    assert not other.participants.remove_participant(TOKEN, "b")
    store.participants.add_participant(TOKEN, "a")
    assert store.save_job(job(state="failed"), "one")
    assert store.add_job(job(), DETAILS)
    assert not store.participants.remove_participant(TOKEN, "b")
    store.participants.add_participant(TOKEN, "a")
    assert store.delete_job(TOKEN, "one")
    assert not store.participants.remove_participant(TOKEN, "b")
    assert store.participants.remove_participant("b" * 32, "b")
    for each in (store, other):
        each.close()


def test_an_expired_job_is_listed_for_a_week_and_known_for_ever() -> None:
    store = JobStore()
    store.add_job(job(state="expired", changed=NOW), DETAILS)
    assert [len(store.list_jobs(NOW + timedelta(days=days))) for days in (0, 6, 8)] == [1, 1, 0]
    assert store.find_job(TOKEN) is not None


def test_what_others_want_reaches_the_owner_until_the_job_has_ended() -> None:
    store = JobStore()
    store.add_job(job(), DETAILS)
    store.request_action(TOKEN, "cancel")
    store.save_job(job(state="running"), "one")
    assert [row.wanted for row in store.list_jobs()] == ["cancel"]
    store.save_job(job(state="cancelled"), "one")
    assert [row.wanted for row in store.list_jobs()] == [""]


_TIMES = st.integers(0, 2**52).map(lambda us: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us))
_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.builds(
        JobRow,
        token=st.text("0123456789abcdef", min_size=32, max_size=32),
        scope=_WORDS,
        owner=_WORDS,
        title=_WORDS,
        about=st.dictionaries(_WORDS, st.lists(st.floats(allow_nan=False, allow_infinity=False))),
        engine=_WORDS,
        cluster=st.builds(
            ClusterSpec,
            kind=st.sampled_from(["local", "gateway", "tcp"]),
            name=st.none() | _WORDS,
            workers=st.none() | st.integers(1, 9),
            options=st.dictionaries(_WORDS, _WORDS, max_size=2),
            owner=st.none() | _WORDS,
        ),
        message=_WORDS,
        state=st.sampled_from(["queued", "connecting", "running", "done", "failed", "cancelled"]),
        done=st.integers(0, 10**6),
        total=st.integers(0, 10**6),
        size=st.integers(0, 2**60),
        attempts=st.integers(0, 9),
        created=_TIMES,
        started=st.none() | _TIMES,
        ended=st.none() | _TIMES,
        opened=_TIMES,
        changed=_TIMES,
        holder=st.just(""),
    ),
    failed=st.lists(st.builds(UnreadScene, scene=_WORDS, file=_WORDS, reason=_WORDS), max_size=3).map(tuple),
    plan=st.binary(max_size=50),
)
def test_whatever_a_row_holds_comes_back(row: JobRow, failed: tuple[UnreadScene, ...], plan: bytes) -> None:
    store = JobStore()
    details = JobDetails(recipe=row.title, plan=plan, failed_scenes=failed)
    assert store.add_job(row, details)
    assert store.find_job(row.token) == row
    assert store.read_details(row.token) == details
    store.close()


# What does not work


def test_a_store_that_cannot_be_written_can_still_be_read(tmp_path: Path) -> None:
    file = tmp_path / "jobs.sqlite"
    writable = JobStore(f"sqlite:///{file}")
    writable.add_job(job(), DETAILS)
    writable.close()
    store = JobStore(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert [row.token for row in store.list_jobs()] == [TOKEN]
    with pytest.raises(JobStoreError, match=r"cannot be written; check the disk .* GREENUP_JOBS_URL\.$"):
        store.save_job(job(state="running"), "one")


@pytest.mark.parametrize("url", ["sqlite:////proc/none/jobs.sqlite", "postgresql://nobody@127.0.0.1:9/none"])
def test_a_store_that_is_not_there_is_a_sentence_without_its_address(url: str) -> None:
    with pytest.raises(JobStoreError) as error:
        JobStore(url).list_jobs()
    assert str(error.value) == (
        "The list of jobs cannot be read; check the disk or the database behind GREENUP_JOBS_URL."
    )


@pytest.mark.parametrize("url", ["jobs.sqlite", "nothing://here", "mssql+unknown://x"])
def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="GREENUP_JOBS_URL is not a database URL"):
        JobStore(url)


def test_clusters_are_held_as_long_as_the_jobs_of_their_server(url: str) -> None:
    one, two = JobStore(url), JobStore(url)
    assert one.add_job(job(), DETAILS)
    row = ClusterRow(name="0a1b2c3d", cluster=job().cluster, holder="one")
    for _ in range(2):
        one.clusters.add_cluster(row)
    assert two.clusters.list_clusters() == [row]
    two.clusters.take_over_unheld("two")
    assert two.clusters.list_clusters() == [row]
    run_out(url)
    one.renew_leases("one", [])
    two.clusters.take_over_unheld("two")
    assert two.clusters.list_clusters() == [row], (
        "a server that gives a sign of life keeps its clusters, whatever its jobs do"
    )
    assert two.list_orphans() == [TOKEN]
    run_out(url)
    two.clusters.take_over_unheld("two")
    assert [each.holder for each in one.clusters.list_clusters()] == ["two"]
    one.clusters.delete_cluster(row.name)
    assert two.clusters.list_clusters() == []


def test_jobs_are_held_as_long_as_a_cluster_that_their_server_has_just_started(url: str) -> None:
    store = JobStore(url)
    assert store.add_job(job(), DETAILS)
    run_out(url)
    store.clusters.add_cluster(ClusterRow(name="0a1b2c3d", cluster=job().cluster, holder="one"))
    assert store.list_orphans() == []
