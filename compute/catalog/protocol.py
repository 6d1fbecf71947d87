"""Protocol of scene catalogues, and an in-memory catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Protocol

from shapely.geometry.base import BaseGeometry

from compute.catalog.scene_footprints import bounds_degrees, filter_by_region
from compute.errors import InputError
from compute.products import ProductDefinition
from compute.scenes import Scene

TimeRange = tuple[date, date]
"""(first, last) solar day, inclusive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """Extent of scenes in space and time.

    Attributes
    ----------
    bbox : tuple of float
        (west, south, east, north) in degrees; east exceeds 180 if a scene crosses the antimeridian.
    time : tuple of datetime.date
        First and last solar day.
    """

    bbox: tuple[float, float, float, float]
    time: TimeRange


class Catalog(Protocol):
    """Protocol of scene catalogues. Implementations need not be thread-safe."""

    def products(self) -> list[str]:
        """Return the names of all products, sorted."""

    def definition(self, product: str) -> ProductDefinition:
        """Return the definition of a product; raise InputError if the product does not exist."""

    def find_scenes(
        self,
        product: str,
        measurements: Sequence[str],
        *,
        region: BaseGeometry | None,
        time: TimeRange | None,
    ) -> list[Scene]:
        """Find the scenes of a product in a region and a time range.

        Parameters
        ----------
        product : str
            Product name.
        measurements : sequence of str
            Names or aliases of measurements to read; `Source.bands` contains only these, by canonical name.
        region : shapely geometry or None
            Region in longitude and latitude (EPSG:4326), in degrees; None for no restriction.
        time : (datetime.date, datetime.date) or None
            First and last solar day, inclusive; None for no restriction.

        Returns
        -------
        list of Scene
            Active (not archived) scenes, sorted by time and id.

        Raises
        ------
        InputError
            The product or a measurement does not exist.
        CatalogError
            The catalogue cannot be reached, or contains an unreadable document.
        """

    def extent(self, products: Sequence[str]) -> Extent | None:
        """Return the extent of several products in space and time; None if there are no scenes."""

    def close(self) -> None:
        """Close all connections; the catalogue is unusable afterwards."""


def unknown_product_error(name: str, known: Sequence[str]) -> InputError:
    """Return the error for a product that does not exist in a catalogue.

    Parameters
    ----------
    name : str
        Name of the missing product.
    known : sequence of str
        Names of the existing products.
    """
    listed = ", ".join(known) or "none yet, so add one with `greenup index add-product`"
    return InputError("product", f"The index has no product {name!r}; it has {listed}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ListCatalog:
    """In-memory catalogue with a fixed list of scenes, for tests and notebooks.

    Attributes
    ----------
    scenes : sequence of Scene
        All scenes.
    definitions : mapping of str to ProductDefinition
        Definitions by product name.
    """

    scenes: Sequence[Scene]
    definitions: Mapping[str, ProductDefinition] = field(default_factory=dict)

    def products(self) -> list[str]:
        """Return the names of all products, sorted."""
        return sorted(self.definitions)

    def definition(self, product: str) -> ProductDefinition:
        """Return the definition of a product; raise InputError if the product does not exist."""
        if product not in self.definitions:
            raise unknown_product_error(product, self.products())
        return self.definitions[product]

    def find_scenes(
        self,
        product: str,
        measurements: Sequence[str],
        *,
        region: BaseGeometry | None,
        time: TimeRange | None,
    ) -> list[Scene]:
        """Find the scenes of a product in a region and a time range; see `Catalog.find_scenes`."""
        definition = self.definition(product)
        names = [definition.measurement(name).name for name in measurements]
        found = filter_by_time([scene for scene in self.scenes if scene.product == product], time)
        if region is not None:
            found = filter_by_region(found, region)
        return sorted((_select_bands(scene, names) for scene in found), key=time_key)

    def extent(self, products: Sequence[str]) -> Extent | None:
        """Return the extent of several products in space and time; None if there are no scenes."""
        wanted = [scene for scene in self.scenes if scene.product in products]
        bbox = bounds_degrees(wanted)
        if bbox is None:
            return None
        days = [scene.solar_day for scene in wanted]
        return Extent(bbox=bbox, time=(min(days), max(days)))

    def close(self) -> None:
        """Do nothing, since the catalogue has no connections."""


def time_key(scene: Scene) -> tuple[datetime, str]:
    """Return the sort key (time, id) of a scene."""
    return scene.time, scene.id


def filter_by_time(scenes: Sequence[Scene], time: TimeRange | None) -> list[Scene]:
    """Return the scenes whose solar day is in a time range.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes to filter.
    time : (datetime.date, datetime.date) or None
        First and last solar day, inclusive; None for all scenes.
    """
    return [scene for scene in scenes if time is None or time[0] <= scene.solar_day <= time[1]]


def _select_bands(scene: Scene, names: Sequence[str]) -> Scene:
    bands = {name: scene.source.bands[name] for name in names}
    return replace(scene, source=replace(scene.source, bands=bands))
