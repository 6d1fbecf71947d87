"""Datacube's own reading: warp every scene by GDAL, then fill every band by itself. Kept beside the exact reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import rasterio
from datacube.storage import reproject_and_fuse
from datacube.storage._rio import RasterioDataSource
from numpy.typing import NDArray

from compute import kernels
from compute.blocks.adding import Adder
from compute.blocks.cancelling import CancelWatch
from compute.blocks.files import GDAL_OPTIONS, gdal_name
from compute.blocks.masks import MaskReading
from compute.blocks.records import BlockTask
from compute.errors import JobError
from compute.products import BandRole, MaskRole, verdicts_of_pixels
from compute.scenes import Band, Source

_FILL = {"i": 0, "u": 0, "f": np.nan}
"""What stands outside a scene whose band has no nodata, by kind of type; as in datacube."""


class OdcReader:
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
        self._inside = inside
        self._watch = watch

    def add(self, groups: Sequence[Sequence[Source]], sums: Adder) -> frozenset[str]:
        """Add up the looks of groups of scenes; every one must be readable.

        Returns
        -------
        frozenset of str
            Empty: no scene is left out.

        Raises
        ------
        JobCancelledError
            The run was cancelled meanwhile.
        JobError
            A scene cannot be read.
        """
        with rasterio.Env(**GDAL_OPTIONS):
            for number in sorted(range(len(groups)), key=sums.order):
                sums.begin(number)
                self._add_group(groups[number], sums)
        sums.begin(None)
        return frozenset()

    def _add_group(self, group: Sequence[Source], sums: Adder) -> None:
        """Read the mask first, then contiguity: where nothing is clear, the bands need not be read."""
        roles = self._task.roles[group[0].product]
        masks = MaskReading(roles.mask, self._task.reasons)
        mask = masks.believed(self._read(group, roles.mask, "nearest"), (0, 0, *self._task.grid.shape))
        clear = _met(mask, masks.table) & self._inside
        whole = np.ones((1, 1), bool)
        if clear.any() and roles.contiguity is not None:
            whole = _met(self._read(group, roles.contiguity, "nearest"), roles.contiguity.table())
            clear &= whole
        if self._task.reasons:
            sums.note(verdicts_of_pixels(mask * self._inside, self._task.reasons, whole))
        if not clear.any():
            return
        red = self._read(group, roles.red, self._task.resampling)
        nir = self._read(group, roles.nir, self._task.resampling)
        kernels.accumulate(red, nir, clear, roles.bands, sums.total, sums.count)

    def _read(self, group: Sequence[Source], role: BandRole | MaskRole, resampling: str) -> NDArray[np.generic]:
        """Read one measurement of a group: warp every scene, then fuse by datacube's rule."""
        self._watch.raise_if_cancelled()
        kind = np.dtype(role.dtype)
        nodata = kind.type(_FILL[kind.kind] if role.nodata is None else role.nodata)
        fused = np.empty(self._task.grid.shape, role.dtype)
        sources = [_BandSource(scene.bands[role.measurement], nodata) for scene in group]
        try:
            return reproject_and_fuse(sources, fused, self._task.grid.geobox, nodata, resampling=resampling)
        except (rasterio.errors.RasterioError, OSError, ValueError, RuntimeError) as error:
            reason = type(error).__name__
        # Raised here, not there: GDAL's errors name files, and not every one can travel to the client as a cause.
        names = ", ".join(scene.id for scene in group)
        raise JobError(
            f"The {role.measurement} of scene {names} cannot be read ({reason}); check its file and run again."
        )


def _met(codes: NDArray[np.generic], table: NDArray[np.bool_]) -> NDArray[np.bool_]:
    met: NDArray[np.bool_] = table[codes.view(f"u{codes.dtype.itemsize}")]
    return met


class _BandSource(RasterioDataSource):
    """A band of a scene record as datacube's reading wants it, without the index's documents."""

    def __init__(self, band: Band, nodata: np.generic) -> None:
        super().__init__(gdal_name(band.uri), nodata=nodata)
        self._index = band.index

    def get_bandnumber(self, src: object) -> int:  # noqa: ARG002  # datacube's signature
        return self._index
