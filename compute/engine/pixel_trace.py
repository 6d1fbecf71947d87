"""Pixel trace: values of all scenes at one pixel and their verdicts, computed by the same code as blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.engine.accumulation import LookAccumulator
from compute.engine.block_records import BlockTask, Sums
from compute.engine.block_task import finish_block, polygon_mask
from compute.engine.cancellation import CancelWatch
from compute.engine.exact_reader import ExactReader
from compute.engine.pixel_placement import Aligned
from compute.engine.raster_windows import ReadError, StoredWindow
from compute.engine.read_windows import ScenePixels, SceneWindows
from compute.kernels.resample import Accumulators, BandWindows, ClearPixels
from compute.kernels.sums import UNITS_PER_NDVI
from compute.products import CLEAR, MaskRole, RangeRole
from compute.scenes import Source, unique_unread

_THE_PIXEL = ClearPixels(starts=np.array([0, 1]), columns=np.zeros(1, np.uint16))

_STORED_DIGITS, _SCALED_DIGITS = 3, 7
"""Number of decimals of stored and scaled values that stay accurate although sums are rounded to units of 2**-32."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandValue:
    """Value of one band of a scene at a pixel, resampled if the scene has another pixel grid.

    Attributes
    ----------
    stored : float
        Stored value, in units of the file.
    scaled : float
        Scaled value (reflectance), from which the index is computed.
    """

    stored: float
    scaled: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Values of one scene at a pixel, and whether the scene is counted there as an observation.

    Attributes
    ----------
    scene : str
        Scene id.
    counted : bool
        Whether the scene is counted as an observation at this pixel.
    why_not : str or None
        Reason why the scene is not counted, for users; None if it is counted.
    made_of : str
        Source of the band values: ``"own pixel"`` if scene and result share a pixel grid, else the resampling method:
        ``"average"`` (over the footprint of the pixel), ``"bilinear"`` or ``"nearest"``. The mask value is always that
        of the nearest pixel.
    mask : int or None
        Stored value of the mask; None for nodata or a product without a mask.
    mask_class : str or None
        Names of the classes of the mask value in the product definition; None if it belongs to no class.
    red, nir : BandValue or None
        Values of the bands; None if a band has no value at the pixel.
    ndvi : float or None
        NDVI of the band values, counted or not; None if it is undefined.
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
    """Traces of all scenes of a season at one pixel.

    Attributes
    ----------
    clear_count : int
        Number of observations.
    ndvi_mean : float or None
        Mean NDVI of the pixel as in the result (float32); None if it has no mean.
    traces : tuple of Trace
        Traces of the scenes that cover the pixel, in no particular order.
    """

    clear_count: int
    ndvi_mean: float | None
    traces: tuple[Trace, ...]


def trace_pixel(task: BlockTask, sources: Sequence[Source], min_clear: int) -> PixelTrace:
    """Compute a block of one pixel, and record the values and the verdict of every scene.

    Parameters
    ----------
    task : BlockTask
        Task of a block of one pixel, with exclusion reasons, for the exact reader.
    sources : sequence of Source
        Scenes, to which the groups of the task refer by index.
    min_clear : int
        Minimum number of observations for a mean.

    Returns
    -------
    PixelTrace
        Traces of all scenes, with mean and number of observations.

    Raises
    ------
    JobCancelledError
        The run was cancelled.
    """
    reader = _TracingReader(task, polygon_mask(task.polygon, task.grid), CancelWatch(task.run))
    sums = Sums.zeros_for(task)
    failed = reader.add_groups(
        [[sources[index] for index in group] for group in task.groups], LookAccumulator(task, sums)
    )
    block = finish_block(replace(sums, failed=failed), min_clear, levels=0)
    mean = block.ndvi_mean.item()
    unread = (Trace(scene=each.scene, why_not=f"{each.file} {each.reason}") for each in unique_unread(failed))
    return PixelTrace(
        clear_count=block.clear_count.item(),
        ndvi_mean=None if np.isnan(mean) else mean,
        traces=(*reader.traces, *unread),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _TracedPixels(ScenePixels):
    """Pixels of one scene, with values that `ExactReader` does not keep.

    Attributes
    ----------
    stored : numpy.ndarray or None
        (rows, columns) stored values of the mask (`mask` holds the verdicts); None for a product without a mask.
    shown : BandWindows
        Red and nir of all valid pixels, clear or not.
    """

    stored: NDArray[np.generic] | None
    shown: BandWindows


class _TracingReader(ExactReader):
    """Exact reader that also reads the bands of unclear pixels and records a trace for every scene."""

    def __init__(self, task: BlockTask, inside: NDArray[np.bool_], watch: CancelWatch) -> None:
        super().__init__(task, inside, watch)
        self.traces: list[Trace] = []

    def _read(self, windows: SceneWindows) -> ScenePixels | ReadError | None:
        try:
            mask = self._read_mask(windows) if windows.mask else None
            stored = self._window(windows.mask).values if windows.mask else None
            conditions = tuple(self._read_condition(windows, part) for part in windows.conditions)
            bands = self._bands(windows.red, windows.nir)
        except ReadError as error:
            return error
        pixels = ScenePixels(mask=mask, conditions=conditions)
        shown = self._band_windows(windows, pixels, windows.red, _copied(bands), every=True)
        counted = self._band_windows(windows, pixels, windows.red, bands)
        if stored is not None and windows.mask is not None:
            top, left, bottom, right = windows.mask.inner
            stored = stored[top:bottom, left:right]
        return _TracedPixels(mask=mask, conditions=conditions, bands=counted, stored=stored, shown=shown)

    def _add_scene(
        self, windows: SceneWindows, pixels: ScenePixels, taken: NDArray[np.bool_], sums: LookAccumulator
    ) -> None:
        assert isinstance(pixels, _TracedPixels)
        assert pixels.bands is not None
        was_taken = bool(taken.item())
        total, count = sums.total.item(), sums.count.item()
        super()._add_scene(windows, pixels, taken, sums)
        counted = sums.count.item() > count
        trace = self._describe(windows, pixels, pixels.bands if counted else pixels.shown)
        if counted:
            ndvi = (sums.total.item() - total) / UNITS_PER_NDVI
            self.traces.append(replace(trace, counted=True, ndvi=ndvi))
        else:
            self.traces.append(replace(trace, why_not=self._why_not(windows, pixels, trace, was_taken)))

    def _describe(self, windows: SceneWindows, pixels: _TracedPixels, bands: BandWindows) -> Trace:
        """Return the trace of a scene with its values only; `counted` and `why_not` are not set."""
        code = None
        if windows.mask is not None and pixels.stored is not None and self._told(windows, pixels):
            code = int(windows.mask.placement.take_nearest(pixels.stored, windows.mask.at).item())
        red, nir = (_value_of(windows, bands, place) for place in (0, 1))
        return Trace(
            scene=windows.scene.id,
            made_of="own pixel" if isinstance(windows.red.placement, Aligned) else self._task.resampling,
            mask=code,
            mask_class=None if code is None or windows.roles.mask is None else _class_of(windows.roles.mask, code),
            red=red,
            nir=nir,
            ndvi=_ndvi(red, nir),
        )

    def _told(self, windows: SceneWindows, pixels: _TracedPixels) -> int:
        """Return the verdict of the mask at the centre of the pixel; `CLEAR` for a product without a mask."""
        if windows.mask is None or pixels.mask is None:
            return int(CLEAR)
        return int(windows.mask.placement.take_nearest(pixels.mask.codes, windows.mask.at).item())

    def _why_not(self, windows: SceneWindows, pixels: _TracedPixels, trace: Trace, was_taken: bool) -> str:
        told = self._told(windows, pixels)
        if self._outside.item():
            return "outside the region"
        if told == 0:
            return "nodata"
        if told != CLEAR:
            reason = self._task.reasons[told - 1]
            mask = windows.roles.mask
            opened = mask is not None and trace.mask is not None and mask.filters and _is_clear(mask, trace.mask)
            return f"{reason}, by the mask filter" if opened else reason
        if was_taken:
            return "another scene won the pixel"
        for part, codes in zip(windows.conditions, pixels.conditions, strict=True):
            free = np.zeros((1, 1), bool)
            if not part.placement.find_clear(codes.codes, part.at, codes.table, free):
                assert isinstance(part.role, MaskRole | RangeRole)
                return part.role.reason
        return self._why_invalid(trace, windows, pixels)

    def _why_invalid(self, trace: Trace, windows: SceneWindows, pixels: _TracedPixels) -> str:
        """Return the reason why a pixel with a clear centre is not an observation."""
        if trace.red is None or trace.nir is None:
            return "too little of its area is valid" if windows.red.placement.takes_means else "nodata"
        numbers = pixels.shown.numbers
        values = (trace.red.stored, trace.nir.stored)
        if not all(low <= value <= high for value, (_, low, high, *_) in zip(values, numbers, strict=True)):
            return "out of the valid range"
        if trace.ndvi is None:
            return "red + nir is 0"
        low, high = self._task.index_range
        if not low <= trace.ndvi <= high:
            return "out of the index range"
        return "too little of its area is clear"


def _copied(bands: tuple[StoredWindow, StoredWindow]) -> tuple[StoredWindow, StoredWindow]:
    """Return copies of both windows, because `usable_pixels` sets unusable pixels to 0 in place."""
    red, nir = (replace(each, values=each.values.copy()) for each in bands)
    return red, nir


def _value_of(windows: SceneWindows, bands: BandWindows, place: int) -> BandValue | None:
    """Return the value of band 0 (red) or 1 (nir) at the pixel, resampled by the kernels.

    The kernels return only an index. For a red value of 1 and a nir value v (the stored value times the scale), the
    index is i = (v - 1) / (v + 1), so v = (1 + i) / (1 - i).
    """
    nodata, _, _, scale, offset = bands.numbers[place].tolist()
    numbers = np.array([[nodata, -np.inf, np.inf, 0.0, 1.0], [nodata, -np.inf, np.inf, scale, 0.0]])
    sums = Accumulators(
        total=np.zeros((1, 1), np.int64),
        count=np.zeros((1, 1), np.uint16),
        taken=np.zeros((1, 1), bool),
        beyond=np.zeros(2, np.int64),
        min_area=0.0,
    )
    band = (bands.red, bands.nir)[place]
    windows.red.placement.add_observations(replace(bands, red=band, nir=band, numbers=numbers), _THE_PIXEL, sums)
    if not sums.count.item():
        return None
    index = sums.total.item() / UNITS_PER_NDVI
    value = (1.0 + index) / (1.0 - index)
    return BandValue(stored=round(value / scale, _STORED_DIGITS), scaled=round(value + offset, _SCALED_DIGITS))


def _ndvi(red: BandValue | None, nir: BandValue | None) -> float | None:
    if red is None or nir is None or red.scaled + nir.scaled == 0.0:
        return None
    return (nir.scaled - red.scaled) / (nir.scaled + red.scaled)


def _class_of(mask: MaskRole, code: int) -> str | None:
    """Return the names of all classes to which a mask code belongs, joined by commas; None if there are none."""
    names = [name for name, bits, value in mask.classes if mask.matches(np.array(code), bits, value)]
    return ", ".join(names) or None


def _is_clear(mask: MaskRole, code: int) -> bool:
    return bool(mask.is_clear(np.array(code)))
