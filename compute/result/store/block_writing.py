"""Write blocks into the store as they finish, and release or keep them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dask.task_spec import Task, TaskRef

from compute.engine import Block, Tally
from compute.errors import JobError
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key
from compute.result.store.completion_marks import Index, written_blocks
from compute.result.store.stored_blocks import Slot, StoredBlock, slots_of


def streamed(stack: SeasonStack, url: str) -> SeasonStack:
    """Return a lazy stack whose tasks write their blocks to a store, and hold nothing of them.

    Parameters
    ----------
    stack : SeasonStack
        Lazy.
    url : str
        Of a store that is laid out for it. Blocks that it holds already are not computed again.

    Returns
    -------
    SeasonStack
        Persisted, its blocks are each a `StoredBlock`.
    """
    return replace(stack, graph=dict(_tasks(stack, url)))


def _tasks(stack: SeasonStack, url: str) -> Iterator[tuple[Key, Task]]:
    slots, written = slots_of(stack, url), written_blocks(url)
    for key, task in stack.graph.items():
        index = key[1:4]
        if key not in slots:
            if index not in written:
                yield key, task
        elif index in written:
            yield key, Task(key, _as_it_is, StoredBlock(slot=slots[key], tally=written[index]))
        else:
            yield key, Task(key, _store, slots[key], task.func, *task.args)


def recalled(stack: SeasonStack, slots: Mapping[Key, Slot], written: Mapping[Index, Tally]) -> SeasonStack:
    """Return a lazy stack that reads stored blocks and computes the others.

    Parameters
    ----------
    stack : SeasonStack
        Lazy.
    slots : mapping of Key to Slot
        Where its blocks lie.
    written : mapping
        Tallies of the blocks that are written already, by season, row and column.

    Returns
    -------
    SeasonStack
        Lazy; in place of the tasks of each block that is written there is a `StoredBlock`. The others look in the
        store first all the same: should a worker die, what it has written meanwhile need not be computed again.
    """
    graph: dict[Key, Any] = {}
    for key, task in stack.graph.items():
        index = key[1:4]
        if key in slots and index in written:
            graph[key] = StoredBlock(slot=slots[key], tally=written[index])
        elif key in slots:
            graph[key] = Task(key, _recall, slots[key], task.func, *task.args)
        elif index not in written:
            graph[key] = task
    return replace(stack, graph=graph)


def keep_task(key: Key, slot: Slot) -> tuple[Key, Task]:
    """Return the task that writes a block which another one computes, and its key."""
    keep_key: Key = (str(key[0]).replace("greenup-block-", "greenup-keep-"), *key[1:])
    return keep_key, Task(keep_key, _keep, slot, TaskRef(key))


def _recall(slot: Slot, compute: Callable[..., Block], *arguments: Any) -> Block:
    with suppress(JobError, OSError):
        if block := slot.recall():
            return block
    return compute(*arguments)


def _keep(slot: Slot, block: Block) -> None:
    slot.write(block)


def _as_it_is(stored: StoredBlock) -> StoredBlock:
    return stored


def _store(slot: Slot, compute: Callable[..., Block], *arguments: Any) -> StoredBlock:
    return slot.write(compute(*arguments))
