"""Catalogue on an Open Data Cube index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from datacube.index.abstract import AbstractIndex
from datacube.model import Dataset, Product, Range
from shapely.geometry.base import BaseGeometry
from sqlalchemy.exc import DBAPIError, OperationalError

from compute.catalog.protocol import Extent, TimeRange, by_time, unknown_product, within
from compute.catalog.scene_footprints import meeting
from compute.catalog.scene_reader import UNREADABLE, SceneReader, local_first, what_is_wrong
from compute.catalog.solar_time import solar_day
from compute.errors import CatalogError, InputError
from compute.products import ProductDefinition
from compute.request.region import longitude_span
from compute.scenes import Scene

Kind = Literal["embedded", "url", "odc configuration"]
Span = tuple[tuple[float, float, float, float], TimeRange]
T = TypeVar("T")

_INDEX_MARGIN = timedelta(days=2)
"""A solar day begins up to 13 hours before or after that of UTC, and the index takes local time for UTC where a
document gives an offset: its `agdc.common_timestamp` (datacube 1.9) casts to a timestamp without a zone."""

_INDEX_MARGIN_DEG = 0.05
"""The index keeps the box around a footprint's corners; between them an edge of 200 km bulges by up to 5 km."""


class OdcCatalog:
    """Scenes of an Open Data Cube index: a `compute.catalog.Catalog`. One thread at a time.

    Parameters
    ----------
    index : datacube.index.abstract.AbstractIndex
        Connected, of datacube's ``postgres`` driver, with its tables; closed with the catalogue.
    kind : {"embedded", "url", "odc configuration"}
        How the index was found.
    location : str
        Where it is, for people; without a password.
    revive : callable, optional
        Starts its database again, if that has died; left out, that is somebody else's business.
    """

    def __init__(
        self, index: AbstractIndex, *, kind: Kind, location: str, revive: Callable[[], None] | None = None
    ) -> None:
        self.index = index
        self.kind = kind
        self.location = location
        self._revive = revive

    def products(self) -> list[str]:
        """Return the names of all products, sorted."""
        return sorted(product.name for product in self.ask(lambda: list(self.index.products.get_all())))

    def definition(self, product: str) -> ProductDefinition:
        """Return what the index says of a product.

        Raises
        ------
        InputError
            There is no such product; the sentence names those there are.
        """
        return ProductDefinition.from_document(self._product(product).definition)

    def find(
        self,
        product: str,
        measurements: Sequence[str],
        *,
        region: BaseGeometry | None,
        time: TimeRange | None,
    ) -> list[Scene]:
        """Return the scenes of a product that meet a region and a time range.

        Datasets without a location are left out, as datacube's own ``load`` does.

        Parameters
        ----------
        product : str
            Product name.
        measurements : sequence of str
            Measurements to be read, by name or alias; only these are in `Source.bands`, by canonical name.
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
            The index cannot be reached, or holds a document that cannot be read.
        """
        definition = self.definition(product)
        names = [definition.measurement(name).name for name in measurements]
        found = self._product(product)
        if not _is_geographic(found):
            raise InputError("product", f"Product {product} has no place and time to search by; choose another.")
        terms = _time_terms(time) | _region_terms(region)
        scenes = self.ask(lambda: list(self._search(found, names, terms)))
        scenes = within(scenes, time)
        if region is not None:
            scenes = meeting(scenes, region)
        return sorted(scenes, key=by_time)

    def extent(self, products: Sequence[str]) -> Extent | None:
        """Return where and when some products have scenes.

        Parameters
        ----------
        products : sequence of str
            Product names.

        Returns
        -------
        Extent or None
            The box around all active scenes and the solar days of the first and the last; None without scenes.

        Raises
        ------
        InputError
            One of the products does not exist.
        """
        spans = [span for product in products for span in self.spans(product)]
        if not spans:
            return None
        boxes = [bounds for bounds, _ in spans]
        west, east = longitude_span((b[0], b[2]) for b in boxes)
        south, north = min(b[1] for b in boxes), max(b[3] for b in boxes)
        days = min(span[0] for _, span in spans), max(span[1] for _, span in spans)
        return Extent(bbox=(west, south, east, north), time=days)

    def count(self, product: str) -> int:
        """Return how many active scenes a product has."""
        return self.ask(lambda: self.index.datasets.count(product=product))

    def spans(self, product: str) -> list[Span]:
        """Return the box in degrees and the first and last solar day of every active scene of a product.

        This takes 0.1 ms a scene, for the index keeps no summary. A scene without place or time is left out, and
        so are all of a product that is not geographic.
        """
        if not _is_geographic(self._product(product)):
            return []
        rows = self.ask(lambda: list(self.index.datasets.search_returning(["lat", "lon", "time"], product=product)))
        return [_span(row) for row in rows if None not in row]

    def close(self) -> None:
        """Give the connections back."""
        self.index.close()

    def ask(self, question: Callable[[], T]) -> T:
        """Ask the index, once more when the connection had been lost: a database restarts now and then.

        Raises
        ------
        CatalogError
            The database cannot be reached or does not allow it.
        """
        try:
            return question()
        except DBAPIError as error:
            dead = self._revive is not None and isinstance(error, OperationalError)
            if not (error.connection_invalidated or dead):
                raise refused(error) from error
        if self._revive is not None:
            self._revive()
        try:
            return question()
        except DBAPIError as error:
            raise refused(error) from error

    def _product(self, name: str) -> Product:
        found = self.ask(lambda: self.index.products.get_by_name(name))
        if found is None:
            raise unknown_product(name, self.products())
        return found

    def _search(self, product: Product, names: Sequence[str], terms: dict[str, Any]) -> Iterator[Scene]:
        """Read one document at a time: kept together, the documents of a large search fill the memory."""
        reader = SceneReader(product, names)
        for dataset in self.index.datasets.search(product=product.name, **terms):
            if dataset.uri:
                yield _read(reader, dataset)


def refused(error: DBAPIError) -> CatalogError:
    """Return what to tell a person of a database error; `error` itself may name servers and users."""
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return CatalogError("The scene index does not answer; see that its database runs, then try again.")
    kind = type(error.orig).__name__
    if kind == "UndefinedTable":
        return CatalogError(
            "The scene index lacks a table that datacube makes, so it is damaged; restore it, or name another folder "
            "by GREENUP_HOME or another index by GREENUP_INDEX_URL."
        )
    return CatalogError(f"The scene index refused a statement ({kind}); see that its user has the rights it needs.")


def _is_geographic(product: Product) -> bool:
    return {"lat", "lon", "time"} <= set(product.metadata_type.dataset_fields)


def _time_terms(days: TimeRange | None) -> dict[str, Any]:
    if days is None:
        return {}
    begin, end = (datetime.combine(day, datetime.min.time(), UTC) for day in days)
    return {"time": Range(begin - _INDEX_MARGIN, end + timedelta(days=1) + _INDEX_MARGIN)}


def _region_terms(region: BaseGeometry | None) -> dict[str, Any]:
    """Return the search terms of a box around a region, in every turn of the globe that the index may have it in."""
    if region is None:
        return {}
    west, south, east, north = region.bounds
    west, south = west - _INDEX_MARGIN_DEG, south - _INDEX_MARGIN_DEG
    east, north = east + _INDEX_MARGIN_DEG, north + _INDEX_MARGIN_DEG
    return {"lat": Range(south, north), "lon": [Range(west + turn, east + turn) for turn in (-360, 0, 360)]}


def _read(reader: SceneReader, dataset: Dataset) -> Scene:
    try:
        return reader.read(dataset.metadata_doc, local_first(dataset._uris))
    except UNREADABLE as error:
        identity = dataset.metadata_doc.get("id", "without an id")
        raise CatalogError(
            f"{what_is_wrong(error, f'The document of scene {identity}')}; archive it in the index or correct it."
        ) from error


def _span(row: Any) -> Span:
    (west, east), (south, north) = _ends(row.lon), _ends(row.lat)
    first, last = (solar_day(each.astimezone(UTC), (west + east) / 2) for each in (row.time.lower, row.time.upper))
    return (west, south, east, north), (first, last)


def _ends(span: Any) -> tuple[float, float]:
    """Return the ends of a range; one of double precision is datacube's own type, which psycopg2 leaves as text."""
    low, high = span.strip("[]").split(",") if isinstance(span, str) else (span.lower, span.upper)
    return float(low), float(high)
