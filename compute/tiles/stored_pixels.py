"""Pixels from a store, of which only the inner chunks under a tile are read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from compute.errors import JobError
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key
from compute.result.store import Slot, StoredBlock
from compute.scenes.pixel_frames import BlockPixel, ResultWindow, pixel_window, result_pixel
from compute.tiles.pixel_sources import BlockPixels
from compute.tiles.reader_processes import StoreReaders
from compute.tiles.tile_patches import (
    Patch,
    PatchRequest,
    PixelReadings,
    WindowValues,
    cut_window_patches,
    visible_window,
)

_log = logging.getLogger(__name__)


class StoredPixels(BlockPixels):
    """Pixels from the stored blocks of a result, read in other processes.

    A block that is found damaged is removed from the store and treated as not computed, also if its job is resumed.

    Parameters
    ----------
    stack : SeasonStack
        The result.
    stored : mapping of Key to Slot
        Positions of the blocks in the store, by key; blocks may be added at any time.
    readers : StoreReaders
        Processes that read the store.
    """

    def __init__(self, stack: SeasonStack, stored: Mapping[Key, Slot], readers: StoreReaders) -> None:
        super().__init__(stack)
        self._stored = stored
        self._readers = readers
        self._damaged: set[Key] = set()

    @classmethod
    def from_stack(cls, stack: SeasonStack, readers: StoreReaders) -> StoredPixels:
        """Return the pixels of those blocks of a stack that are a `StoredBlock`.

        Parameters
        ----------
        stack : SeasonStack
            The result.
        readers : StoreReaders
            Processes that read the store.
        """
        blocks = {key: block.slot for key, block in stack.graph.items() if isinstance(block, StoredBlock)}
        return cls(stack, blocks, readers)

    async def patches(self, request: PatchRequest) -> dict[Key, Patch]:
        """Return the patches of a tile; see `BlockPixels`."""
        slots = self._slots(request.windows)
        if not slots:
            return {}
        patches, damaged = await self._readers.ask(_cut, slots, request)
        self._give_up(damaged)
        return patches

    async def readings(self, places: Mapping[Key, BlockPixel]) -> dict[Key, PixelReadings]:
        """Return the values of one pixel of each block; see `BlockPixels`."""
        slots = self._slots(places)
        if not slots:
            return {}
        found, damaged = await self._readers.ask(_read, slots, places)
        self._give_up(damaged)
        return found

    def _slots(self, keys: Mapping[Key, object]) -> dict[Key, Slot]:
        return {key: self._stored[key] for key in keys if key in self._stored and key not in self._damaged}

    def _give_up(self, damaged: set[Key]) -> None:
        for key in damaged:
            _log.warning("Block %s of a kept result is damaged or gone", key[1:])
        self._damaged |= damaged


# Functions that run in a reader process


def _cut(slots: Mapping[Key, Slot], request: PatchRequest) -> tuple[dict[Key, Patch], set[Key]]:
    """Return the patches of a tile and the keys of the blocks that cannot be read."""
    held, damaged = dict[Key, WindowValues](), set[Key]()
    for key, slot in slots.items():
        window = visible_window(slot.window, request)
        try:
            held[key] = window, {layer: _values(slot, request.level, window, layer) for layer in request.layers}
        except JobError:
            _withdraw(slot)
            damaged.add(key)
    return cut_window_patches(held, request), damaged


def _values(slot: Slot, level: int, window: ResultWindow, layer: str) -> NDArray[Any]:
    return slot.read_overview(layer, level, window) if level else slot.read(layer, window)


def _read(slots: Mapping[Key, Slot], places: Mapping[Key, BlockPixel]) -> tuple[dict[Key, PixelReadings], set[Key]]:
    found, damaged = dict[Key, PixelReadings](), set[Key]()
    for key, slot in slots.items():
        pixel = pixel_window(result_pixel(slot.window, places[key]))
        try:
            found[key] = {layer: slot.read(layer, pixel)[..., 0, 0].tolist() for layer in slot.layers}
        except JobError:
            _withdraw(slot)
            damaged.add(key)
    return found, damaged


def _withdraw(slot: Slot) -> None:
    """Remove a damaged block from the store, so that it is computed again if its job is resumed."""
    with suppress(OSError):
        slot.remove()
