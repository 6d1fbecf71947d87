"""Morphological filters of a mask class: opening and dilation, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from compute.products.profile import ClearClass


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFilter:
    """Opening and dilation of one mask class with disk footprints, in pixels of the mask.

    See Serra (1982), *Image Analysis and Mathematical Morphology*, and `odc.algo.mask_cleanup` for the same operations.

    Attributes
    ----------
    mask_class : str or int
        Name or code of the class, such as ``"cloud"``.
    opening : int
        Radius of the opening, which removes parts of the class that are smaller than the disk.
    dilation : int
        Radius of the subsequent dilation.
    """

    mask_class: ClearClass
    opening: int = 0
    dilation: int = 0

    @property
    def reach(self) -> int:
        """Radius of the neighbourhood that determines the filtered class of a pixel, in pixels of the mask."""
        return 2 * self.opening + self.dilation
