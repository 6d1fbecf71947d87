"""Specification of the scenes of the benchmark `compute`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from hashlib import sha256
from itertools import islice
from math import ceil
from pathlib import Path

import shapely

from compute.demo.demo_spec import DemoSpec
from compute.demo.eo3_documents import measurement_paths, scene_id
from compute.demo.overpasses import Acquisition, Footprint, list_acquisitions
from compute.demo.pixel_lattice import LatticeWindow
from compute.errors import InputError

_FORMAT = 1
"""Version of the pixels, raised whenever the same specification gives other pixels."""

BANDS = ("nbart_red", "nbart_nir", "oa_fmask")
"""Measurements that are written; a document names all measurements of its product."""

PIXEL_M = 30
_CENTRE = (500_000.0, -4_650_000.0)
"""Easting and northing in EPSG:32655 of the centre of the scenes, in Tasmania near the central meridian."""

_PATH, _ROWS = 90, (88, 89)
_SLANT = 0.1
"""Pixels by which a swath moves west for each pixel south; a tenth of a date's square is outside the swath."""

_FIRST_DAY = date(2020, 12, 1)
_REPEAT = timedelta(days=16)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Specification of the input: the numbers that determine every pixel.

    Attributes
    ----------
    dates : int
        Number of dates, 16 days apart.
    size : int
        Pixels along each edge of the area of one date, which two rows of scenes share.
    seed : int
        Seed of the random numbers.
    clear_share : float
        Share of the pixels of a date that are clear.
    patch_px : int
        Size of a patch of clear or cloudy pixels, in pixels.
    overlap : float
        Share of a scene that its neighbour of the same day covers too.
    """

    dates: int = 24
    size: int = 4000
    seed: int = 1
    clear_share: float = 0.45
    patch_px: int = 64
    overlap: float = 0.1

    def __post_init__(self) -> None:
        """Refuse numbers out of bounds."""
        if not 1 <= self.dates <= 1000:
            raise InputError("dates", f"The number of dates must be from 1 to 1000, not {self.dates}.")
        if not 512 <= self.size <= 20_000:
            raise InputError("size", f"The size must be from 512 to 20000 pixels, not {self.size}.")
        if not 0 <= self.seed < 2**32:
            raise InputError("seed", f"The seed must be from 0 to {2**32 - 1}, not {self.seed}.")
        if not 2 <= self.patch_px <= self.size:
            raise InputError("patch-px", f"A patch must be from 2 to {self.size} pixels, not {self.patch_px}.")

    @property
    def digest(self) -> str:
        """Hash of twelve hexadecimal digits that identifies the pixels."""
        return sha256(json.dumps({"format": _FORMAT, **asdict(self)}, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def window(self) -> LatticeWindow:
        """Pixels that each date covers."""
        column, row = (round(metres / PIXEL_M) - self.size // 2 for metres in (_CENTRE[0], -_CENTRE[1]))
        return LatticeWindow(pixel_m=PIXEL_M, row=row, column=column, shape=(self.size, self.size))

    @property
    def swath(self) -> shapely.Polygon:
        """Part of the window that the satellite sees, in metres; a tenth of the window is outside."""
        rows, columns = self.window.shape
        corners = (_SLANT * rows, 0), (columns, 0), (columns - _SLANT * rows, rows), (0, rows)
        return shapely.Polygon([self.window.transform @ corner for corner in corners])

    @property
    def demo(self) -> DemoSpec:
        """The same specification for the documents of the demo."""
        last = _FIRST_DAY + self.dates * _REPEAT
        return DemoSpec(pixel_m=PIXEL_M, seed=self.seed, start=_FIRST_DAY, end=last)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputScene:
    """One scene of the input.

    Attributes
    ----------
    id : str
        UUID of its document.
    acquisition : Acquisition
        Place and time.
    folder : pathlib.Path
        Folder of its files and its document.
    """

    id: str
    acquisition: Acquisition
    folder: Path

    @property
    def window(self) -> LatticeWindow:
        """Pixels of the scene."""
        return self.acquisition.footprint.window

    @property
    def files(self) -> Mapping[str, Path]:
        """Files of the scene, by measurement."""
        names = measurement_paths(self.acquisition.label)
        return {band: self.folder / names[band] for band in BANDS}

    @property
    def document(self) -> Path:
        """Path of its EO3 document."""
        return self.folder / f"{self.acquisition.label}.odc-metadata.yaml"


def list_input_scenes(root: Path, spec: InputSpec) -> list[list[InputScene]]:
    """Return the scenes of every date, written or not.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the scenes.
    spec : InputSpec
        Specification of the input.

    Returns
    -------
    list of list of InputScene
        Scenes by date, from north to south.
    """
    rows = [islice(list_acquisitions(footprint, spec.demo), spec.dates) for footprint in _footprints(spec)]
    return [[_scene(root, each, spec) for each in date_] for date_ in zip(*rows, strict=True)]


def _scene(root: Path, acquisition: Acquisition, spec: InputSpec) -> InputScene:
    identity = str(scene_id(acquisition, spec.demo))
    return InputScene(id=identity, acquisition=acquisition, folder=root / acquisition.label)


def _footprints(spec: InputSpec) -> Iterator[Footprint]:
    whole, swath = spec.window, spec.swath
    height = ceil(spec.size / (2 - spec.overlap))
    for row, first in zip(_ROWS, (0, spec.size - height), strict=True):
        window = LatticeWindow(pixel_m=PIXEL_M, row=whole.row + first, column=whole.column, shape=(height, spec.size))
        outline = shapely.intersection(swath, _box(window))
        yield Footprint(path=_PATH, row=row, outline=outline, window=window)


def _box(window: LatticeWindow) -> shapely.Polygon:
    (left, top), (right, bottom) = (window.transform @ corner for corner in ((0, 0), window.shape[::-1]))
    return shapely.box(left, bottom, right, top)
