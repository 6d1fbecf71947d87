"""What every scene shows of one pixel, and whether it counts: decided by the code that computes blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.blocks.adding import Adder
from compute.blocks.cancelling import CancelWatch
from compute.blocks.exact import Errand, ExactReader, Look
from compute.blocks.files import ReadError
from compute.blocks.placing import Aligned
from compute.blocks.records import BlockTask, Sums
from compute.blocks.tasks import finish, inside
from compute.kernels.observations import UNITS_PER_NDVI
from compute.kernels.resample import Accumulators, BandWindows, ClearPixels
from compute.products import CLEAR, DISCONTIGUOUS, BandRole, MaskRole
from compute.scenes import Source

_THE_PIXEL = ClearPixels(starts=np.array([0, 1]), columns=np.zeros(1, np.uint16))

_STORED_DIGITS, _SCALED_DIGITS = 3, 7
"""Decimals of stored and scaled values that a sum of 2**-32 carries through."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandValue:
    """What a scene shows of a pixel in one band: the value of a source pixel, or what it was resampled to.

    Attributes
    ----------
    stored : float
        In units of the file.
    scaled : float
        Reflectance, as the index is taken of it.
    """

    stored: float
    scaled: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What one scene shows of a pixel.

    Attributes
    ----------
    scene : str
        Id of the scene.
    counted : bool
        Whether it is an observation of the result.
    why_not : str or None
        In words, why it is none.
    made_of : str
        ``"own pixel"`` where the scene's pixels are the result's, else how they were resampled: ``"average"`` (over
        the footprint of the pixel), ``"bilinear"`` or ``"nearest"``. The mask is always that of one pixel.
    mask : int or None
        Stored value of the mask, None where there is none.
    mask_class : str or None
        In words of the product's definition, None where it has none.
    red, nir : BandValue or None
        None where a band shows nothing.
    ndvi : float or None
        NDVI: what was counted, or would have been.
    """

    scene: str
    counted: bool = False
    why_not: str | None = None
    made_of: str = "own pixel"
    mask: int | None = None
    mask_class: str | None = None
    red: BandValue | None = None
    nir: BandValue | None = None
    ndvi: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelTrace:
    """A pixel of a season, look by look.

    Attributes
    ----------
    clear_count : int
        Number of traces that are counted.
    ndvi_mean : float or None
        NDVI (float32) as the block has it, None where it has none.
    traces : tuple of Trace
        One for each scene that has a file there, in no order.
    """

    clear_count: int
    ndvi_mean: float | None
    traces: tuple[Trace, ...]


def trace_pixel(task: BlockTask, sources: Sequence[Source], min_clear: int) -> PixelTrace:
    """Compute a block of one pixel and say what became of every scene.

    Parameters
    ----------
    task : BlockTask
        Of one pixel, read by the exact reader, with reasons.
    sources : sequence of Source
        What the task's groups count by.
    min_clear : int
        Fewest observations that make a mean.

    Raises
    ------
    JobCancelledError
        The run was cancelled meanwhile.
    """
    reader = _TracingReader(task, inside(task.polygon, task.grid), CancelWatch(task.run))
    sums = Sums.of_task(task)
    failed = reader.add([[sources[index] for index in group] for group in task.groups], Adder(task, sums))
    block = finish(replace(sums, failed=failed), min_clear, levels=0)
    mean = block.ndvi_mean.item()
    unread = (Trace(scene=scene, why_not="cannot be read") for scene in sorted(failed))
    return PixelTrace(
        clear_count=block.clear_count.item(),
        ndvi_mean=None if np.isnan(mean) else mean,
        traces=(*reader.traces, *unread),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _WholeLook(Look):
    """A look with all that there is to tell of it.

    Attributes
    ----------
    stored : numpy.ndarray
        Stored values of the mask, where `mask` has what is believed of them.
    """

    stored: NDArray[np.generic]


class _TracingReader(ExactReader):
    """Reads whatever a pixel shows, where the exact reader stops at what is not clear, and notes what becomes of it."""

    def __init__(self, task: BlockTask, inside: NDArray[np.bool_], watch: CancelWatch) -> None:
        super().__init__(task, inside, watch)
        self.traces: list[Trace] = []

    def _read(self, errand: Errand) -> Look | ReadError | None:
        try:
            stored = self._band(errand.scene, errand.mask)
            whole = self._band(errand.scene, errand.contiguity) if errand.contiguity else None
            bands = self._bands(errand.scene, errand.red, errand.nir)
        except ReadError as error:
            return error
        top, left, bottom, right = errand.mask.inner
        believed = self._masks[errand.scene.product].believed(stored, errand.mask.inner)
        inner = stored[top:bottom, left:right]
        return _WholeLook(mask=believed, contiguity=whole, bands=bands, at=errand.red.at, stored=inner)

    def _add(self, errand: Errand, look: Look, taken: NDArray[np.bool_], sums: Adder) -> None:
        assert isinstance(look, _WholeLook)
        was_taken = bool(taken.item())
        total, count = sums.total.item(), sums.count.item()
        super()._add(errand, look, taken, sums)
        counted = sums.count.item() > count
        trace = self._look_at(errand, look)
        if counted:
            ndvi = (sums.total.item() - total) / UNITS_PER_NDVI
            self.traces.append(replace(trace, counted=True, ndvi=ndvi))
        else:
            self.traces.append(replace(trace, why_not=self._why_not(errand, look, trace, was_taken)))

    def _look_at(self, errand: Errand, look: _WholeLook) -> Trace:
        """Return what a scene shows, whether or not it counts."""
        told = errand.mask.placement.take(look.mask, errand.mask.at).item()
        code = errand.mask.placement.take(look.stored, errand.mask.at).item() if told else None
        red, nir = (_value_of(errand, look, place) for place in (0, 1))
        return Trace(
            scene=errand.scene.id,
            made_of="own pixel" if isinstance(errand.red.placement, Aligned) else self._task.resampling,
            mask=code,
            mask_class=None if code is None else _class_of(errand.roles.mask, code),
            red=red,
            nir=nir,
            ndvi=_ndvi(red, nir),
        )

    def _why_not(self, errand: Errand, look: _WholeLook, trace: Trace, was_taken: bool) -> str:
        told = errand.mask.placement.take(look.mask, errand.mask.at).item()
        if self._outside.item():
            return "outside the region"
        if trace.mask is None:
            return "nodata"
        if told != CLEAR:
            reason = self._task.reasons[told - 1]
            return f"{reason}, by the mask filter" if _is_clear(errand.roles.mask, trace.mask) else reason
        if was_taken:
            return "another scene won the pixel"
        if errand.contiguity and look.contiguity is not None:
            table = self._contiguous[errand.scene.product]
            free = np.zeros((1, 1), bool)
            if not errand.contiguity.placement.clear(look.contiguity, errand.contiguity.at, table, free):
                return DISCONTIGUOUS
        return _why_invalid(trace, errand)


def _value_of(errand: Errand, look: _WholeLook, place: int) -> BandValue | None:
    """Return what a band, the first or the second, shows of the pixel, by the kernels that take the index of it.

    These return nothing but the index: that of a band whose reflectance is 1 and this one gives it away.
    """
    assert look.bands is not None
    role = (errand.roles.red, errand.roles.nir)[place]
    nodata = np.inf if role.nodata is None else role.nodata
    numbers = np.array([[nodata, -np.inf, np.inf, 0.0, 1.0], [nodata, -np.inf, np.inf, role.scale, 0.0]])
    sums = Accumulators(
        total=np.zeros((1, 1), np.int64), count=np.zeros((1, 1), np.uint16), taken=np.zeros((1, 1), bool)
    )
    band = look.bands[place]
    bands = BandWindows(red=band, nir=band, at=look.at, numbers=numbers)
    errand.red.placement.add(bands, _THE_PIXEL, sums)
    if not sums.count.item():
        return None
    index = sums.total.item() / UNITS_PER_NDVI
    value = (1.0 + index) / (1.0 - index)
    return BandValue(
        stored=round(value / role.scale, _STORED_DIGITS), scaled=round(value + role.offset, _SCALED_DIGITS)
    )


def _ndvi(red: BandValue | None, nir: BandValue | None) -> float | None:
    if red is None or nir is None or red.scaled + nir.scaled == 0.0:
        return None
    return (nir.scaled - red.scaled) / (nir.scaled + red.scaled)


def _why_invalid(trace: Trace, errand: Errand) -> str:
    """Return why a clear pixel is none, as its bands are."""
    if trace.red is None or trace.nir is None:
        return "nodata"
    values = ((trace.red, errand.roles.red), (trace.nir, errand.roles.nir))
    return "red + nir is 0" if all(_is_valid(*each) for each in values) else "out of the valid range"


def _is_valid(value: BandValue, role: BandRole) -> bool:
    return role.valid_min <= value.stored <= role.valid_max


def _class_of(mask: MaskRole, code: int) -> str | None:
    """Return the names of the classes that a code is of, joined where bits of their own name several."""
    unsigned = code % len(mask.codes)
    names = [name for name, bits, value in mask.classes if unsigned & bits == value]
    return ", ".join(names) or None


def _is_clear(mask: MaskRole, code: int) -> bool:
    return bool(mask.table()[code % len(mask.codes)])
