"""The exact reader: the mask first, windows only, one scene a pixel, and a warp whose geometry is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.blocks.adding import Adder
from compute.blocks.ahead import in_order
from compute.blocks.cancelling import CancelWatch
from compute.blocks.files import ReadError, fetch_header, is_local, read_window
from compute.blocks.masks import FILTERING_BYTES_PER_PX, MaskReading
from compute.blocks.placing import Placement, Placements
from compute.blocks.records import BlockTask
from compute.kernels.resample import Accumulators, BandWindows, ClearPixels, clear_part
from compute.products import BandRole, MaskRole, Roles, verdicts_of_pixels
from compute.scenes import Band, Source
from compute.warp import Window, alignment_of, first_pixel, widened, window_in

MOST_AHEAD, MOST_AHEAD_HERE = 8, 1
"""Scenes that a task reads at once: what a slow store needs to be kept busy, and what a file system does. There, more
only compete for the processor: eight took a tenth more of its time."""

AHEAD_BYTES = 128 * 2**20
"""Windows read ahead may take so much of a worker's memory, though one always is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """The window of one band that a block needs.

    Attributes
    ----------
    role : BandRole or MaskRole
        What the band is.
    window : tuple of int
        In the file's own pixels.
    halo : tuple of int
        The window and what around it decides what a mask says there.
    at : (int, int)
        Row and column of its first pixel, in absolute source pixels.
    placement : Placement
        How the block lies in it.
    """

    role: BandRole | MaskRole
    window: Window
    halo: Window
    at: tuple[int, int]
    placement: Placement

    @property
    def pixels(self) -> int:
        """Pixels that are read."""
        top, left, bottom, right = self.halo
        return (bottom - top) * (right - left)

    @property
    def nbytes(self) -> int:
        """Bytes of the window as it is read."""
        return self.pixels * np.dtype(self.role.dtype).itemsize

    @property
    def inner(self) -> Window:
        """The window in pixels of its halo."""
        (top, left, bottom, right), (row, column, *_) = self.window, self.halo
        return top - row, left - column, bottom - row, right - column

    def narrowed(self, clear: Window, mask: _Part) -> _Part:
        """Return what of the window can be looked at where only a part of a mask, in pixels of its window, is clear."""
        if self.placement is not mask.placement:
            return self
        spans = [
            _narrowed(self.window[axis::2], clear[axis::2], mask.at[axis] - self.at[axis], self.placement.reach)
            for axis in range(2)
        ]
        (top, bottom), (left, right) = spans
        at = self.at[0] + top - self.window[0], self.at[1] + left - self.window[1]
        return replace(self, window=(top, left, bottom, right), halo=(top, left, bottom, right), at=at)


def _narrowed(whole: tuple[int, ...], clear: tuple[int, ...], shift: int, reach: int) -> tuple[int, int]:
    """Return where along an axis to read: at what is clear and around it, at least one pixel, and never beyond."""
    (first, last), start = whole, whole[0] + shift
    begin, end = start + clear[0] - reach, start + clear[1] + reach
    return min(max(begin, first), last - 1), max(min(end, last), first + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """One scene to be looked at.

    Attributes
    ----------
    group : int
        Number of its group.
    scene : Source
        The scene.
    roles : Roles
        Of its product.
    mask, red, nir : _Part
        What is read of it.
    contiguity : _Part or None
        Likewise, where its product has one.
    """

    group: int
    scene: Source
    roles: Roles
    mask: _Part
    red: _Part
    nir: _Part
    contiguity: _Part | None

    @property
    def nbytes(self) -> int:
        """Bytes of all its windows, and of what filtering its mask takes."""
        filtering = FILTERING_BYTES_PER_PX * self.mask.pixels if self.roles.mask.filters else 0
        contiguity = self.contiguity.nbytes if self.contiguity else 0
        return filtering + self.mask.nbytes + self.red.nbytes + self.nir.nbytes + contiguity


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was read of one scene.

    Attributes
    ----------
    mask : numpy.ndarray
        As it is believed.
    contiguity : numpy.ndarray or None
        Stored values, where the product has one and something is clear.
    bands : (numpy.ndarray, numpy.ndarray) or None
        Stored values of red and nir; None where nothing is clear.
    at : (int, int)
        Row and column of the first pixel of the bands, in absolute source pixels.
    """

    mask: NDArray[np.generic]
    contiguity: NDArray[np.generic] | None = None
    bands: tuple[NDArray[np.generic], NDArray[np.generic]] | None = None
    at: tuple[int, int] = (0, 0)


class ExactReader:
    """Adds the looks of one task after another.

    Parameters
    ----------
    task : BlockTask
        Grid, roles and resampling.
    inside : numpy.ndarray
        (y, x) bool: pixels that may be observed.
    watch : CancelWatch
        Asked before every read.
    """

    def __init__(self, task: BlockTask, inside: NDArray[np.bool_], watch: CancelWatch) -> None:
        self._task = task
        self._outside = np.broadcast_to(~inside, task.grid.shape)
        self._watch = watch
        self._placements = Placements(task.grid, task.resampling)
        # Of their own, since who waits for a second band holds a thread of the others.
        self._beside = ThreadPoolExecutor(2 * MOST_AHEAD, thread_name_prefix="reading-beside")
        self._masks = {product: MaskReading(roles.mask, task.reasons) for product, roles in task.roles.items()}
        self._contiguous = {
            product: roles.contiguity.table() for product, roles in task.roles.items() if roles.contiguity
        }

    def add(self, groups: Sequence[Sequence[Source]], sums: Adder) -> frozenset[str]:
        """Add up the looks of groups of scenes. In each, the first scene that shows the ground wins a pixel.

        Returns
        -------
        frozenset of str
            Ids of the scenes that could not be read and are left out.

        Raises
        ------
        JobCancelledError
            The run was cancelled meanwhile.
        """
        failed, current, taken = set(), -1, np.empty(0, bool)
        errands = list(self._errands(groups, sums.order))
        with self._beside, ThreadPoolExecutor(MOST_AHEAD, thread_name_prefix="reading") as pool:
            for errand, look in in_order(pool, self._read, errands, _ahead(errands)):
                if errand.group != current:
                    current, taken = errand.group, self._outside.copy()
                    sums.begin(current)
                if isinstance(look, Look):
                    self._add(errand, look, taken, sums)
                elif look is not None:
                    failed.add(errand.scene.id)
        sums.begin(None)
        return frozenset(failed)

    def _add(self, errand: Errand, look: Look, taken: NDArray[np.bool_], sums: Adder) -> None:
        mask, whole = errand.mask, errand.contiguity
        clear = mask.placement.clear(look.mask, mask.at, self._masks[errand.scene.product].table, taken)
        if whole is not None and look.contiguity is not None:
            table, elsewhere = self._contiguous[errand.scene.product], clear.elsewhere(taken.shape)
            clear = whole.placement.clear(look.contiguity, whole.at, table, elsewhere)
        if self._task.reasons:
            sums.note(self._verdicts(errand, look, clear))
        if clear and look.bands:
            (red, nir), numbers = look.bands, errand.roles.bands
            bands = BandWindows(red=red, nir=nir, at=look.at, numbers=numbers)
            errand.red.placement.add(bands, clear, Accumulators(total=sums.total, count=sums.count, taken=taken))

    def _verdicts(self, errand: Errand, look: Look, contiguous: ClearPixels) -> NDArray[np.generic]:
        """Return (y, x) why pixels are no observations, should they be none."""
        told = errand.mask.placement.take(look.mask, errand.mask.at)
        told[self._outside] = 0
        whole = ~contiguous.elsewhere(told.shape) if errand.contiguity else np.ones((1, 1), bool)
        return verdicts_of_pixels(told, self._task.reasons, whole)

    # What is to be read

    def _errands(self, groups: Sequence[Sequence[Source]], order: Callable[[int], int]) -> Iterator[Errand]:
        """Return the scenes that meet the block, those of one alignment together as far as their order allows."""
        for number in sorted(range(len(groups)), key=lambda number: (order(number), self._home(groups[number]))):
            group = groups[number]
            for scene in group:
                roles = self._task.roles[scene.product]
                mask = self._part(scene, roles.mask, self._masks[scene.product].halo)
                red, nir = (self._part(scene, role) for role in (roles.red, roles.nir))
                whole = self._part(scene, roles.contiguity) if roles.contiguity else None
                if mask and red and nir and bool(whole) == bool(roles.contiguity):
                    yield Errand(group=number, scene=scene, roles=roles, mask=mask, red=red, nir=nir, contiguity=whole)

    def _home(self, group: Sequence[Source]) -> str:
        red = self._task.roles[group[0].product].red
        return str(alignment_of(group[0].bands[red.measurement].grid))

    def _part(self, scene: Source, role: BandRole | MaskRole, halo: int = 0) -> _Part | None:
        grid = scene.bands[role.measurement].grid
        placement = self._placements.of(grid)
        window = window_in(placement.window, grid)
        around = window_in(widened(placement.window, halo), grid)
        if window is None or around is None:
            return None
        row, column = first_pixel(grid)
        at = row + window[0], column + window[1]
        return _Part(role=role, window=window, halo=around, at=at, placement=placement)

    # Reading, in threads of its own

    def _read(self, errand: Errand) -> Look | ReadError | None:
        """Read the mask first, then contiguity: of the bands no more than what is clear, and nothing where none is."""
        try:
            masks = self._masks[errand.scene.product]
            self._expect_bands(errand)
            mask = masks.believed(self._band(errand.scene, errand.mask), errand.mask.inner)
            clear = clear_part(mask, masks.table)
            if clear is None:
                return Look(mask=mask) if self._task.reasons else None
            whole = self._band(errand.scene, errand.contiguity) if errand.contiguity else None
            if whole is not None and not clear_part(whole, self._contiguous[errand.scene.product]):
                return Look(mask=mask, contiguity=whole) if self._task.reasons else None
            red, nir = (part.narrowed(clear, errand.mask) for part in (errand.red, errand.nir))
            bands = self._bands(errand.scene, red, nir)
        except ReadError as error:
            return error
        return Look(mask=mask, contiguity=whole, bands=bands, at=red.at)

    def _expect_bands(self, errand: Errand) -> None:
        """Fetch the headers of the bands while the mask is on its way: one wait less, for a few bytes more."""
        for part in (errand.red, errand.nir):
            band = errand.scene.bands[part.role.measurement]
            if not is_local(band.uri):
                self._beside.submit(self._fetch_header, band)

    def _fetch_header(self, band: Band) -> None:
        self._watch.raise_if_cancelled()
        fetch_header(band)

    def _bands(self, scene: Source, red: _Part, nir: _Part) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Read both bands, at once where waiting for the first answer takes longer than unpacking it."""
        if is_local(scene.bands[red.role.measurement].uri):
            return self._band(scene, red), self._band(scene, nir)
        beside = self._beside.submit(self._band, scene, nir)
        return self._band(scene, red), beside.result()

    def _band(self, scene: Source, part: _Part) -> NDArray[np.generic]:
        self._watch.raise_if_cancelled()
        values = read_window(scene.bands[part.role.measurement], part.halo).values
        return values if values.dtype == part.role.dtype else values.astype(part.role.dtype)


def _ahead(errands: Sequence[Errand]) -> int:
    """Return how many scenes may be read ahead without taking more memory than they should."""
    largest = max((errand.nbytes for errand in errands), default=1)
    is_here = all(is_local(errand.scene.bands[errand.red.role.measurement].uri) for errand in errands)
    return min(MOST_AHEAD_HERE if is_here else MOST_AHEAD, max(1, AHEAD_BYTES // largest))
