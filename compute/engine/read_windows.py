"""Read windows: the windows of each scene that a block needs, and the pixels read from them."""

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
    """Window of one band's file that a block needs.

    Attributes
    ----------
    role : BandRole, MaskRole or RangeRole
        Role of the band.
    band : Band
        File and pixel grid of the band.
    window : FileWindow
        Pixels of the file that the block covers.
    halo : FileWindow
        Pixels to read: `window`, widened for a mask with filters by the radius that the filters depend on.
    at : SourcePixel
        First pixel of the window.
    placement : Placement
        Placement of the block in the alignment of the band.
    home : str
        Local folder of the scene's document, below which its files may lie; empty if the document is not a local file.
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
        """Number of pixels to read, including the halo."""
        top, left, bottom, right = self.halo
        return (bottom - top) * (right - left)

    @property
    def nbytes(self) -> int:
        """Size of the pixels to read, in bytes."""
        return self.pixels * np.dtype(self.role.dtype).itemsize

    @property
    def inner(self) -> ArrayWindow:
        """The window without its halo, in pixels of the array that is read."""
        return array_window(self.window, self.halo)

    def narrow_to(self, clear: ArrayWindow, mask: ReadWindow) -> ReadWindow:
        """Return the part of the window that is needed if only some pixels of the mask are clear.

        Parameters
        ----------
        clear : ArrayWindow
            Smallest window that contains all clear pixels of the mask, in pixels of the array of `mask.window`.
        mask : ReadWindow
            Window of the mask.

        Returns
        -------
        ReadWindow
            The reduced window; unchanged if mask and band have different placements.
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
        """Pixel grid of the window without its halo."""
        top, left, bottom, right = self.window
        a, b, c, d, e, f = self.band.grid.transform
        origin = c + a * left + b * top, f + d * left + e * top
        transform = (a, b, origin[0], d, e, origin[1])
        return Grid(crs=self.band.grid.crs, shape=(bottom - top, right - left), transform=transform)


def _narrow_span(whole: tuple[int, ...], clear: tuple[int, ...], shift: int, reach: int) -> tuple[int, int]:
    """Return the span of file pixels to read along one axis: the clear pixels widened by `reach`, at least one pixel.

    Parameters
    ----------
    whole : (int, int)
        Span of the whole window, to which the result is clipped.
    clear : (int, int)
        Span of the clear pixels, counted from the first pixel of the mask's window.
    shift : int
        First pixel of the mask's window minus that of this window.
    reach : int
        Number of source pixels on either side that the resampling uses.
    """
    (first, last), start = whole, whole[0] + shift
    begin, end = start + clear[0] - reach, start + clear[1] + reach
    return min(max(begin, first), last - 1), max(min(end, last), first + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneWindows:
    """Windows of one scene that a block needs.

    Attributes
    ----------
    group : int
        Index of the scene's group in the task.
    scene : Source
        The scene.
    roles : Roles
        Roles of the scene's product.
    mask : ReadWindow or None
        Window of the mask; None for a product without a mask.
    red, nir : ReadWindow
        Windows of red and nir.
    conditions : tuple of ReadWindow
        Windows of the bands of further conditions.
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
        """All windows of the scene."""
        return (*filter(None, (self.mask,)), self.red, self.nir, *self.conditions)

    @property
    def nbytes(self) -> int:
        """Size of all windows and of the working memory of the mask filter, in bytes."""
        filtered = self.mask is not None and self.roles.mask is not None and self.roles.mask.filters
        filtering = FILTERING_BYTES_PER_PX * self.mask.pixels if filtered and self.mask else 0
        return filtering + sum(part.nbytes for part in self.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenePixels:
    """Pixels that were read from the windows of one scene.

    Attributes
    ----------
    mask : MaskCodes or None
        Classified mask; None for a product without a mask.
    conditions : tuple of MaskCodes
        Classified conditions, up to the first without clear pixels.
    bands : BandWindows or None
        Red and nir; None if no pixel is clear.
    remarks : tuple of str
        Sentences about files that contradict the scene's document, the product definition or the products file.
    """

    mask: MaskCodes | None
    conditions: tuple[MaskCodes, ...] = ()
    bands: BandWindows | None = None
    remarks: tuple[str, ...] = ()


def iterate_masks(windows: SceneWindows, pixels: ScenePixels) -> Iterator[tuple[ReadWindow, MaskCodes]]:
    """Yield the mask and the conditions of a scene, each with its window.

    Parameters
    ----------
    windows : SceneWindows
        Windows of the scene.
    pixels : ScenePixels
        Pixels read from these windows.

    Yields
    ------
    (ReadWindow, MaskCodes)
        Window and classified pixels.
    """
    if windows.mask is not None and pixels.mask is not None:
        yield windows.mask, pixels.mask
    yield from zip(windows.conditions, pixels.conditions, strict=False)


def contradicting_tags(windows: SceneWindows, stored: tuple[StoredWindow, StoredWindow]) -> Iterator[str]:
    """Yield a sentence for each contradiction between the tags of a file and the stated scale, offset or nodata.

    Parameters
    ----------
    windows : SceneWindows
        Windows of the scene.
    stored : (StoredWindow, StoredWindow)
        Windows of red and nir, with the tags of their files.

    Yields
    ------
    str
        Sentence for users, with both values and the one that is used.
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
    """Return scale, offset and nodata from the tags of a file."""
    return Scaling(scale=stored.scale, offset=stored.offset, nodata=stored.nodata)
