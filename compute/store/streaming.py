"""Blocks that leave memory as they finish: one task computes a block and writes it, and returns where it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dask.task_spec import Task

from compute.blocks import Block
from compute.stack import Key, SeasonStack
from compute.store.blocks import Slot, StoredBlock, slots_of
from compute.store.layout import written_blocks


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


def _as_it_is(stored: StoredBlock) -> StoredBlock:
    return stored


def _store(slot: Slot, compute: Callable[..., Block], *arguments: Any) -> StoredBlock:
    return slot.write(compute(*arguments))
