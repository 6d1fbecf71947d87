"""Indexed input of the benchmark, and its two regions: the whole input, and a corner to warm up on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
import numpy as np
from datacube import Datacube
from pydantic import SecretStr
from pyproj import Transformer

from compute.catalog import EmbeddedPostgres, OdcCatalog, add_products, add_scenes, init_index, open_catalog
from compute.demo import product_document
from compute.demo.eo3_documents import PRODUCT
from compute.demo.pixel_lattice import CRS
from compute.errors import GreenupError
from compute.jobs import plan_request
from compute.plan import NdviPlan
from compute.products import load_profiles
from compute.request import NATIVE, NdviRequest
from compute.request.region import Region, region_from_bbox
from compute.settings import Settings
from tests.benchmarks.input import InputScene, InputSpec
from tests.benchmarks.writing import write_input

ShowStatus = Callable[[str], None]
"""Called with a short description of each step."""

ALBERS = "EPSG:3577"

_WARM_UP_PX = 256
"""Edge of the region for warming up, in pixels of the input."""


@contextmanager
def temporary_index(home: Path) -> Iterator[Settings]:
    """Run a separate embedded index for the time of a ``with`` block.

    It is selected by its URL, so that an index of the user is neither read nor written.

    Parameters
    ----------
    home : pathlib.Path
        Folder of the benchmark.

    Yields
    ------
    Settings
        Settings with the index, which has its tables but no products or scenes.
    """
    server = EmbeddedPostgres(home / "index")
    url = server.start().render_as_string(hide_password=False)
    try:
        settings = Settings(home=home, index_url=SecretStr(url))
        init_index(settings)
        yield settings
    finally:
        server.stop()


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Region of the input with its plans.

    Attributes
    ----------
    region : Region
        Box in degrees.
    native, albers : NdviPlan
        Plans on the scenes' own grid, and on EPSG:3577 at 30 m.
    """

    region: Region
    native: NdviPlan
    albers: NdviPlan


class BenchmarkInput:
    """Input in an index, and the plans of its regions.

    Parameters
    ----------
    catalog : OdcCatalog
        Open catalogue with the scenes.
    settings : Settings
        Limits and chunk sizes.
    spec : InputSpec
        Specification of the input.
    scenes : sequence of sequence of InputScene
        Scenes by date.

    Attributes
    ----------
    whole, corner : Place
        The whole input, and a small region in its centre.
    """

    def __init__(
        self, catalog: OdcCatalog, settings: Settings, spec: InputSpec, scenes: Sequence[Sequence[InputScene]]
    ) -> None:
        self.catalog = catalog
        self.scenes = scenes
        self.datacube: Any = Datacube(index=catalog.index)
        self._settings = settings
        self._spec = spec
        self.whole = self._plan_place(_find_inner_region(spec, spec.size))
        self.corner = self._plan_place(_find_inner_region(spec, _WARM_UP_PX))

    def select_dates(self, dates: int) -> BenchmarkInput:
        """Return the same input restricted to its first dates."""
        return BenchmarkInput(self.catalog, self._settings, self._spec, self.scenes[:dates])

    def plan_region(self, region: Region, crs: str, **changes: Any) -> NdviPlan:
        """Plan the seasonal mean of a region over all dates.

        Parameters
        ----------
        region : Region
            Region in degrees.
        crs : str
            ``"native"`` or ``"EPSG:n"``.
        changes : object
            Further fields of the request.
        """
        times = [date_[0].acquisition.time for date_ in self.scenes]
        request = NdviRequest(
            products=(PRODUCT,),
            region=region,
            start=times[0].date(),
            end=(times[-1] + timedelta(days=1)).date(),
            crs=crs,
        )
        return plan_request(replace(request, **changes), self.catalog, load_profiles(None), self._settings)

    def _plan_place(self, region: Region) -> Place:
        return Place(region=region, native=self.plan_region(region, NATIVE), albers=self.plan_region(region, ALBERS))


@contextmanager
def open_indexed_input(
    settings: Settings, spec: InputSpec, scenes: Sequence[Sequence[InputScene]]
) -> Iterator[BenchmarkInput]:
    """Index the input, and open it for the time of a ``with`` block.

    Parameters
    ----------
    settings : Settings
        Settings with an empty index, from `temporary_index`.
    spec : InputSpec
        Specification of the input.
    scenes : sequence of sequence of InputScene
        Written scenes by date.

    Yields
    ------
    BenchmarkInput
        Indexed input, for one thread at a time.
    """
    with open_catalog(settings) as catalog:
        add_products(catalog, [product_document()])
        report = add_scenes(catalog, [scene.document for date_ in scenes for scene in date_])
        if report.failed:
            raise GreenupError(f"The benchmark's own documents were refused: {report.failed[0][1]}")
        yield BenchmarkInput(catalog, settings, spec, scenes)


@contextmanager
def open_input(
    spec: InputSpec, keep: Path | None, show_status: ShowStatus
) -> Iterator[tuple[BenchmarkInput, Settings, Path]]:
    """Write and index the input for the time of a ``with`` block; all but a kept folder is removed at the end.

    Parameters
    ----------
    spec : InputSpec
        Specification of the input.
    keep : pathlib.Path or None
        Folder for the scenes, which are used again if present; None to delete them at the end.
    show_status : callable
        Called with a short description of each step.

    Yields
    ------
    BenchmarkInput
        Indexed input.
    Settings
        Settings with the index and a temporary home folder.
    pathlib.Path
        Folder of the scenes.
    """
    with (
        TemporaryDirectory(prefix="greenup-bench-") as home,
        # Dask would otherwise leave a folder in the working directory.
        dask.config.set({"temporary-directory": home}),
    ):
        root = (keep or Path(home)).resolve() / f"scenes-{spec.digest}"
        show_status("Scenes are written")
        scenes = write_input(
            root, spec, lambda done, total: show_status(f"Scenes of {done} of {total} dates are written")
        )
        show_status("Scenes are indexed")
        with temporary_index(Path(home)) as settings, open_indexed_input(settings, spec, scenes) as bench:
            yield bench, settings, root


def _find_inner_region(spec: InputSpec, edge_px: int) -> Region:
    """Return the largest box in degrees within a central square of the input, so that no grid has an empty margin."""
    half = edge_px * spec.window.pixel_m / 2
    x, y = spec.window.transform @ (spec.size / 2, spec.size / 2)
    along = np.linspace(-half, half, 9)
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform
    west, east = (to_degrees(x + side + 0 * along, y + along)[0] for side in (-half, half))
    south, north = (to_degrees(x + along, y + side + 0 * along)[1] for side in (-half, half))
    return region_from_bbox(max(west), max(south), min(east), min(north))
