"""Requests to workers for pixels, sent to handlers instead of as tasks, with several requests in a call.

A handler of a worker responds within a millisecond even if all threads are computing. A task takes ten milliseconds,
and starts only after running tasks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from distributed.core import send_recv
from distributed.protocol.pickle import dumps, loads

from compute.tiles.pixel_plugin import PIXELS, PixelPlugin, WorkerReplies

Ask = Callable[..., Awaitable[Any]]
"""Asynchronous module-level function that takes an argument and ``dask_worker``."""

_PATIENCE_S, _LIMIT_S = 1.0, 15.0
"""Seconds without a response after which the scheduler is queried whether the worker is alive, since a connection to a
dead worker takes half a minute to fail; and seconds after which the request fails. A request is never sent again to a
busy worker."""

_CHECK_S = 3.0
"""Timeout of the query to the scheduler, in seconds."""

_TRY_S = 1.0
"""Timeout of connections to workers in seconds until one has succeeded; short, since firewalls may drop packets."""

_CALLS, _BATCH = 2, 8
"""Largest number of concurrent calls to one worker, so that it has work during the transfer of a response; and of
requests in a call, so that a tile is not delayed by all other tiles of a screen."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _PendingRequest:
    function: Ask
    argument: Any
    answer: asyncio.Future[Any]


@dataclass(kw_only=True, eq=False, slots=True)
class _WorkerQueue:
    """Pending requests to one worker, and the number of its concurrent senders."""

    waiting: deque[_PendingRequest] = field(default_factory=deque)
    calls: int = 0

    def next_batch(self) -> list[_PendingRequest]:
        """Remove and return the requests of the next call; cancelled requests are dropped."""
        taken: list[_PendingRequest] = []
        while self.waiting and len(taken) < _BATCH:
            question = self.waiting.popleft()
            if not question.answer.done():
                taken.append(question)
        return taken


class WorkerRequests:
    """Requests to the workers of one cluster, batched into a small number of calls.

    A request is sent immediately unless `_CALLS` calls to its worker are running. Otherwise it is sent with other
    requests in the next call. Use `for_client` to obtain an instance, so that all results of a cluster share the calls.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client of the event loop in which `ask` is awaited.
    direct : bool, optional
        Whether to connect to workers directly instead of through the scheduler. By default, a direct connection is
        tried first, and the route of the first response is used from then on.
    """

    def __init__(self, client: Any, *, direct: bool | None = None) -> None:
        self.direct = direct
        self._client = client
        self._queues: dict[str, _WorkerQueue] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._installing: asyncio.Future[Any] | None = None
        self._hanging = False

    @classmethod
    def for_client(cls, client: Any) -> Self:
        """Return the instance of a client, which is created on the first call."""
        asker: Self = client.extensions.setdefault(PIXELS, cls(client))
        return asker

    async def ask(self, address: str, function: Ask, argument: Any) -> Any:
        """Run a function on a worker.

        Parameters
        ----------
        address : str
            Address of the worker.
        function, argument
            ``await function(argument, dask_worker=...)`` is run on the event loop of the worker.

        Returns
        -------
        object
            Result of the function.

        Raises
        ------
        OSError
            The worker is lost or did not respond in time.
        Exception
            The function raised an exception, which is raised here.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(address, _WorkerQueue())
        queue.waiting.append(_PendingRequest(function=function, argument=argument, answer=answer))
        if queue.calls < _CALLS:
            queue.calls += 1
            # The new task starts after callbacks that are already scheduled, so simultaneous requests share a call.
            sender = asyncio.create_task(self._send_pending(address, queue))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await answer

    async def _send_pending(self, address: str, queue: _WorkerQueue) -> None:
        """Send requests to a worker until none is pending."""
        while questions := queue.next_batch():
            await self._send_batch(address, questions)
        queue.calls -= 1
        if not queue.calls:
            del self._queues[address]

    async def _send_batch(self, address: str, questions: Sequence[_PendingRequest]) -> None:
        try:
            pairs = dumps([(each.function, each.argument) for each in questions])
            answers = await self._await_reply(address, pairs)
        except Exception as error:  # noqa: BLE001  # every error is raised in `ask`
            answers = [error] * len(questions)
        for question, answer in zip(questions, answers, strict=True):
            if question.answer.done():
                continue
            if isinstance(answer, Exception):
                question.answer.set_exception(answer)
            else:
                question.answer.set_result(answer)

    async def _await_reply(self, address: str, questions: bytes) -> Sequence[Any]:
        """Return the response to a call; raise OSError if the worker is lost or after `_LIMIT_S`."""
        call = asyncio.ensure_future(self._call(address, questions))
        try:
            async with asyncio.timeout(_LIMIT_S):
                while not (await asyncio.wait({call}, timeout=_PATIENCE_S))[0]:
                    await self._check(address)
            return call.result()
        finally:
            call.cancel()

    async def _check(self, address: str) -> None:
        async with asyncio.timeout(_CHECK_S):
            if not await self._client.nthreads([address]):
                raise ConnectionError("The worker is gone.")

    async def _call(self, address: str, questions: bytes) -> Sequence[Any]:
        await self._installed()
        reply = await self._reply(address, questions)
        if not isinstance(reply, dict) or "answers" not in reply:
            raise ConnectionError("The worker does not answer for pixels yet.")
        answers: WorkerReplies = reply["answers"]
        return answers.each

    async def _installed(self) -> None:
        """Install the plugin on all workers, without waiting for a worker that does not respond."""
        if self._installing is None or _failed(self._installing):
            self._installing = asyncio.ensure_future(self._client.register_plugin(PixelPlugin()))
            # The exception is retrieved, since asyncio would otherwise log it with the full name of a Gateway cluster.
            self._installing.add_done_callback(_failed)
        if not (self._installing.done() or self._hanging):
            self._hanging = bool((await asyncio.wait({self._installing}, timeout=_PATIENCE_S))[1])

    async def _reply(self, address: str, questions: bytes) -> Any:
        """Send a call to a worker directly, or through the scheduler if no direct connection has ever succeeded."""
        if self.direct is not False:
            try:
                return await self._ask_directly(address, questions)
            except OSError:
                if self.direct:
                    raise
        reply = await self._ask_scheduler(address, questions)
        self.direct = bool(self.direct)
        return reply

    async def _ask_directly(self, address: str, questions: bytes) -> Any:
        pool = self._client.rpc
        comm = await pool.connect(address, timeout=_LIMIT_S if self.direct else _TRY_S)
        self.direct = True
        try:
            return await send_recv(comm, op=PIXELS, questions=questions)
        finally:
            pool.reuse(address, comm)

    async def _ask_scheduler(self, address: str, questions: bytes) -> Any:
        message = {"op": PIXELS, "questions": questions}
        replies = await self._client.scheduler.broadcast(msg=message, workers=[address], on_error="return_pickle")
        reply = replies[address]
        if isinstance(reply, bytes):
            raise loads(reply)
        return reply


def _failed(done: asyncio.Future[Any]) -> bool:
    return done.done() and (done.cancelled() or done.exception() is not None)
