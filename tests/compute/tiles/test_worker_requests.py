"""Questions to workers: few calls, the way that works, and nobody left waiting."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from distributed.protocol.pickle import dumps, loads

from compute.tiles.pixel_plugin import PIXELS, WorkerReplies
from compute.tiles.worker_requests import WorkerRequests


async def double(number: int, dask_worker: str) -> tuple[str, int]:
    """What the tests ask."""
    if number < 0:
        raise ValueError(number)
    return dask_worker, 2 * number


@dataclass(kw_only=True)
class Proxied:
    """A client of a cluster of which only the scheduler is reached, as behind a Gateway's proxy.

    It stands for Dask, of which it has what is asked of it: it is its own pool of connections and its own scheduler.
    """

    extensions: dict[str, Any] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    calls: list[int] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    plugins: int = 0
    hangs: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rpc(self) -> Self:
        return self

    @property
    def scheduler(self) -> Self:
        return self

    async def register_plugin(self, plugin: Any) -> None:
        assert plugin.name == PIXELS
        self.plugins += 1
        if self.hangs:
            await asyncio.Event().wait()

    async def connect(self, address: str, timeout: float) -> None:  # noqa: ASYNC109  # as Dask has it
        assert timeout <= 1
        self.tried.append(address)
        raise OSError("unreachable")

    async def nthreads(self, addresses: list[str]) -> dict[str, int]:
        return {each: 1 for each in addresses if each not in self.gone}

    async def broadcast(self, *, msg: dict[str, Any], workers: list[str], on_error: str) -> dict[str, Any]:
        assert (msg["op"], on_error) == (PIXELS, "return_pickle")
        (worker,) = workers
        pairs = loads(msg["questions"])
        self.calls.append(len(pairs))
        await self.open.wait()
        if worker in self.gone:
            return {worker: dumps(OSError("gone"))}
        asked = (function(argument, dask_worker=worker) for function, argument in pairs)
        return {worker: {"answers": WorkerReplies(each=await asyncio.gather(*asked, return_exceptions=True))}}


def test_questions_go_together_and_each_gets_its_own_answer() -> None:
    async def act() -> None:
        client = Proxied()
        ask = WorkerRequests.for_client(client).ask
        asked = [asyncio.create_task(ask(f"w{n % 2}", double, n)) for n in range(100)]
        await asyncio.sleep(0.01)
        assert client.calls == [8, 8, 8, 8]  # two calls to each worker; what comes meanwhile waits for the next
        client.open.set()
        assert await asyncio.gather(*asked) == [(f"w{n % 2}", 2 * n) for n in range(100)]
        assert sum(client.calls) == 100
        assert len(client.calls) <= 16
        assert client.plugins == 1

    asyncio.run(act())


def test_where_no_worker_is_reached_the_scheduler_is_asked_for_good() -> None:
    async def act() -> None:
        client = Proxied()
        client.open.set()
        for number in range(4):
            assert await WorkerRequests.for_client(client).ask("w", double, number) == ("w", 2 * number)
        assert client.tried == ["w"]
        assert WorkerRequests.for_client(client).direct is False

    asyncio.run(act())


def test_a_worker_that_hangs_holds_up_nobody_who_asks_another() -> None:
    async def act() -> None:
        client = Proxied(hangs=True)
        client.open.set()
        for number in range(20):
            async with asyncio.timeout(10):
                assert await WorkerRequests.for_client(client).ask("w", double, number) == ("w", 2 * number)
        assert client.plugins == 1

    asyncio.run(act())


def test_one_question_that_fails_spoils_no_other() -> None:
    async def act() -> None:
        client = Proxied()
        client.open.set()
        asked = [WorkerRequests.for_client(client).ask("w", double, number) for number in (1, -1, 2)]
        good, bad, other = await asyncio.gather(*asked, return_exceptions=True)
        assert (good, other) == (("w", 2), ("w", 4))
        assert isinstance(bad, ValueError)

    asyncio.run(act())


def test_a_worker_that_is_gone_is_told_and_others_answer() -> None:
    async def act() -> None:
        client = Proxied(gone={"a"})
        client.open.set()
        lost = asyncio.create_task(WorkerRequests.for_client(client).ask("a", double, 1))
        assert await WorkerRequests.for_client(client).ask("b", double, 1) == ("b", 2)
        with pytest.raises(OSError, match="gone"):
            await lost

    asyncio.run(act())


def test_a_worker_that_leaves_while_it_is_asked_is_not_waited_for() -> None:
    async def act() -> None:
        client = Proxied(gone={"a"})
        with pytest.raises(ConnectionError):
            await WorkerRequests.for_client(client).ask("a", double, 1)

    asyncio.run(act())


def test_what_nobody_waits_for_any_more_is_not_asked() -> None:
    async def act() -> None:
        client = Proxied()
        ask = WorkerRequests.for_client(client).ask
        asked = [asyncio.create_task(ask("w", double, n)) for n in range(40)]
        await asyncio.sleep(0.01)
        for task in asked[1:]:
            task.cancel()
        client.open.set()
        assert await asked[0] == ("w", 0)
        await asyncio.sleep(0.01)
        assert sum(client.calls) == 16

    asyncio.run(act())
