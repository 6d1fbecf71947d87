"""Blocks in a store: where each lies, how it is written, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from compute.blocks import Block, Tally
from compute.errors import JobError
from compute.levels import Level
from compute.stack import Key, SeasonStack, Window, chunk_window
from compute.store.layout import Index, level_path, mark_written, pixels_of

_LEVEL_ARRAYS = ("ndvi_mean", "clear_share", "clear_count")


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """Where one block lies in a store.

    Attributes
    ----------
    url : str
        Of the store.
    index : (int, int, int)
        Season, row and column of the block.
    window : Window
        The block in level-0 pixels of the result.
    layers : tuple of str
        Arrays of the store.
    """

    url: str
    index: Index
    window: Window
    layers: tuple[str, ...]

    def write(self, block: Block) -> StoredBlock:
        """Write a block: every array of it, and then the mark that it is there.

        Raises
        ------
        JobError
            The store cannot be written.
        """
        tally = block.tally
        try:
            group = zarr.open_group(self.url, mode="r+")
            for layer in self.layers:
                _array(group, layer)[self._part(0)] = getattr(block, layer)[np.newaxis]
            for number, level in enumerate(block.levels, 1):
                for name in _LEVEL_ARRAYS:
                    array = _array(group, f"{level_path(number)}/{name}")
                    array[self._part(number)] = getattr(level, name)[np.newaxis]
            mark_written(self.url, self.index, tally)
        except OSError as error:
            raise JobError(
                f"The result could not be written ({type(error).__name__}); check the folder's room."
            ) from error
        return StoredBlock(slot=self, tally=tally)

    def read(self, layer: str) -> NDArray[Any]:
        """Return an array of the block, (y, x) or (reason, y, x)."""
        return self._read(layer, 0)

    def read_level(self, number: int) -> Level:
        """Return a level of the block by its number, from 1."""
        return Level(**{name: self._read(f"{level_path(number)}/{name}", number) for name in _LEVEL_ARRAYS})

    def _read(self, path: str, level: int) -> NDArray[Any]:
        array = _array(zarr.open_group(self.url, mode="r"), path)
        values: NDArray[Any] = np.asarray(array[self._part(level)])[0]
        return values

    def _part(self, level: int) -> tuple[slice, EllipsisType, slice, slice]:
        top, left, bottom, right = (pixels_of(border, level) for border in self.window)
        season = self.index[0]
        return slice(season, season + 1), ..., slice(top, bottom), slice(left, right)


def _array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    array = group[path]
    assert isinstance(array, zarr.Array), "laid out as an array"
    return array


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBlock:
    """A finished block in a store: its arrays are read when they are asked for, and kept by nobody.

    Attributes
    ----------
    slot : Slot
        Where it lies.
    tally : Tally
        What its pixels come to.
    """

    slot: Slot
    tally: Tally

    @property
    def ndvi_mean(self) -> NDArray[np.float32]:
        """As in `Block`."""
        return self.slot.read("ndvi_mean")

    @property
    def clear_count(self) -> NDArray[np.uint16]:
        """As in `Block`."""
        return self.slot.read("clear_count")

    @property
    def clear_months(self) -> NDArray[np.uint8] | None:
        """As in `Block`."""
        return self.slot.read("clear_months") if "clear_months" in self.slot.layers else None

    @property
    def ndvi_std(self) -> NDArray[np.float32] | None:
        """As in `Block`."""
        return self.slot.read("ndvi_std") if "ndvi_std" in self.slot.layers else None

    @property
    def unclear_count(self) -> NDArray[np.uint16] | None:
        """As in `Block`."""
        return self.slot.read("unclear_count") if "unclear_count" in self.slot.layers else None

    def level(self, number: int) -> Level:
        """Return a level by its number, from 1."""
        return self.slot.read_level(number)


def slots_of(stack: SeasonStack, url: str) -> dict[Key, Slot]:
    """Return where the blocks of a stack lie in a store that is laid out for it, by their keys."""
    return {key: _slot(stack, url, key[1:]) for key in stack.keys}


def _slot(stack: SeasonStack, url: str, index: tuple[Any, ...]) -> Slot:
    season, row, column = index
    window = chunk_window(stack.chunks, row, column)
    return Slot(url=url, index=(season, row, column), window=window, layers=stack.layers)
