"""Specification of a set of demo scenes: region, dates, pixel size and seed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256

from compute.errors import InputError

FORMAT = 1
"""Counts up whenever the same specification gives other pixels or documents."""


@dataclass(frozen=True, kw_only=True)
class DemoSpec:
    """The demo scenes, reduced to the numbers that decide every pixel of them.

    Attributes
    ----------
    pixel_m : int
        Edge of a pixel in metres. Landsat's 30 m would take ten minutes; 120 m are written in half a minute.
    seed : int
        Number of the whole: weather, sensor noise, fields and the detail of the terrain. 6 is the one of a few that
        shows every season most evenly.
    start, end : datetime.date
        First and last UTC date of acquisition, both inclusive: five whole seasons.
    paths : tuple of int
        WRS-2 paths to fly, of 89 to 93.
    region : (float, float, float, float)
        West, south, east, north in degrees; scenes are clipped to the UTM rectangle around it, which keeps the
        open ocean, most of the pixels of a full swath, out of the files.
    missed_cloud : float
        Opacity from 0 to 1 up to which the mask calls a cloud or its shadow clear. 0 is a perfect mask.
    """

    pixel_m: int = 120
    seed: int = 6
    start: date = date(2020, 12, 1)
    end: date = date(2022, 2, 28)
    paths: tuple[int, ...] = (89, 90, 91, 92, 93)
    region: tuple[float, float, float, float] = (143.75, -43.72, 148.58, -39.49)
    missed_cloud: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no scene can be made of."""
        if not 30 <= self.pixel_m <= 2000:
            raise InputError("pixel_m", f"pixel_m is {self.pixel_m}, and must be 30 to 2000 metres.")
        if self.start > self.end:
            raise InputError("start", f"start {self.start} lies after end {self.end}; swap them.")
        if not 0.0 <= self.missed_cloud < 1.0:
            raise InputError("missed_cloud", f"missed_cloud is {self.missed_cloud}, and must be 0 to below 1.")

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that differ wherever a pixel or a document would."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, default=str, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:12]
