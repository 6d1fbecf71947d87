"""Scene catalogue of an Open Data Cube index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from datacube.index.abstract import AbstractIndex
from datacube.model import Dataset, Product, Range
from shapely.geometry.base import BaseGeometry
from sqlalchemy.exc import DBAPIError, OperationalError

from compute.catalog.protocol import Extent, TimeRange, filter_by_time, time_key, unknown_product_error
from compute.catalog.scene_footprints import filter_by_region
from compute.catalog.scene_reader import UNREADABLE, SceneReader, choose_location, describe_document_error
from compute.catalog.solar_time import solar_day
from compute.errors import CatalogError, InputError
from compute.products import ProductDefinition
from compute.request.region import longitude_span
from compute.scenes import Scene

Kind = Literal["embedded", "url", "odc configuration"]
Span = tuple[tuple[float, float, float, float], TimeRange]
T = TypeVar("T")

_INDEX_MARGIN = timedelta(days=2)
"""Margin of time searches. A solar day starts up to 13 hours before or after the UTC day, and datacube 1.9 ignores the
UTC offset of a time (``agdc.common_timestamp`` casts to a timestamp without time zone)."""

_INDEX_MARGIN_DEG = 0.05
"""Margin of region searches in degrees. The index stores the bounding box of a footprint's corners, and an edge of
200 km may curve up to 5 km beyond this box."""


class OdcCatalog:
    """Catalogue of an Open Data Cube index; implements `compute.catalog.Catalog`. Not thread-safe.

    Parameters
    ----------
    index : datacube.index.abstract.AbstractIndex
        Connected index of datacube's ``postgres`` driver, with existing tables. `close` closes it.
    kind : {"embedded", "url", "odc configuration"}
        Source of the connection.
    location : str
        Location of the index for display, without a password.
    restart : callable, optional
        Function that restarts a dead database server. Default: no restart.
    """

    def __init__(
        self, index: AbstractIndex, *, kind: Kind, location: str, restart: Callable[[], None] | None = None
    ) -> None:
        self.index = index
        self.kind = kind
        self.location = location
        self._restart = restart

    def products(self) -> list[str]:
        """Return the names of all products, sorted."""
        return sorted(product.name for product in self.run_query(lambda: list(self.index.products.get_all())))

    def definition(self, product: str) -> ProductDefinition:
        """Return the definition of a product.

        Raises
        ------
        InputError
            The product does not exist; the message lists the existing products.
        """
        return ProductDefinition.from_document(self._product(product).definition)

    def find_scenes(
        self,
        product: str,
        measurements: Sequence[str],
        *,
        region: BaseGeometry | None,
        time: TimeRange | None,
    ) -> list[Scene]:
        """Find the scenes of a product in a region and a time range; see `Catalog.find_scenes` for the parameters.

        Datasets without a location are omitted, as in `datacube.Datacube.load`.
        """
        definition = self.definition(product)
        names = [definition.measurement(name).name for name in measurements]
        found = self._product(product)
        if not _is_geographic(found):
            raise InputError("product", f"Product {product} has no search fields for place and time; choose another.")
        terms = _time_terms(time) | _region_terms(region)
        scenes = self.run_query(lambda: list(self._read_scenes(found, names, terms)))
        scenes = filter_by_time(scenes, time)
        if region is not None:
            scenes = filter_by_region(scenes, region)
        return sorted(scenes, key=time_key)

    def extent(self, products: Sequence[str]) -> Extent | None:
        """Return the extent of several products in space and time; None if there are no scenes.

        Raises
        ------
        InputError
            A product does not exist.
        """
        spans = [span for product in products for span in self.scene_spans(product)]
        if not spans:
            return None
        boxes = [bounds for bounds, _ in spans]
        west, east = longitude_span((b[0], b[2]) for b in boxes)
        south, north = min(b[1] for b in boxes), max(b[3] for b in boxes)
        days = min(span[0] for _, span in spans), max(span[1] for _, span in spans)
        return Extent(bbox=(west, south, east, north), time=days)

    def count_scenes(self, product: str) -> int:
        """Return the number of active scenes of a product."""
        return self.run_query(lambda: self.index.datasets.count(product=product))

    def scene_spans(self, product: str) -> list[Span]:
        """Return the bounding box in degrees and the first and last solar day of every active scene of a product.

        This takes 0.1 ms per scene, since the index stores no summary. Scenes without a position or time are omitted.
        The result is empty if the product has no geographic search fields.
        """
        if not _is_geographic(self._product(product)):
            return []
        rows = self.run_query(
            lambda: list(self.index.datasets.search_returning(["lat", "lon", "time"], product=product))
        )
        return [_scene_span(row) for row in rows if None not in row]

    def close(self) -> None:
        """Close the database connections."""
        self.index.close()

    def run_query(self, question: Callable[[], T]) -> T:
        """Run a query; repeat it once if the connection was lost, for example by a restart of the database.

        Parameters
        ----------
        question : callable
            Function without arguments that runs the query.

        Returns
        -------
        object
            Return value of `question`.

        Raises
        ------
        CatalogError
            The database cannot be reached or refuses the query.
        """
        try:
            return question()
        except DBAPIError as error:
            dead = self._restart is not None and isinstance(error, OperationalError)
            if not (error.connection_invalidated or dead):
                raise database_error(error) from error
        if self._restart is not None:
            self._restart()
        try:
            return question()
        except DBAPIError as error:
            raise database_error(error) from error

    def _product(self, name: str) -> Product:
        found = self.run_query(lambda: self.index.products.get_by_name(name))
        if found is None:
            raise unknown_product_error(name, self.products())
        return found

    def _read_scenes(self, product: Product, names: Sequence[str], terms: dict[str, Any]) -> Iterator[Scene]:
        """Yield scenes one document at a time, since all documents of a large search may not fit into memory."""
        reader = SceneReader(product, names)
        for dataset in self.index.datasets.search(product=product.name, **terms):
            if dataset.uri:
                yield _read_scene(reader, dataset)


def database_error(error: DBAPIError) -> CatalogError:
    """Convert a database error to an error for users, since its own message may contain server and user names."""
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return CatalogError("The scene index does not respond; check that its database runs, then try again.")
    kind = type(error.orig).__name__
    if kind == "UndefinedTable":
        return CatalogError(
            "The scene index lacks a table of datacube, so it is damaged; restore it, or set GREENUP_HOME to another "
            "folder or GREENUP_INDEX_URL to another index."
        )
    return CatalogError(f"The scene index refused a statement ({kind}); check the permissions of its user.")


def _is_geographic(product: Product) -> bool:
    return {"lat", "lon", "time"} <= set(product.metadata_type.dataset_fields)


def _time_terms(days: TimeRange | None) -> dict[str, Any]:
    if days is None:
        return {}
    begin, end = (datetime.combine(day, datetime.min.time(), UTC) for day in days)
    return {"time": Range(begin - _INDEX_MARGIN, end + timedelta(days=1) + _INDEX_MARGIN)}


def _region_terms(region: BaseGeometry | None) -> dict[str, Any]:
    """Return search terms for the bounding box of a region and its copies shifted by 360 degrees east and west."""
    if region is None:
        return {}
    west, south, east, north = region.bounds
    west, south = west - _INDEX_MARGIN_DEG, south - _INDEX_MARGIN_DEG
    east, north = east + _INDEX_MARGIN_DEG, north + _INDEX_MARGIN_DEG
    return {"lat": Range(south, north), "lon": [Range(west + turn, east + turn) for turn in (-360, 0, 360)]}


def _read_scene(reader: SceneReader, dataset: Dataset) -> Scene:
    try:
        return reader.read_scene(dataset.metadata_doc, choose_location(dataset._uris))
    except UNREADABLE as error:
        identity = dataset.metadata_doc.get("id", "without an id")
        reason = describe_document_error(error, f"The document of scene {identity}")
        raise CatalogError(f"{reason}; archive it in the index or correct it.") from error


def _scene_span(row: Any) -> Span:
    (west, east), (south, north) = _range_ends(row.lon), _range_ends(row.lat)
    first, last = (solar_day(each.astimezone(UTC), (west + east) / 2) for each in (row.time.lower, row.time.upper))
    return (west, south, east, north), (first, last)


def _range_ends(span: Any) -> tuple[float, float]:
    """Return the bounds of a range; psycopg2 returns datacube's range type ``float8range`` as text."""
    low, high = span.strip("[]").split(",") if isinstance(span, str) else (span.lower, span.upper)
    return float(low), float(high)
