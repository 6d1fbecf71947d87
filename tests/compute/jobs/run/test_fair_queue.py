"""Several computations on one scheduler: users take turns, whatever each has under way, and no bit depends on it."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from typing import Any

import dask
import numpy as np
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from compute.jobs.run.block_submission import BlockSubmission
from compute.jobs.run.fair_queue import FairQueue
from compute.result.stack import SeasonStack
from tests.compute.jobs.run.test_block_submission import order_of, with_threads
from tests.fixtures.stacks import grid_at, lazy_stack

WINDOW = 6
"""Blocks of a computation with the scheduler at once."""


def computed(users: list[str], late: int, threads: int, blocks: int) -> list[int]:
    """Return whose computation each next block is of, on an ideal scheduler; the last one begins `late`."""
    sharing = FairQueue()
    shares = [sharing.add_share(user) for user in users]
    queue: list[tuple[int, int, int]] = []
    running: list[tuple[int, int]] = []
    handed: Counter[int] = Counter()
    order: list[int] = []

    def hand_over(number: int) -> None:
        handed[number] += 1
        key = (f"{number}", handed[number])
        heapq.heappush(queue, (shares[number].assign_rank(key), number, handed[number]))

    def begin(number: int) -> None:
        shares[number].join()
        for _ in range(WINDOW):
            hand_over(number)

    for number in range(len(users) - 1):
        begin(number)
    while len(order) < blocks:
        if len(order) == late:
            begin(len(users) - 1)
        while len(running) < threads:
            _, number, count = heapq.heappop(queue)
            running.append((number, count))
        number, count = running.pop(0)
        order.append(number)
        shares[number].record_end((f"{number}", count))
        hand_over(number)
    return order


@given(
    others=st.lists(st.sampled_from("ab"), min_size=1, max_size=5), late=st.integers(0, 40), threads=st.integers(1, 2)
)
def test_users_get_as_many_blocks_each_however_many_computations_they_have(
    others: list[str], late: int, threads: int
) -> None:
    users = [*others, "late"]
    order = computed(users, late, threads, late + 240)
    # What was handed over before is spaced for fewer computations; it is done with after a while.
    counts = Counter(users[number] for number in order[late + 120 :])
    assert len(counts) == len(set(users))
    assert max(counts.values()) - min(counts.values()) <= 2 * WINDOW
    # Who comes late waits for what runs, and for one turn of every other computation.
    assert order.index(len(users) - 1) - late <= threads + 2 * len(others)


def test_who_has_left_takes_no_turns() -> None:
    sharing = FairQueue()
    gone, stays = sharing.add_share("a"), sharing.add_share("a")
    for share in (gone, stays):
        share.join()
    assert [stays.assign_rank(("s", 1)), stays.assign_rank(("s", 2))] == [2, 4]
    gone.leave()
    assert stays.assign_rank(("s", 3)) == 5


def lazy(token: str) -> SeasonStack:
    """64 blocks, each of which takes longer than a busy machine needs to hand over the next."""
    return lazy_stack(grid_at("EPSG:3577", (128, 128)), seasons=1, chunk_px=16, seconds=0.04, token=token)


async def note(feeding: BlockSubmission, name: str, ended: list[str]) -> None:
    async for _ in feeding.ended_blocks():
        ended += [name]


def test_a_computation_that_begins_later_has_its_share_at_once_and_no_bit_depends_on_it() -> None:
    async def share(client: Client) -> None:
        sharing, ended = FairQueue(), list[str]()

        def begin(user: str, token: str) -> tuple[BlockSubmission, asyncio.Task[None]]:
            stack = lazy(token)
            feeding = BlockSubmission(stack, client, order_of(stack), retries=0, share=sharing.add_share(user))
            return feeding, asyncio.create_task(note(feeding, token, ended))

        first = [begin("a", "first"), begin("a", "second")]
        while len(ended) < 20:  # noqa: ASYNC110  # as the page does
            await asyncio.sleep(0.005)
        last = begin("b", "last")
        began = len(ended)
        await asyncio.gather(*(task for _, task in [*first, last]))
        counts = Counter(ended[began:][:40])
        # An even share would be 20; what was handed over and runs already makes a difference of a few.
        assert 14 <= counts["last"] <= 26
        assert abs(counts["first"] - counts["second"]) <= 6
        assert "last" in ended[began : began + 6]
        assert not any(sharing.computations.values())
        found: Any = await client.compute(last[0].stack.dataset())
        with dask.config.set(scheduler="synchronous"):
            expected = lazy("last").dataset().compute()
        for layer in expected:
            np.testing.assert_array_equal(found[layer].values, expected[layer].values)

    with_threads(share)
