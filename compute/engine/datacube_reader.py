"""Datacube reader (``--reader odc``): warp every scene with GDAL, then fuse each band of a group separately."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from datacube.drivers.datasource import DataSource
from datacube.storage import reproject_and_fuse
from datacube.storage._rio import BandDataSource
from datacube.utils.math import num2numpy
from numpy.typing import NDArray

from compute import kernels
from compute.engine.accumulation import LookAccumulator
from compute.engine.aux_xml import read_aux_tags
from compute.engine.block_records import BlockTask
from compute.engine.cancellation import CancelWatch
from compute.engine.mask_classification import MaskClassifier, MaskCodes
from compute.engine.raster_opening import open_raster, refuse_overviews
from compute.engine.raster_windows import FAILURES, ReadError, unread_scene
from compute.engine.read_errors import describe_read_error
from compute.errors import JobError
from compute.files.access import Permit
from compute.products import BandRole, Condition, MaskRole, RangeRole, Scaling, pixel_verdicts
from compute.products.roles import BandConstants
from compute.scenes import Band, Source, UnreadScene
from compute.scenes.pixel_frames import ArrayWindow

_FILL = {"i": 0, "u": 0, "f": np.nan}
"""Fill values outside a scene for bands without a nodata value, by dtype kind; as in datacube."""


class OdcReader:
    """Read the groups of scenes of one task, and accumulate their observations.

    Scenes are warped and fused by datacube's `reproject_and_fuse` (datacube 1.9, ``datacube/storage/_read.py``).

    Parameters
    ----------
    task : BlockTask
        The task: grid, roles and resampling.
    inside : numpy.ndarray
        Bool that broadcasts to (y, x): pixels inside the region.
    watch : CancelWatch
        Cancellation check, run before every read.
    """

    def __init__(self, task: BlockTask, inside: NDArray[np.bool_], watch: CancelWatch) -> None:
        self._task = task
        self._inside = inside
        self._watch = watch

    def add_groups(self, groups: Sequence[Sequence[Source]], sums: LookAccumulator) -> frozenset[UnreadScene]:
        """Accumulate the observations of groups of scenes. All scenes must be readable.

        Parameters
        ----------
        groups : sequence of sequence of Source
            Scenes of each group.
        sums : LookAccumulator
            Accumulator of the task; changed in place.

        Returns
        -------
        frozenset of UnreadScene
            Always empty, since an unreadable scene raises an error.

        Raises
        ------
        JobCancelledError
            The run was cancelled.
        JobError
            A scene cannot be read.
        """
        for number in sorted(range(len(groups)), key=sums.sort_key):
            sums.start_group(number)
            self._add_group(groups[number], sums)
        sums.start_group(None)
        return frozenset()

    def _add_group(self, group: Sequence[Source], sums: LookAccumulator) -> None:
        """Read mask, conditions and bands of a group in this order, and stop once no pixel is clear."""
        roles = self._task.roles[group[0].product]
        clear = np.broadcast_to(self._inside, self._task.grid.shape)
        mask = None
        if roles.mask is not None:
            mask = self._codes(group, roles.mask, self._task.reasons)
            clear = clear & mask.clear
        met: list[tuple[str, NDArray[np.bool_]]] = []
        for condition in roles.conditions:
            if clear.any():
                met.append((condition.reason, self._condition(group, condition)))
                clear = clear & met[-1][1]
        if self._task.reasons and mask is not None:
            sums.record_verdicts(pixel_verdicts(mask.codes * self._inside, self._task.reasons, met))
        if not clear.any():
            return
        red = self._read(group, roles.red, self._task.resampling)
        nir = self._read(group, roles.nir, self._task.resampling)
        numbers = np.array([self._numbers(group, role) for role in (roles.red, roles.nir)])
        limits = self._task.index_range
        kernels.accumulate(red, nir, clear, numbers, sums.total, sums.count, index_range=limits, beyond=sums.beyond)

    def _codes(self, group: Sequence[Source], role: MaskRole, reasons: Sequence[str] = ()) -> MaskCodes:
        stored = self._read(group, role, "nearest")
        return MaskClassifier(role, reasons).classify(stored, ArrayWindow((0, 0, *stored.shape)), role.nodata)

    def _condition(self, group: Sequence[Source], condition: Condition) -> NDArray[np.bool_]:
        if isinstance(condition, MaskRole):
            return self._codes(group, condition).clear
        stated = group[0].bands[condition.measurement].stated
        return condition.is_clear(self._read(group, condition, "nearest"), replace(stated, nodata=None), Scaling())

    def _numbers(self, group: Sequence[Source], role: BandRole) -> BandConstants:
        """Return nodata, valid range and scaling of a band, which are equal in all scenes of a planned group."""
        return role.kernel_constants(role.dtype, replace(group[0].bands[role.measurement].stated, nodata=None))

    def _read(self, group: Sequence[Source], role: BandRole | Condition, resampling: str) -> NDArray[np.generic]:
        """Return the (y, x) values of one measurement of a group, warped and fused by datacube."""
        self._watch.raise_if_cancelled()
        kind = np.dtype(role.dtype)
        stated = role.band.nodata if isinstance(role, RangeRole) else role.nodata
        nodata = kind.type(_FILL[kind.kind] if stated is None else stated)
        fused = np.empty(self._task.grid.shape, role.dtype)
        sources = [self._source(scene, nodata, role) for scene in group]
        try:
            return reproject_and_fuse(sources, fused, self._task.grid.geobox, nodata, resampling=resampling)
        except ReadError as error:
            scene = next(each for each in group if each.bands[role.measurement] is error.band)
            unread = unread_scene(scene, error)
        # Not raised in the handler: the cause would contain file names, and some GDAL errors cannot be pickled.
        raise JobError(f"{unread}; check its file and run again.")

    def _source(self, scene: Source, nodata: np.generic, role: BandRole | Condition) -> _BandSource:
        permit = Permit(access=self._task.access, home=scene.home)
        return _BandSource(scene.bands[role.measurement], permit, nodata, role)


class _BandSource(DataSource):
    """Adapter of a `Band` to the data source that `reproject_and_fuse` expects, without a dataset from the index."""

    def __init__(self, band: Band, permit: Permit, nodata: np.generic, role: BandRole | Condition) -> None:
        self._band = band
        self._permit = permit
        self._nodata = nodata
        self._role = role

    @contextmanager
    def open(self) -> Iterator[BandDataSource]:
        """Yield the open band. A nodata value of the file takes precedence over that of the product."""
        try:
            with open_raster(self._band, self._permit, georeferenced=True) as file:
                refuse_overviews(file, self._permit)
                band = rasterio.band(file, max(self._band.index, 1))
                self._refuse_other_values(file, band.bidx)
                beside = read_aux_tags(self._band.uri, band.bidx)
                stated = file.nodatavals[band.bidx - 1] if beside.nodata is None else beside.nodata
                nodata: Any = self._nodata if stated is None else stated
                yield BandDataSource(band, nodata=num2numpy(nodata, band.dtype))
        except FAILURES as error:
            reason = describe_read_error(error, self._band, self._permit)
        else:
            return
        raise ReadError(reason, self._band)

    def _refuse_other_values(self, file: Any, index: int) -> None:
        """Raise `ReadError` for dtypes that datacube's reader would wrap and scalings that it would ignore silently."""
        found, expected = file.dtypes[index - 1], self._role.dtype
        if not np.can_cast(found, expected):
            raise ReadError(f"holds {found} where its product says {expected}; give --reader exact", self._band)
        beside = read_aux_tags(self._band.uri, index)
        scale = file.scales[index - 1] if beside.scale is None else beside.scale
        scaling = scale, file.offsets[index - 1] if beside.offset is None else beside.offset
        if scaling == (1.0, 0.0) or not isinstance(self._role, BandRole):
            return
        known = self._role.resolve_scaling(self._band.stated, Scaling())
        if not np.allclose(scaling, (known.scale or 1.0, known.offset or 0.0), rtol=1e-6):
            raise ReadError("states a scale or an offset of its own; give --reader exact", self._band)
