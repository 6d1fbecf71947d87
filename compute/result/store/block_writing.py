"""Tasks that write finished blocks to a store, with or without keeping them in memory."""

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
    """Return a lazy stack whose tasks write their blocks to a store instead of keeping them in memory.

    Parameters
    ----------
    stack : SeasonStack
        Lazy stack.
    url : str
        URL of a store that was created for the stack. Blocks that are already in the store are not computed again.

    Returns
    -------
    SeasonStack
        Lazy stack. If it is persisted, each block becomes a `StoredBlock`.
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
    """Return a lazy stack that uses stored blocks and computes the others.

    Parameters
    ----------
    stack : SeasonStack
        Lazy stack.
    slots : mapping of Key to Slot
        Positions of the blocks in the store, by key.
    written : mapping
        Totals of the blocks that are already written, by season, row and column.

    Returns
    -------
    SeasonStack
        Lazy stack with a `StoredBlock` instead of the tasks of each written block. The other tasks also read the store
        first, so that blocks written by a lost worker are not computed again.
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
    """Return the key and the task for writing a block that another task computes.

    Parameters
    ----------
    key : Key
        Key of the block.
    slot : Slot
        Position of the block in the store.
    """
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
