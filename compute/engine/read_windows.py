"""Windows of each scene that a block needs, and the pixels that were read from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from compute.engine.mask_classification import FILTERING_BYTES_PER_PX, MaskCodes
from compute.engine.pixel_placement import Placement
from compute.engine.raster_windows import StoredWindow
from compute.kernels.resample import BandWindows
from compute.products import BandRole, Condition, Roles, Scaling
from compute.products.scaling import NO_SCALING, find_contradictions
from compute.scenes import Band, Grid, Source
from compute.scenes.pixel_frames import ArrayWindow, FileWindow, SourcePixel, array_window


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadWindow:
    """Window of one band that a block needs.

    Attributes
    ----------
    role : BandRole, MaskRole or RangeRole
        Role of the band in the product.
    band : Band
        File and pixel grid of the band.
    window : FileWindow
        Pixels of the file that lie under the block.
    halo : FileWindow
        Pixels that are read: the window, and around a mask's window the pixels that its filters pixels at.
    at : SourcePixel
        First pixel of the window.
    placement : Placement
        Placement of the block in the band's alignment.
    home : str
        Local folder of the scene's document, below which its files may lie; empty for other documents.
    """

    role: BandRole | Condition
    band: Band
    window: FileWindow
    halo: FileWindow
    at: SourcePixel
    placement: Placement
    home: str

    @property
    def pixels(self) -> int:
        """Number of pixels that are read, with the halo."""
        top, left, bottom, right = self.halo
        return (bottom - top) * (right - left)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels that are read."""
        return self.pixels * np.dtype(self.role.dtype).itemsize

    @property
    def inner(self) -> ArrayWindow:
        """The window in pixels of the array that holds its halo."""
        return array_window(self.window, self.halo)

    def narrow_to(self, clear: ArrayWindow, mask: ReadWindow) -> ReadWindow:
        """Return the part of the window that a block with these clear pixels needs.

        Parameters
        ----------
        clear : ArrayWindow
            Smallest window that holds the clear pixels of the mask, in pixels of the array of `mask.window`.
        mask : ReadWindow
            Window of the mask. Where it is placed otherwise than this band, nothing is left out.
        """
        if self.placement is not mask.placement:
            return self
        spans = [
            _narrow_span(self.window[axis::2], clear[axis::2], mask.at[axis] - self.at[axis], self.placement.reach)
            for axis in range(2)
        ]
        (top, bottom), (left, right) = spans
        window = FileWindow((top, left, bottom, right))
        at = SourcePixel((self.at[0] + top - self.window[0], self.at[1] + left - self.window[1]))
        return replace(self, window=window, halo=window, at=at)

    @property
    def grid(self) -> Grid:
        """Pixel grid of the window, without the halo."""
        top, left, bottom, right = self.window
        a, b, c, d, e, f = self.band.grid.transform
        origin = c + a * left + b * top, f + d * left + e * top
        transform = (a, b, origin[0], d, e, origin[1])
        return Grid(crs=self.band.grid.crs, shape=(bottom - top, right - left), transform=transform)


def _narrow_span(whole: tuple[int, ...], clear: tuple[int, ...], shift: int, reach: int) -> tuple[int, int]:
    """Return the span of file pixels to read along one axis: clear pixels widened by `reach`, at least one pixel.

    Parameters
    ----------
    whole : (int, int)
        Span of the window, which is never exceeded.
    clear : (int, int)
        Span of the clear pixels in the mask's window.
    shift : int
        First pixel of the mask's window minus that of this window.
    reach : int
        Number of source pixels around a pixel that the resampling uses.
    """
    (first, last), start = whole, whole[0] + shift
    begin, end = start + clear[0] - reach, start + clear[1] + reach
    return min(max(begin, first), last - 1), max(min(end, last), first + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneWindows:
    """Windows of one scene to read.

    Attributes
    ----------
    group : int
        Position of the scene's group.
    scene : Source
        The scene.
    roles : Roles
        Roles of its product.
    mask : ReadWindow or None
        Window of its mask; None where the product has no mask.
    red, nir : ReadWindow
        Windows of red and nir.
    conditions : tuple of ReadWindow
        Windows of the bands with further conditions.
    """

    group: int
    scene: Source
    roles: Roles
    mask: ReadWindow | None
    red: ReadWindow
    nir: ReadWindow
    conditions: tuple[ReadWindow, ...] = ()

    @property
    def parts(self) -> tuple[ReadWindow, ...]:
        """All windows."""
        return (*filter(None, (self.mask,)), self.red, self.nir, *self.conditions)

    @property
    def nbytes(self) -> int:
        """Bytes of all windows, with the working memory of the mask filter."""
        filtered = self.mask is not None and self.roles.mask is not None and self.roles.mask.filters
        filtering = FILTERING_BYTES_PER_PX * self.mask.pixels if filtered and self.mask else 0
        return filtering + sum(part.nbytes for part in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenePixels:
    """Pixels of the windows of one scene.

    Attributes
    ----------
    mask : MaskCodes or None
        Classified mask; None where the product has no mask.
    conditions : tuple of MaskCodes
        Classified conditions, up to the first that leaves no pixel clear.
    bands : BandWindows or None
        Red and nir; None where no pixel is clear.
    remarks : tuple of str
        Sentences on files that contradict the scene's document or the product definition.
    """

    mask: MaskCodes | None
    conditions: tuple[MaskCodes, ...] = ()
    bands: BandWindows | None = None
    remarks: tuple[str, ...] = ()


def iterate_masks(windows: SceneWindows, pixels: ScenePixels) -> Iterator[tuple[ReadWindow, MaskCodes]]:
    """Yield mask and conditions of a scene, each with its window.

    Parameters
    ----------
    windows : SceneWindows
        Windows of the scene.
    pixels : ScenePixels
        Pixels of these windows.
    """
    if windows.mask is not None and pixels.mask is not None:
        yield windows.mask, pixels.mask
    yield from zip(windows.conditions, pixels.conditions, strict=False)


def contradicting_tags(windows: SceneWindows, stored: tuple[StoredWindow, StoredWindow]) -> Iterator[str]:
    """Yield a sentence for each band whose file contradicts its document or definition in scale, offset or nodata.

    Parameters
    ----------
    windows : SceneWindows
        Windows of the scene.
    stored : (StoredWindow, StoredWindow)
        Windows of red and nir, with the tags of their files.
    """
    roles = windows.roles.red, windows.roles.nir
    for role, part, each in zip(roles, (windows.red, windows.nir), stored, strict=True):
        stated, known = part.band.stated, role.resolve_scaling(part.band.stated, NO_SCALING)
        expected = Scaling(
            scale=known.scale if role.scale_from or stated.scale else None,
            offset=known.offset if role.offset_from or stated.offset is not None else None,
            nodata=None if role.all_stored else known.nodata,
        )
        if tags_of(each) != NO_SCALING:
            for word, near, far in find_contradictions(tags_of(each), expected):
                used = "products file's is" if role.override else "files' are"
                product = windows.scene.product
                yield (
                    f"Files of {product} state the {word} {near:g} for {role.measurement} where documents, "
                    f"definition or products file state {far:g}; the {used} used."
                )


def tags_of(stored: StoredWindow) -> Scaling:
    """Return scale, offset and nodata as stated by a file."""
    return Scaling(scale=stored.scale, offset=stored.offset, nodata=stored.nodata)
