"""Blocks in a store: their positions, and writing and reading them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import EllipsisType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from compute.engine import Block, Tally
from compute.engine.overview_levels import Level
from compute.errors import JobError, ResultGoneError
from compute.kernels import NEVER_CLEAR
from compute.result.chunk_windows import chunk_window
from compute.result.layers import BY_REASON
from compute.result.stack import SeasonStack
from compute.result.stack_tasks import Key
from compute.result.store.completion_marks import Index, mark_written, tally_of, unmark
from compute.result.store.object_files import remove_objects, sizes_of
from compute.result.store.zarr_layout import LEVEL_ARRAYS, level_path, pixels_of
from compute.scenes.pixel_frames import ResultWindow

DAMAGED = "A part of the kept result is damaged or gone; compute it again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """Position of a block in a store, with methods to write and read the block.

    Attributes
    ----------
    url : str
        URL of the store.
    run : str
        Token of the stack for which the store was created.
    index : (int, int, int)
        Season, row and column of the block.
    window : ResultWindow
        Window of the block.
    layers : tuple of str
        Names of the arrays at level 0.
    levels : range
        Numbers of the overview levels.
    """

    url: str
    run: str
    index: Index
    window: ResultWindow
    layers: tuple[str, ...]
    levels: range

    def write(self, block: Block) -> StoredBlock:
        """Write all arrays of a block and then its completion mark, replacing an earlier version of the block.

        Raises
        ------
        JobError
            The store cannot be written.
        """
        tally = block.tally
        try:
            # At the edge of an array, zarr reads an existing shard before it writes; that shard may be damaged.
            self.remove()
            group = zarr.open_group(self.url, mode="r+")
            for layer in self.layers:
                self._write(group, layer, 0, getattr(block, layer))
            for number, level in enumerate(block.levels, 1):
                for name in LEVEL_ARRAYS:
                    self._write(group, f"{level_path(number)}/{name}", number, getattr(level, name))
            mark_written(self.url, self.index, tally, self._shards())
        except Exception as error:
            # File systems, object stores and zarr raise many types of exceptions.
            raise JobError(
                f"The result could not be written ({reason_of(error)}); check the free space of the folder."
            ) from error
        return StoredBlock(slot=self, tally=tally)

    def recall(self) -> Block | None:
        """Read the whole block; return None if it is not completely written.

        Raises
        ------
        ResultGoneError
            The block is damaged.
        """
        tally = tally_of(self.url, self.index)
        if tally is None:
            return None
        layers: dict[str, Any] = {layer: self.read(layer) for layer in self.layers}
        return Block(
            **layers,
            levels=tuple(map(self.read_level, self.levels)),
            failed=tally.failed,
            beyond=tally.beyond,
            remarks=tally.remarks,
        )

    def _write(self, group: zarr.Group, path: str, level: int, values: NDArray[Any]) -> None:
        # Empty shards are written too, so that a missing shard always means lost data.
        array = _array(group, path).with_config({"write_empty_chunks": True})
        if level and array.dtype == np.uint16:
            values = stored_counts(values)
        array[self._level_slices(self.window, level)] = values[np.newaxis]

    def read(self, layer: str, window: ResultWindow | None = None) -> NDArray[Any]:
        """Read an array of the block, (y, x) or (reason, y, x).

        Parameters
        ----------
        layer : str
            Name of the array.
        window : ResultWindow, optional
            Part of the block to read; by default all of it.

        Raises
        ------
        ResultGoneError
            The block is damaged or missing.
        """
        return self._read(layer, 0, window or self.window)

    def read_level(self, number: int) -> Level:
        """Read an overview level of the block by its number, from 1; raise ResultGoneError as in `read`."""
        return Level(**{name: self.read_overview(name, number) for name in LEVEL_ARRAYS})

    def read_overview(self, layer: str, number: int, window: ResultWindow | None = None) -> NDArray[Any]:
        """Read one array of an overview level, (y, x); raise ResultGoneError as in `read`.

        Parameters
        ----------
        layer : str
            Name of the array.
        number : int
            Number of the level, from 1.
        window : ResultWindow, optional
            Part of the block to read, in level-0 pixels and beginning at the border of a level pixel; by default all
            of it.
        """
        values = self._read(f"{level_path(number)}/{layer}", number, window or self.window)
        return counts_of(values) if values.dtype == np.uint16 else values

    def _read(self, path: str, level: int, window: ResultWindow) -> NDArray[Any]:
        try:
            array = _opened(self.url, path, self.run)
            values: NDArray[Any] = np.asarray(array[self._level_slices(window, level)])[0]
            shard = self._shard(path)
            is_lost = _is_empty(values, array.fill_value) and not sizes_of(self.url, [shard])[shard]
        except Exception as error:
            # zarr and its codecs raise many types of exceptions for damaged data.
            raise ResultGoneError(DAMAGED) from error
        if is_lost:
            raise ResultGoneError(DAMAGED)
        return values

    def remove(self) -> None:
        """Remove the block from the store, so that it counts as not written; raise OSError if this fails."""
        unmark(self.url, self.index)
        remove_objects(self.url, self._shards())

    def _level_slices(self, window: ResultWindow, level: int) -> tuple[slice, EllipsisType, slice, slice]:
        """Convert a window of the result to slices of an array of a level; the first slice selects the season."""
        top, left, bottom, right = (pixels_of(border, level) for border in window)
        season = self.index[0]
        return slice(season, season + 1), ..., slice(top, bottom), slice(left, right)

    def _shards(self) -> list[str]:
        """Return the keys of the shards of the block in the store."""
        overviews = (f"{level_path(number)}/{name}" for number in self.levels for name in LEVEL_ARRAYS)
        return [self._shard(path) for path in (*self.layers, *overviews)]

    def _shard(self, path: str) -> str:
        season, row, column = self.index
        between = (0,) if path == BY_REASON else ()
        return "/".join(map(str, (path, "c", season, *between, row, column)))


def stored_counts(counts: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Convert the mean counts of a level to their encoding in a store, where 0 means never clear.

    Parameters
    ----------
    counts : numpy.ndarray
        (y, x) int16 encoded mean counts of a `Level`.

    Returns
    -------
    numpy.ndarray
        (y, x) uint16 in half steps of the encoding: 0 if never clear, 1 if a mean above 0 rounds to 0, else even.
    """
    stored = np.where(counts == 0, 1, 2 * counts.astype(np.int32))
    return np.where(counts == NEVER_CLEAR, 0, stored).astype(np.uint16)


def counts_of(stored: NDArray[np.uint16]) -> NDArray[np.int16]:
    """Convert mean counts from their encoding in a store to that of a level; the inverse of `stored_counts`."""
    return np.where(stored == 0, NEVER_CLEAR, stored >> 1).astype(np.int16)


def reason_of(error: BaseException) -> str:
    """Describe an error of a store in a few words, without paths."""
    told = isinstance(error, OSError) and error.strerror
    return told or type(error).__name__


def _array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    array = group[path]
    assert isinstance(array, zarr.Array), "laid out as an array"
    return array


@lru_cache(maxsize=256)
def _opened(url: str, path: str, run: str) -> zarr.Array[Any]:  # noqa: ARG001  # `run` is part of the cache key
    """Open an array for reading. Cached, since tiles of low zooms need pixels of many blocks."""
    return zarr.open_array(url, path=path, mode="r")


def _is_empty(values: NDArray[Any], fill_value: Any) -> bool:
    """Return whether all values are the fill value, as zarr returns for a missing shard."""
    return bool(np.isnan(values).all() if fill_value != fill_value else (values == fill_value).all())


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBlock:
    """Finished block in a store. Arrays are read on each access and not cached.

    Attributes
    ----------
    slot : Slot
        Position of the block in the store.
    tally : Tally
        Totals of the pixels of the block.
    """

    slot: Slot
    tally: Tally

    @property
    def ndvi_mean(self) -> NDArray[np.float32]:
        """Mean NDVI; see `Block`."""
        return self.slot.read("ndvi_mean")

    @property
    def clear_count(self) -> NDArray[np.uint16]:
        """Numbers of observations; see `Block`."""
        return self.slot.read("clear_count")

    @property
    def clear_months(self) -> NDArray[np.uint8] | None:
        """Numbers of calendar months with an observation; see `Block`."""
        return self.slot.read("clear_months") if "clear_months" in self.slot.layers else None

    @property
    def ndvi_std(self) -> NDArray[np.float32] | None:
        """Standard deviation of the observations; see `Block`."""
        return self.slot.read("ndvi_std") if "ndvi_std" in self.slot.layers else None

    @property
    def unclear_count(self) -> NDArray[np.uint16] | None:
        """Counts by exclusion reason; see `Block`."""
        return self.slot.read("unclear_count") if "unclear_count" in self.slot.layers else None

    def level(self, number: int) -> Level:
        """Read an overview level by its number, from 1."""
        return self.slot.read_level(number)


def slots_of(stack: SeasonStack, url: str) -> dict[Key, Slot]:
    """Return the positions of the blocks of a stack in a store that was created for it, by key.

    Parameters
    ----------
    stack : SeasonStack
        Stack of the result.
    url : str
        URL of the store.
    """
    return {key: _slot(stack, url, key[1:]) for key in stack.keys}


def _slot(stack: SeasonStack, url: str, index: tuple[Any, ...]) -> Slot:
    season, row, column = index
    window = chunk_window(stack.chunks, row, column)
    levels = range(1, stack.levels + 1)
    return Slot(
        url=url, run=stack.token, index=(season, row, column), window=window, layers=stack.layers, levels=levels
    )
