"""The index of the benchmark, and the places that contenders compute: all of the input, and a corner to warm up on."""

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

Say = Callable[[str], None]
"""Told in a few words what is done."""

ALBERS = "EPSG:3577"

_WARM_UP_PX = 256
"""Edge of the region that contenders warm up on, in pixels of the input."""


@contextmanager
def temporary_index(home: Path) -> Iterator[Settings]:
    """Run an embedded index of its own for the time of a ``with`` block.

    It is named by its URL, so that an index of the user's own is neither read nor written.

    Parameters
    ----------
    home : pathlib.Path
        Folder of the benchmark.

    Yields
    ------
    Settings
        With the index, which has its tables and nothing in it.
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
    """A region of the input, and how it is planned.

    Attributes
    ----------
    region : Region
        Box in degrees.
    native, albers : NdviPlan
        On the scenes' own grid, and on EPSG:3577 at 30 m.
    """

    region: Region
    native: NdviPlan
    albers: NdviPlan


class Bench:
    """The input in an index, and the questions that contenders ask of it.

    Parameters
    ----------
    catalog : OdcCatalog
        Open, with the scenes.
    settings : Settings
        Limits and chunk sizes.
    spec : InputSpec
        Of the input.
    scenes : sequence of sequence of InputScene
        By date.

    Attributes
    ----------
    whole, corner : Place
        All of the input, and a few pixels amid it.
    """

    def __init__(
        self, catalog: OdcCatalog, settings: Settings, spec: InputSpec, scenes: Sequence[Sequence[InputScene]]
    ) -> None:
        self.catalog = catalog
        self.scenes = scenes
        self.datacube: Any = Datacube(index=catalog.index)
        self._settings = settings
        self._spec = spec
        self.whole = self._place(_inside(spec, spec.size))
        self.corner = self._place(_inside(spec, _WARM_UP_PX))

    def first(self, dates: int) -> Bench:
        """Return the same input as if it had but so many dates."""
        return Bench(self.catalog, self._settings, self._spec, self.scenes[:dates])

    def plan(self, region: Region, crs: str, **changes: Any) -> NdviPlan:
        """Plan the seasonal mean of a region over all dates; `changes` are further fields of the request."""
        times = [date_[0].acquisition.time for date_ in self.scenes]
        request = NdviRequest(
            products=(PRODUCT,),
            region=region,
            start=times[0].date(),
            end=(times[-1] + timedelta(days=1)).date(),
            crs=crs,
        )
        return plan_request(replace(request, **changes), self.catalog, load_profiles(None), self._settings)

    def _place(self, region: Region) -> Place:
        return Place(region=region, native=self.plan(region, NATIVE), albers=self.plan(region, ALBERS))


@contextmanager
def open_bench(settings: Settings, spec: InputSpec, scenes: Sequence[Sequence[InputScene]]) -> Iterator[Bench]:
    """Index the input and open it for the time of a ``with`` block.

    Parameters
    ----------
    settings : Settings
        With an empty index, as `temporary_index` yields them.
    spec : InputSpec
        Of the input.
    scenes : sequence of sequence of InputScene
        By date, written.

    Yields
    ------
    Bench
        To be used by one thread at a time.
    """
    with open_catalog(settings) as catalog:
        add_products(catalog, [product_document()])
        report = add_scenes(catalog, [scene.document for date_ in scenes for scene in date_])
        if report.failed:
            raise GreenupError(f"The benchmark's own documents were refused: {report.failed[0][1]}")
        yield Bench(catalog, settings, spec, scenes)


@contextmanager
def open_input(spec: InputSpec, keep: Path | None, say: Say) -> Iterator[tuple[Bench, Settings, Path]]:
    """Write and index the input for the time of a ``with`` block; all but what is kept is gone at the end.

    Parameters
    ----------
    spec : InputSpec
        Of the input.
    keep : pathlib.Path or None
        Folder for the scenes, which are used again when they are there; None where they are deleted at the end.
    say : callable
        Told in a few words what is done.

    Yields
    ------
    Bench
        The input in its index.
    Settings
        With the index and a home folder that is temporary.
    pathlib.Path
        Folder of the scenes.
    """
    with (
        TemporaryDirectory(prefix="greenup-bench-") as home,
        # Dask leaves a folder of its own where it is not told of one.
        dask.config.set({"temporary-directory": home}),
    ):
        root = (keep or Path(home)).resolve() / f"scenes-{spec.digest}"
        say("Scenes are written")
        scenes = write_input(root, spec, lambda done, total: say(f"Scenes of {done} of {total} dates are written"))
        say("Scenes are indexed")
        with temporary_index(Path(home)) as settings, open_bench(settings, spec, scenes) as bench:
            yield bench, settings, root


def _inside(spec: InputSpec, edge_px: int) -> Region:
    """Return the largest box in degrees within a square amid the input, so that no grid has an empty margin."""
    half = edge_px * spec.window.pixel_m / 2
    x, y = spec.window.transform @ (spec.size / 2, spec.size / 2)
    along = np.linspace(-half, half, 9)
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform
    west, east = (to_degrees(x + side + 0 * along, y + along)[0] for side in (-half, half))
    south, north = (to_degrees(x + along, y + side + 0 * along)[1] for side in (-half, half))
    return region_from_bbox(max(west), max(south), min(east), min(north))
