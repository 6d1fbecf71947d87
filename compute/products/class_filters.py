"""Morphological filters of a mask class: opening and dilation, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from compute.products.profile import ClearClass


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFilter:
    """Opening and dilation of one mask class, by disks on the mask's own pixels.

    Attributes
    ----------
    mask_class : str or int
        Name or code of the class, such as ``"cloud"``.
    opening : int
        Radius in pixels: where the class nowhere holds a disk of it, it is noise and is taken away.
    dilation : int
        Radius in pixels by which the class grows afterwards.
    """

    mask_class: ClearClass
    opening: int = 0
    dilation: int = 0

    @property
    def reach(self) -> int:
        """Pixels around a place that decide what the class is there."""
        return 2 * self.opening + self.dilation
