"""Specification of a set of demo scenes: region, dates, pixel size and seed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256

from compute.errors import InputError

FORMAT = 1
"""Version of the generator; to be increased if a specification would give different pixels or documents than before."""


@dataclass(frozen=True, kw_only=True)
class DemoSpec:
    """Specification of a set of demo scenes, which determines every pixel.

    Attributes
    ----------
    pixel_m : int
        Pixel size in metres. Writing takes half a minute at 120 m, and ten minutes at Landsat's 30 m.
    seed : int
        Seed of weather, sensor noise, fields and terrain details. With the default, all seasons are covered evenly.
    start, end : datetime.date
        First and last UTC date of acquisitions, inclusive; the default covers five seasons.
    paths : tuple of int
        WRS-2 paths, from 89 to 93.
    region : (float, float, float, float)
        West, south, east, north in degrees. Scenes are clipped to the bounding box of the region in UTM; the default
        excludes the open ocean.
    missed_cloud : float
        Opacity from 0 to 1 below which the mask does not detect a cloud or a shadow; 0 gives a perfect mask.
    """

    pixel_m: int = 120
    seed: int = 6
    start: date = date(2020, 12, 1)
    end: date = date(2022, 2, 28)
    paths: tuple[int, ...] = (89, 90, 91, 92, 93)
    region: tuple[float, float, float, float] = (143.75, -43.72, 148.58, -39.49)
    missed_cloud: float = 0.0

    def __post_init__(self) -> None:
        """Check pixel size, dates and opacity."""
        if not 30 <= self.pixel_m <= 2000:
            raise InputError("pixel_m", f"pixel_m is {self.pixel_m}, and must be 30 to 2000 metres.")
        if self.start > self.end:
            raise InputError("start", f"start {self.start} lies after end {self.end}; swap them.")
        if not 0.0 <= self.missed_cloud < 1.0:
            raise InputError("missed_cloud", f"missed_cloud is {self.missed_cloud}, and must be 0 to below 1.")

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify the specification and the generator version."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, default=str, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:12]
