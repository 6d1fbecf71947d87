"""Requests to workers for pixels: direct connections beside the task queue, several at once.

A worker's handler answers within a millisecond whatever its threads are computing; a task takes ten, and waits behind
those that run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from distributed.core import send_recv
from distributed.protocol.pickle import dumps, loads

from compute.tiles.tile_patches import PIXELS, PixelPlugin, WorkerReplies

Ask = Callable[..., Awaitable[Any]]
"""An asynchronous function at module level that takes an argument and ``dask_worker``."""

_PATIENCE_S, _LIMIT_S = 1.0, 15.0
"""How long an answer is awaited until the scheduler is asked whether the worker is still there, for the address of a
dead one is tried for half a minute; and how long at the most. A busy worker is never asked twice."""

_CHECK_S = 3.0
"""How long the scheduler may take to say so; a busy one does not answer at once."""

_TRY_S = 1.0
"""How long a connection to a worker is tried, until one has succeeded: firewalls let packets vanish."""

_CALLS, _BATCH = 2, 8
"""Calls to one worker under way, so that it has work while an answer travels, and questions that one of them carries
at the most, so that no tile waits for a whole screen of others."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _Request:
    function: Ask
    argument: Any
    answer: asyncio.Future[Any]


@dataclass(kw_only=True, eq=False, slots=True)
class _WorkerQueue:
    """Pending questions to one worker, and the number of its calls under way."""

    waiting: deque[_Request] = field(default_factory=deque)
    calls: int = 0

    def next_batch(self) -> list[_Request]:
        """Return the questions of the next call; those that nobody waits for any more are dropped."""
        taken: list[_Request] = []
        while self.waiting and len(taken) < _BATCH:
            question = self.waiting.popleft()
            if not question.answer.done():
                taken.append(question)
        return taken


class WorkerRequests:
    """Asks the workers of one cluster, each by as few calls as may be.

    A question goes at once when its worker is free; those that come while calls to it are under way go together with
    the next one. Take it from `of`, so that all results of a cluster share the calls.

    Parameters
    ----------
    client : distributed.Client
        Asynchronous client, of the event loop in which `ask` is awaited.
    direct : bool, optional
        Whether workers are reached without the scheduler; left out, the first that answers decides for all.
    """

    def __init__(self, client: Any, *, direct: bool | None = None) -> None:
        self.direct = direct
        self._client = client
        self._queues: dict[str, _WorkerQueue] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._installing: asyncio.Future[Any] | None = None
        self._hanging = False

    @classmethod
    def of(cls, client: Any) -> Self:
        """Return the one that belongs to a client."""
        asker: Self = client.extensions.setdefault(PIXELS, cls(client))
        return asker

    async def ask(self, address: str, function: Ask, argument: Any) -> Any:
        """Run a function on a worker.

        Parameters
        ----------
        address : str
            The worker's.
        function, argument
            What is run: ``await function(argument, dask_worker=...)`` on the event loop of the worker.

        Raises
        ------
        OSError
            The worker is gone or did not answer in time.
        Exception
            Whatever the function raised.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(address, _WorkerQueue())
        queue.waiting.append(_Request(function=function, argument=argument, answer=answer))
        if queue.calls < _CALLS:
            queue.calls += 1
            # A task begins after whatever else is about to ask: all of it goes in one call.
            sender = asyncio.create_task(self._send_pending(address, queue))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await answer

    async def _send_pending(self, address: str, queue: _WorkerQueue) -> None:
        """Carry questions to a worker until none is left."""
        while questions := queue.next_batch():
            await self._send_batch(address, questions)
        queue.calls -= 1
        if not queue.calls:
            del self._queues[address]

    async def _send_batch(self, address: str, questions: Sequence[_Request]) -> None:
        try:
            pairs = dumps([(each.function, each.argument) for each in questions])
            answers = await self._await_reply(address, pairs)
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            answers = [error] * len(questions)
        for question, answer in zip(questions, answers, strict=True):
            if question.answer.done():
                continue
            if isinstance(answer, Exception):
                question.answer.set_exception(answer)
            else:
                question.answer.set_result(answer)

    async def _await_reply(self, address: str, questions: bytes) -> Sequence[Any]:
        """Wait for a call as long as its worker is there, and not for ever."""
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
        """Have the plugin on all workers; where one of them hangs, the others answer all the same."""
        if self._installing is None or _failed(self._installing):
            self._installing = asyncio.ensure_future(self._client.register_plugin(PixelPlugin()))
            # Looked at, or asyncio would report it as forgotten, naming a Gateway's cluster in full.
            self._installing.add_done_callback(_failed)
        if not (self._installing.done() or self._hanging):
            self._hanging = bool((await asyncio.wait({self._installing}, timeout=_PATIENCE_S))[1])

    async def _reply(self, address: str, questions: bytes) -> Any:
        """Ask directly, or through the scheduler where no worker was ever reached; what worked is kept to."""
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
