"""Clusters of a real Dask Gateway: what starts, what is refused, what it costs to fail, and that nothing is left."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread
from urllib.parse import urlsplit

import dask
import pytest

from compute.cluster import (
    ClusterOption,
    ClusterPool,
    RunningCluster,
    Stage,
    gateway_options,
    list_gateway_clusters,
    open_cluster,
    parse_cluster,
    stop_gateway_cluster,
)
from compute.errors import ClusterError, InputError
from compute.settings import Settings
from tests.fixtures.gateway import MAX_WORKERS, GatewayServer

pytestmark = pytest.mark.gateway


def clusters(settings: Settings) -> list[RunningCluster]:
    return asyncio.run(list_gateway_clusters(settings))


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def nothing_is_left(gateway: GatewayServer, settings: Settings) -> bool:
    return eventually(lambda: not gateway.processes()) and clusters(settings) == []


async def use(spec_text: str, settings: Settings, *options: str, workers: int | None = None) -> None:
    async with open_cluster(parse_cluster(spec_text, workers=workers, options=options), settings):
        pass


def test_a_new_cluster_has_the_options_and_workers_asked_for_and_ends_with_its_context(
    gateway: GatewayServer, gateway_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    stages: list[Stage] = []
    names: list[str] = []

    async def scenario() -> None:
        spec = parse_cluster("gateway", workers=2, options=["worker_threads=2", "worker_memory=0.5"])
        async with open_cluster(spec, gateway_settings, on_stage=stages.append) as cluster:
            assert (cluster.workers, cluster.threads, cluster.memory_bytes) == (2, 4, 2**30)
            assert cluster.version_notes == []
            assert await cluster.client.submit(sum, [1, 2]) == 3
            names.extend(each.name for each in await list_gateway_clusters(gateway_settings))
            assert names[0].startswith(cluster.name.split()[-1])
            assert names[0] not in cluster.name

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert nothing_is_left(gateway, gateway_settings)
    assert names[0] not in caplog.text
    assert names[0] not in repr(stages)
    steps = ["connecting", "starting scheduler", "starting workers", "checking versions", "ready"]
    assert list(dict.fromkeys(stage.name for stage in stages)) == steps
    assert stages[-1].total == 2
    assert stages[0].cluster == ""
    assert names[0].startswith(stages[-1].cluster)
    assert len(stages[-1].cluster) == 8
    assert all(earlier.seconds <= later.seconds for earlier, later in pairwise(stages))


def test_more_workers_than_the_gateway_allows_are_cut_to_what_it_allows(gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("gateway", workers=1), gateway_settings) as cluster:
            assert await cluster.scale(MAX_WORKERS + 5) == MAX_WORKERS
            await cluster.wait_for_workers(MAX_WORKERS, timeout_s=60)
            assert cluster.workers == MAX_WORKERS
            assert await cluster.scale(1) == 1

    asyncio.run(scenario())


def test_results_move_to_the_workers_that_stay(gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("gateway", workers=2), gateway_settings) as cluster:
            random = cluster.client.map(os.urandom, [8] * 20, pure=False)
            before = await cluster.client.gather(random)
            assert len(set((await cluster.client.who_has(random)).values())) == 2
            await cluster.scale(1)
            async with asyncio.timeout(30):
                while cluster.workers > 1:  # noqa: ASYNC110  # workers send no event
                    await asyncio.sleep(0.05)
            assert await cluster.client.gather(random) == before, "moved, not computed again"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("worker_cores=2", "it has: worker_threads, worker_memory, fault."),
        ("worker_threads=3", "a whole number at least 1 and at most 2"),
        ("worker_memory=much", "a number at least 0.5 and at most 4"),
        ("fault=both", "one of none, scheduler, worker"),
    ],
)
def test_an_option_that_is_not_offered_is_refused_before_anything_starts(
    gateway: GatewayServer, gateway_settings: Settings, option: str, says: str
) -> None:
    stages: list[Stage] = []

    async def scenario() -> None:
        spec = parse_cluster("gateway", options=[option])
        async with open_cluster(spec, gateway_settings, on_stage=stages.append):
            pass

    with pytest.raises(InputError) as refusal:
        asyncio.run(scenario())
    assert refusal.value.field == "cluster-option"
    assert says in str(refusal.value)
    assert [stage.name for stage in stages] == ["connecting"]


def test_the_options_of_the_gateway_are_listed_with_the_defaults_of_this_machine(gateway_settings: Settings) -> None:
    with dask.config.set({"gateway.cluster.options": {"worker_threads": 2}}):
        listed = asyncio.run(gateway_options(gateway_settings))
    assert [option.name for option in listed] == ["worker_threads", "worker_memory", "fault"]
    assert listed[0] == ClusterOption(
        name="worker_threads", label="Threads of a worker", kind="int", default=2, minimum=1, maximum=2
    )
    assert listed[2].choices == ("none", "scheduler", "worker")


def test_a_cluster_that_is_named_is_reused_and_left_running(gateway: GatewayServer, gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("gateway", workers=1), gateway_settings) as owner:
            listed = await list_gateway_clusters(gateway_settings)
            for name in (listed[0].name, listed[0].short_name):
                async with open_cluster(parse_cluster(f"gateway:{name}"), gateway_settings) as guest:
                    assert guest.workers == 1
                    assert await guest.client.submit(sum, [1, 2]) == 3
            assert await list_gateway_clusters(gateway_settings) == listed
            assert await owner.client.submit(sum, [3, 4]) == 7

    asyncio.run(scenario())
    assert nothing_is_left(gateway, gateway_settings)


def test_a_name_that_does_not_run_is_refused_with_those_that_do(gateway_settings: Settings) -> None:
    async def scenario() -> None:
        with pytest.raises(ClusterError, match="No cluster of that name runs at the Gateway; running: none"):
            await use("gateway:0a1b2c3d", gateway_settings)
        async with open_cluster(parse_cluster("gateway", workers=1), gateway_settings):
            running = (await list_gateway_clusters(gateway_settings))[0]
            with pytest.raises(ClusterError, match=f"running: {running.short_name}") as refusal:
                await use("gateway:0a1b2c3d", gateway_settings)
            assert running.name not in str(refusal.value)
            await stop_gateway_cluster(gateway_settings, running.short_name)
            with pytest.raises(ClusterError, match="running: none"):
                await use(f"gateway:{running.name}", gateway_settings)

    asyncio.run(scenario())


def test_a_body_that_fails_ends_the_cluster(gateway: GatewayServer, gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("gateway", workers=1), gateway_settings):
            raise LookupError("of the body")

    with pytest.raises(LookupError, match="of the body"):
        asyncio.run(scenario())
    assert nothing_is_left(gateway, gateway_settings)


@pytest.mark.parametrize(
    ("fault", "seconds", "says"),
    [
        ("scheduler", 2, "The scheduler did not start within 2 s; the Gateway may be out of capacity"),
        # Time enough for the scheduler on a busy machine.
        ("worker", 10, "0 of 2 workers started within 10 s; the cluster may be out of capacity"),
    ],
)
def test_a_start_that_takes_too_long_says_what_did_not_start_and_leaves_nothing(
    gateway: GatewayServer, gateway_settings: Settings, fault: str, seconds: float, says: str
) -> None:
    settings = gateway_settings.model_copy(update={"cluster_start_timeout_s": float(seconds)})
    with pytest.raises(ClusterError, match=says):
        asyncio.run(use("gateway", settings, f"fault={fault}", workers=2))
    assert nothing_is_left(gateway, gateway_settings)


@pytest.mark.parametrize(
    "detail",
    [
        "Connecting to the Dask Gateway.",
        "Requesting a cluster from the Gateway.",
        "The Gateway is starting the scheduler.",
        "0 of 1 workers are ready.",
        "Comparing software versions.",
    ],
)
def test_being_cancelled_anywhere_in_the_start_leaves_nothing(
    gateway: GatewayServer, gateway_settings: Settings, detail: str
) -> None:
    async def scenario() -> None:
        task = asyncio.current_task()
        assert task is not None
        spec = parse_cluster("gateway", workers=1)
        async with open_cluster(
            spec, gateway_settings, on_stage=lambda stage: stage.detail == detail and task.cancel()
        ):
            await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scenario())
    assert nothing_is_left(gateway, gateway_settings)


@asynccontextmanager
async def forwarder(address: str) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """Another address of the Gateway's own, and a call that takes it away."""
    target = urlsplit(address)
    writers: list[asyncio.StreamWriter] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(target.hostname, target.port)
        writers.extend((writer, back))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(forward, "127.0.0.1")

    async def leave() -> None:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()

    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", leave
    await leave()


@pytest.mark.parametrize("opened", [True, False])
def test_a_cluster_that_cannot_be_stopped_is_said_and_by_its_short_name(
    gateway_settings: Settings, opened: bool
) -> None:
    """Also where it has only begun to start: the Gateway has it by then."""
    at = "ready" if opened else "starting workers"

    async def scenario() -> None:
        async with forwarder(str(gateway_settings.gateway_address)) as (address, leave):
            settings = gateway_settings.model_copy(update={"gateway_address": address})
            pool = ClusterPool(settings)
            spec = parse_cluster("gateway", workers=1)
            pooled = pool.open(spec)
            async with asyncio.timeout(60):
                while not (pooled.stage and pooled.stage.name == at and (pooled.connection or not opened)):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await leave()
            with pytest.raises(ClusterError) as failure:
                await pool.stop(spec)
        (left,) = await list_gateway_clusters(gateway_settings)
        says = f"Gateway cluster {left.short_name} was not stopped and may still cost money: The Dask Gateway cannot be"
        assert str(failure.value).startswith(says)
        assert left.name not in str(failure.value)
        assert pool.owners == {left.short_name: None}
        await stop_gateway_cluster(gateway_settings, left.short_name)

    with dask.config.set(
        {"gateway.proxy-address": f"gateway://{urlsplit(str(gateway_settings.gateway_address)).netloc}"}
    ):
        asyncio.run(scenario())


def test_a_cluster_that_is_lost_is_said_to_be_also_where_it_cannot_be_stopped(gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with forwarder(str(gateway_settings.gateway_address)) as (address, leave):
            pool = ClusterPool(gateway_settings.model_copy(update={"gateway_address": address}))
            connection = await pool.get(parse_cluster("gateway", workers=1))
            (pooled,) = pool.clusters()
            await leave()
            await connection.client.close()
            assert not pool.is_usable(connection)
            async with asyncio.timeout(20):
                while not pooled.error:  # noqa: ASYNC110  # as the page does
                    await asyncio.sleep(0.05)
            await pool.close()
        assert pooled.error.endswith("was lost and its results with it; compute again to open another.")
        await stop_gateway_cluster(gateway_settings, pooled.short_name)

    with dask.config.set(
        {"gateway.proxy-address": f"gateway://{urlsplit(str(gateway_settings.gateway_address)).netloc}"}
    ):
        asyncio.run(scenario())


def test_a_killed_worker_comes_back_and_its_work_is_done_again(gateway_settings: Settings) -> None:
    async def scenario() -> None:
        async with open_cluster(parse_cluster("gateway", workers=2), gateway_settings) as cluster:
            persisted = cluster.client.map(abs, range(-20, 0))
            await cluster.client.gather(persisted)
            os.kill(next(iter((await cluster.client.run(os.getpid)).values())), signal.SIGKILL)
            assert await cluster.client.submit(sum, persisted) == 210
            await cluster.wait_for_workers(2, timeout_s=30)
            assert await cluster.client.gather(persisted) == list(range(20, 0, -1))

    asyncio.run(scenario())


def test_a_scheduler_that_is_gone_is_given_up_in_seconds_and_one_that_is_slow_is_not(
    gateway: GatewayServer, gateway_settings: Settings
) -> None:
    async def scenario() -> None:
        pool, following = ClusterPool(gateway_settings), ClusterPool(gateway_settings)
        spec = parse_cluster("gateway", workers=1)
        connection = await pool.get(spec)
        (pooled,) = pool.clusters()
        (scheduler,) = (each for each in gateway.processes() if "distributed.cli.dask_scheduler" in each.cmdline())
        gone = connection._gone
        assert gone is not None
        assert not await gone()
        scheduler.suspend()
        assert not await gone()
        scheduler.resume()
        scheduler.kill()
        # The next server, before the Gateway has seen it.
        assert following.adopt_cluster(spec, pooled.short_name)
        (taken,) = following.clusters()
        # Dask's own client would try for 30 s.
        async with asyncio.timeout(25):
            while not (pooled.error and taken.error):  # noqa: ASYNC110  # as the page does
                await asyncio.sleep(0.05)
        assert pooled.error.endswith("was lost and its results with it; compute again to open another.")
        assert taken.error == "The scheduler is gone; it was stopped or lost, so open another."
        await asyncio.gather(pool.close(), following.close())

    asyncio.run(scenario())
    assert nothing_is_left(gateway, gateway_settings)


def test_a_wrong_password_is_said(gateway_settings: Settings) -> None:
    with (
        dask.config.set({"gateway.auth.kwargs": {"username": "tester", "password": "autumn"}}),
        pytest.raises(ClusterError, match="refused the login"),
    ):
        clusters(gateway_settings)


# Gateways that are not there


@contextmanager
def silent_server() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class _AnotherPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Hello</html>")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def another_server() -> Iterator[str]:
    """Answers everything with a page, as a login portal in front of the Gateway does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _AnotherPage) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextmanager
def no_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (no_server, "The Dask Gateway cannot be reached"),
        (silent_server, r"The Dask Gateway did not answer within 0\.5 s"),
        (another_server, "The server at this address is not a Dask Gateway"),
    ],
)
def test_a_gateway_that_is_not_there_is_said_within_the_bound(
    monkeypatch: pytest.MonkeyPatch, server: Callable[[], AbstractContextManager[str]], says: str
) -> None:
    monkeypatch.setattr("compute.cluster.gateway_answers._ANSWER_S", 0.5)
    began = time.monotonic()
    with (
        server() as address,
        dask.config.set({"gateway.http-client.proxy": False}),
        pytest.raises(ClusterError, match=says) as refusal,
    ):
        asyncio.run(use("gateway", Settings(_env_file=None, gateway_address=address)))
    assert time.monotonic() - began < 5
    assert "127.0.0.1" not in str(refusal.value)


def test_no_gateway_configured_is_said() -> None:
    with (
        dask.config.set({"gateway.address": None}),
        pytest.raises(InputError, match="set GREENUP_GATEWAY_ADDRESS"),
    ):
        asyncio.run(use("gateway", Settings(_env_file=None, gateway_address=None)))


def test_a_login_that_cannot_be_built_is_said() -> None:
    with (
        dask.config.set({"gateway.auth.type": "no.such.login"}),
        pytest.raises(ClusterError, match=r"check gateway\.address and gateway\.auth"),
    ):
        asyncio.run(use("gateway", Settings(_env_file=None, gateway_address="http://127.0.0.1:9")))
