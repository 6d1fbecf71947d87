"""The exact reader: masks first, windows only, one scene a pixel, and a warp whose geometry is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.addresses import is_local
from compute.blocks.adding import Adder
from compute.blocks.ahead import in_order
from compute.blocks.cancelling import CancelWatch
from compute.blocks.files import ReadError, StoredWindow, fetch_header, read_window, unread_scene
from compute.blocks.masks import CLEAR_ALONE, FILTERING_BYTES_PER_PX, MaskCodes, MaskReading
from compute.blocks.placing import Placement, Placements, on_other_grid
from compute.blocks.records import BlockTask
from compute.kernels.resample import Accumulators, BandWindows, ClearPixels, clear_part, pixels_not, usable_pixels
from compute.products import BandRole, Condition, MaskRole, RangeRole, Roles, Stated, verdicts_of_pixels
from compute.products.scaling import NOTHING_STATED, contradictions
from compute.scenes import Band, Grid, Source, UnreadScene
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
    role : BandRole, MaskRole or RangeRole
        Role of the band.
    band : Band
        Its file.
    window : tuple of int
        In the file's own pixels.
    halo : tuple of int
        The window and what around it decides what a mask says there.
    at : (int, int)
        Row and column of its first pixel, in absolute source pixels.
    placement : Placement
        How the block lies in it.
    """

    role: BandRole | Condition
    band: Band
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
        """Return the window around the clear part of a mask, which is given in pixels of the mask's window."""
        if self.placement is not mask.placement:
            return self
        spans = [
            _narrowed(self.window[axis::2], clear[axis::2], mask.at[axis] - self.at[axis], self.placement.reach)
            for axis in range(2)
        ]
        (top, bottom), (left, right) = spans
        at = self.at[0] + top - self.window[0], self.at[1] + left - self.window[1]
        return replace(self, window=(top, left, bottom, right), halo=(top, left, bottom, right), at=at)

    @property
    def grid(self) -> Grid:
        """Pixel grid of the window."""
        top, left, bottom, right = self.window
        a, b, c, d, e, f = self.band.grid.transform
        origin = c + a * left + b * top, f + d * left + e * top
        transform = (a, b, origin[0], d, e, origin[1])
        return Grid(crs=self.band.grid.crs, shape=(bottom - top, right - left), transform=transform)


def _narrowed(whole: tuple[int, ...], clear: tuple[int, ...], shift: int, reach: int) -> tuple[int, int]:
    """Return the span to read along an axis: clear pixels and those around them, at least one, and never beyond."""
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
    mask : _Part or None
        Window of its mask; None where its product has none.
    red, nir : _Part
        Windows of its bands.
    conditions : tuple of _Part
        Windows of the bands of further conditions.
    """

    group: int
    scene: Source
    roles: Roles
    mask: _Part | None
    red: _Part
    nir: _Part
    conditions: tuple[_Part, ...] = ()

    @property
    def parts(self) -> tuple[_Part, ...]:
        """All windows."""
        return (*filter(None, (self.mask,)), self.red, self.nir, *self.conditions)

    @property
    def nbytes(self) -> int:
        """Bytes of all its windows, and of what filtering its mask takes."""
        filtered = self.mask is not None and self.roles.mask is not None and self.roles.mask.filters
        filtering = FILTERING_BYTES_PER_PX * self.mask.pixels if filtered and self.mask else 0
        return filtering + sum(part.nbytes for part in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """The windows of one scene as they were read.

    Attributes
    ----------
    mask : MaskCodes or None
        The mask, classified; None where the product has none.
    conditions : tuple of MaskCodes
        Further conditions, as far as they were read.
    bands : BandWindows or None
        Red and nir; None where nothing is clear.
    remarks : tuple of str
        Sentences on what the files state otherwise than documents or definition.
    """

    mask: MaskCodes | None
    conditions: tuple[MaskCodes, ...] = ()
    bands: BandWindows | None = None
    remarks: tuple[str, ...] = ()


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
        roles = task.roles.items()
        self._masks = {product: MaskReading(each.mask, task.reasons) for product, each in roles if each.mask}
        self._conditions = {
            (product, condition): MaskReading(condition)
            for product, each in roles
            for condition in each.conditions
            if isinstance(condition, MaskRole)
        }

    def add(self, groups: Sequence[Sequence[Source]], sums: Adder) -> frozenset[UnreadScene]:
        """Add up the looks of groups of scenes. In each, the first scene that shows the ground wins a pixel.

        Returns
        -------
        frozenset of UnreadScene
            Scenes that could not be read and are left out, with a file and a reason.

        Raises
        ------
        JobCancelledError
            The run was cancelled meanwhile.
        """
        failed, current, taken = set[UnreadScene](), -1, np.empty(0, bool)
        errands = list(self._errands(groups, sums.order))
        with self._beside, ThreadPoolExecutor(MOST_AHEAD, thread_name_prefix="reading") as pool:
            for errand, look in in_order(pool, self._read, errands, _ahead(errands)):
                if errand.group != current:
                    current, taken = errand.group, self._outside.copy()
                    sums.begin(current)
                if isinstance(look, Look):
                    sums.remarks.update(look.remarks)
                    self._add(errand, look, taken, sums)
                elif look is not None:
                    failed.add(unread_scene(errand.scene, look))
        sums.begin(None)
        return frozenset(failed)

    def _add(self, errand: Errand, look: Look, taken: NDArray[np.bool_], sums: Adder) -> None:
        if self._task.reasons and errand.mask is not None and look.mask is not None:
            sums.note(self._verdicts(errand, look))
        if look.bands is None:
            return
        clear = pixels_not(taken) if self._judges_each(errand) else self._clear_at_centre(errand, look, taken)
        if clear:
            errand.red.placement.add(look.bands, clear, self._accumulators(taken, sums))

    def _accumulators(self, taken: NDArray[np.bool_], sums: Adder) -> Accumulators:
        return Accumulators(
            total=sums.total,
            count=sums.count,
            taken=taken,
            beyond=sums.beyond,
            index_range=self._task.index_range,
            min_area=self._task.min_area,
        )

    def _judges_each(self, errand: Errand) -> bool:
        """Return whether every source pixel is judged by its own pixel of the mask, before a mean is taken."""
        return self._task.average == "clear" and errand.red.placement.takes_means

    def _clear_at_centre(self, errand: Errand, look: Look, taken: NDArray[np.bool_]) -> ClearPixels:
        """List the pixels of the block whose centres are clear by the mask and meet all conditions."""
        clear = pixels_not(taken)
        for part, codes in _classified(errand, look):
            elsewhere = clear.elsewhere(taken.shape)
            clear = part.placement.clear(codes.codes, part.at, codes.table, elsewhere)
        return clear

    def _verdicts(self, errand: Errand, look: Look) -> NDArray[np.generic]:
        """Return (y, x) the reasons of pixels, should they be no observations."""
        assert errand.mask is not None
        assert look.mask is not None
        told = errand.mask.placement.take(look.mask.codes, errand.mask.at)
        told[self._outside] = 0
        met = []
        for part, codes in zip(errand.conditions, look.conditions, strict=False):
            assert isinstance(part.role, MaskRole | RangeRole)
            clear = part.placement.clear(codes.codes, part.at, codes.table, np.zeros(told.shape, bool))
            met.append((part.role.reason, ~clear.elsewhere(told.shape)))
        return verdicts_of_pixels(told, self._task.reasons, met)

    # Windows to be read

    def _errands(self, groups: Sequence[Sequence[Source]], order: Callable[[int], int]) -> Iterator[Errand]:
        """Return the scenes that meet the block, those of one alignment together as far as their order allows."""
        for number in sorted(range(len(groups)), key=lambda number: (order(number), self._home(groups[number]))):
            group = groups[number]
            for scene in group:
                grid = scene.bands[self._task.roles[scene.product].red.measurement].grid
                for turn in self._placements.turns(grid):
                    errand = self._errand(number, scene, turn)
                    if errand is not None:
                        yield errand

    def _errand(self, group: int, scene: Source, turn: int) -> Errand | None:
        """Return a scene where it meets the block, which may be several times around the globe."""
        roles = self._task.roles[scene.product]
        red, nir = (self._part(scene, role, turn) for role in (roles.red, roles.nir))
        mask = self._part(scene, roles.mask, turn, roles.mask.halo) if roles.mask else None
        conditions = [self._part(scene, condition, turn) for condition in roles.conditions]
        if red is None or nir is None or None in conditions or (mask is None and roles.mask):
            return None
        found = tuple(filter(None, conditions))
        return Errand(group=group, scene=scene, roles=roles, mask=mask, red=red, nir=nir, conditions=found)

    def _home(self, group: Sequence[Source]) -> str:
        red = self._task.roles[group[0].product].red
        return str(alignment_of(group[0].bands[red.measurement].grid))

    def _part(self, scene: Source, role: BandRole | Condition, turn: int, halo: int = 0) -> _Part | None:
        band = scene.bands[role.measurement]
        placement = self._placements.of(band.grid, turn)
        window = window_in(placement.window, band.grid)
        around = window_in(widened(placement.window, halo), band.grid)
        if window is None or around is None:
            return None
        row, column = first_pixel(band.grid)
        at = row + window[0], column + window[1]
        return _Part(role=role, band=band, window=window, halo=around, at=at, placement=placement)

    # Reading, in threads of its own

    def _read(self, errand: Errand) -> Look | ReadError | None:
        """Read masks first: of the bands no more than what is clear, and nothing where none is."""
        try:
            self._expect_bands(errand)
            mask = self._read_mask(errand) if errand.mask else None
            clear = mask and clear_part(mask.codes, mask.table)
            if mask is not None and clear is None:
                return Look(mask=mask) if self._task.reasons else None
            conditions: tuple[MaskCodes, ...] = ()
            for part in errand.conditions:
                conditions = *conditions, self._read_condition(errand, part)
                if clear_part(conditions[-1].codes, conditions[-1].table) is None:
                    return Look(mask=mask, conditions=conditions) if self._task.reasons else None
            red, nir = errand.red, errand.nir
            if clear and errand.mask:
                red, nir = (part.narrowed(clear, errand.mask) for part in (red, nir))
            stored = self._bands(red, nir)
        except ReadError as error:
            return error
        look = Look(mask=mask, conditions=conditions, remarks=tuple(_remarks(errand, stored)))
        return replace(look, bands=self._band_windows(errand, look, red, stored))

    def _read_mask(self, errand: Errand) -> MaskCodes:
        assert errand.mask is not None
        return self._classify(self._masks[errand.scene.product], errand.mask)

    def _read_condition(self, errand: Errand, part: _Part) -> MaskCodes:
        if isinstance(part.role, MaskRole):
            return self._classify(self._conditions[errand.scene.product, part.role], part)
        assert isinstance(part.role, RangeRole)
        stored = self._window(part)
        clear = part.role.clear(stored.values, part.band.stated, _tags(stored))
        return MaskCodes(codes=clear.astype(np.uint8), table=CLEAR_ALONE)

    def _classify(self, masks: MaskReading, part: _Part) -> MaskCodes:
        stored = self._window(part)
        nodata = part.band.stated.nodata if stored.nodata is None else stored.nodata
        return masks.classify(stored.values, part.inner, nodata)

    def _band_windows(
        self,
        errand: Errand,
        look: Look,
        red: _Part,
        stored: tuple[StoredWindow, StoredWindow],
        *,
        every: bool = False,
    ) -> BandWindows:
        """Return both bands with the numbers by which they are judged, and judge each pixel where means are taken.

        With `every`, the mask is not asked.
        """
        roles = zip((errand.roles.red, errand.roles.nir), (errand.red, errand.nir), stored, strict=True)
        rows = [role.numbers(each.values.dtype, part.band.stated, _tags(each)) for role, part, each in roles]
        numbers, (first, second) = np.array(rows), (each.values for each in stored)
        usable = None
        if red.placement.takes_means:
            clear = self._clear_of_window(errand, look, red) if self._judges_each(errand) and not every else None
            usable = usable_pixels(first, second, clear, numbers)
        return BandWindows(red=first, nir=second, at=red.at, numbers=numbers, usable=usable)

    def _clear_of_window(self, errand: Errand, look: Look, red: _Part) -> NDArray[np.bool_] | None:
        """Return which pixels of the bands' window are clear, by their own pixels of the mask and all conditions."""
        clear: NDArray[np.bool_] | None = None
        for part, codes in _classified(errand, look):
            here = on_other_grid(codes.clear, part.band.grid, part.at, red.grid)
            clear = here if clear is None else clear & here
        return clear

    def _expect_bands(self, errand: Errand) -> None:
        """Fetch the headers of the bands while the mask is on its way: one wait less, for a few bytes more."""
        for part in (errand.red, errand.nir):
            if errand.mask is not None and not is_local(part.band.uri):
                self._beside.submit(self._fetch_header, part.band)

    def _fetch_header(self, band: Band) -> None:
        self._watch.raise_if_cancelled()
        fetch_header(band)

    def _bands(self, red: _Part, nir: _Part) -> tuple[StoredWindow, StoredWindow]:
        """Read both bands, at once where waiting for the first answer takes longer than unpacking it."""
        if is_local(red.band.uri):
            return self._window(red), self._window(nir)
        beside = self._beside.submit(self._window, nir)
        return self._window(red), beside.result()

    def _window(self, part: _Part) -> StoredWindow:
        self._watch.raise_if_cancelled()
        return read_window(part.band, part.halo)


def _classified(errand: Errand, look: Look) -> Iterator[tuple[_Part, MaskCodes]]:
    """Yield the mask and the conditions of a look, each with its window."""
    if errand.mask is not None and look.mask is not None:
        yield errand.mask, look.mask
    yield from zip(errand.conditions, look.conditions, strict=False)


def _remarks(errand: Errand, stored: tuple[StoredWindow, StoredWindow]) -> Iterator[str]:
    """Yield a sentence for each band whose file states another scale or offset than its document or definition."""
    roles = errand.roles.red, errand.roles.nir
    for role, part, each in zip(roles, (errand.red, errand.nir), stored, strict=True):
        stated, known = part.band.stated, role.scaling(part.band.stated, NOTHING_STATED)
        expected = Stated(
            scale=known.scale if role.scale_from or stated.scale else None,
            offset=known.offset if role.offset_from or stated.offset is not None else None,
            nodata=None if role.all_stored else known.nodata,
        )
        if _tags(each) != NOTHING_STATED:
            for word, near, far in contradictions(_tags(each), expected):
                used = "products file's is" if role.override else "files' are"
                product = errand.scene.product
                yield (
                    f"Files of {product} state the {word} {near:g} for {role.measurement} where documents, "
                    f"definition or products file state {far:g}; the {used} used."
                )


def _tags(stored: StoredWindow) -> Stated:
    return Stated(scale=stored.scale, offset=stored.offset, nodata=stored.nodata)


def _ahead(errands: Sequence[Errand]) -> int:
    """Return how many scenes may be read ahead without taking more memory than they should."""
    largest = max((errand.nbytes for errand in errands), default=1)
    is_here = all(is_local(errand.red.band.uri) for errand in errands)
    return min(MOST_AHEAD_HERE if is_here else MOST_AHEAD, max(1, AHEAD_BYTES // largest))
