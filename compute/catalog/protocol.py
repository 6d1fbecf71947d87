"""Catalogue protocol, and a catalogue that is a plain list of scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Protocol

from shapely.geometry.base import BaseGeometry

from compute.catalog.scene_footprints import bounds_degrees, meeting
from compute.errors import InputError
from compute.products import ProductDefinition
from compute.scenes import Scene

TimeRange = tuple[date, date]
"""First and last solar day, both included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """Extent of a catalogue's scenes in space and time.

    Attributes
    ----------
    bbox : tuple of float
        (west, south, east, north) in degrees; east exceeds 180 where a scene crosses the antimeridian.
    time : tuple of datetime.date
        First and last solar day of any acquisition.
    """

    bbox: tuple[float, float, float, float]
    time: TimeRange


class Catalog(Protocol):
    """Finds scenes. One thread at a time."""

    def products(self) -> list[str]:
        """Return the names of all products, sorted."""

    def definition(self, product: str) -> ProductDefinition:
        """Return what the catalogue says of a product.

        Raises
        ------
        InputError
            There is no such product; the sentence names those there are.
        """

    def find(
        self,
        product: str,
        measurements: Sequence[str],
        *,
        region: BaseGeometry | None,
        time: TimeRange | None,
    ) -> list[Scene]:
        """Return the scenes of a product that meet a region and a time range.

        Parameters
        ----------
        product : str
            Product name.
        measurements : sequence of str
            Measurements to be read; only these are in `Source.bands`, by canonical name.
        region : shapely geometry or None
            In degrees of longitude and latitude (EPSG:4326); None for anywhere.
        time : (datetime.date, datetime.date) or None
            First and last solar day, both included; None for any time.

        Returns
        -------
        list of Scene
            Active (not archived) scenes, sorted by time, then id.

        Raises
        ------
        InputError
            The product or one of the measurements does not exist.
        CatalogError
            The catalogue cannot be reached, or holds a document that cannot be read.
        """

    def extent(self, products: Sequence[str]) -> Extent | None:
        """Return where and when some products have scenes; None where they have none."""

    def close(self) -> None:
        """Give connections back; the catalogue is not usable afterwards."""


def unknown_product(name: str, known: Sequence[str]) -> InputError:
    """Return the refusal of a product that a catalogue does not have."""
    listed = ", ".join(known) or "none yet, so add one with `greenup index add-product`"
    return InputError("product", f"The index has no product {name!r}; it has {listed}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ListCatalog:
    """A catalogue of a fixed list of scenes, for tests and notebooks."""

    scenes: Sequence[Scene]
    definitions: Mapping[str, ProductDefinition] = field(default_factory=dict)

    def products(self) -> list[str]:
        """Return the names of all products, sorted."""
        return sorted(self.definitions)

    def definition(self, product: str) -> ProductDefinition:
        """Return the definition of a product; an InputError where there is none."""
        if product not in self.definitions:
            raise unknown_product(product, self.products())
        return self.definitions[product]

    def find(
        self,
        product: str,
        measurements: Sequence[str],
        *,
        region: BaseGeometry | None,
        time: TimeRange | None,
    ) -> list[Scene]:
        """Return the scenes of a product that meet a region and a time range, as `Catalog.find` says."""
        definition = self.definition(product)
        names = [definition.measurement(name).name for name in measurements]
        found = within([scene for scene in self.scenes if scene.product == product], time)
        if region is not None:
            found = meeting(found, region)
        return sorted((_with_bands(scene, names) for scene in found), key=by_time)

    def extent(self, products: Sequence[str]) -> Extent | None:
        """Return where and when some products have scenes; None where they have none."""
        wanted = [scene for scene in self.scenes if scene.product in products]
        bbox = bounds_degrees(wanted)
        if bbox is None:
            return None
        days = [scene.solar_day for scene in wanted]
        return Extent(bbox=bbox, time=(min(days), max(days)))

    def close(self) -> None:
        """Do nothing: there is no connection."""


def by_time(scene: Scene) -> tuple[datetime, str]:
    """Return the key that scenes are sorted by: their time, then their id."""
    return scene.time, scene.id


def within(scenes: Sequence[Scene], time: TimeRange | None) -> list[Scene]:
    """Keep the scenes whose solar day lies in a time range; all of them where it is None."""
    return [scene for scene in scenes if time is None or time[0] <= scene.solar_day <= time[1]]


def _with_bands(scene: Scene, names: Sequence[str]) -> Scene:
    bands = {name: scene.source.bands[name] for name in names}
    return replace(scene, source=replace(scene.source, bands=bands))
