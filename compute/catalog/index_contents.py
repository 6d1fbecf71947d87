"""Initialisation of an index, and summary of its contents: products, numbers of scenes, and dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from compute.catalog.datacube_index import Kind, OdcCatalog
from compute.catalog.index_connection import ensure_catalog, open_catalog
from compute.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductStatus:
    """Summary of one product of an index.

    Attributes
    ----------
    name : str
        Product name.
    scenes : int
        Number of active scenes.
    first, last : datetime.date or None
        Solar days of the first and last acquisitions; None if there are no scenes.
    """

    name: str
    scenes: int
    first: date | None
    last: date | None


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexStatus:
    """Summary of an index.

    Attributes
    ----------
    kind : {"embedded", "url", "odc configuration"}
        Source of the connection.
    location : str
        Folder or address of the index, without a password.
    products : tuple of ProductStatus
        Products sorted by name.
    """

    kind: Kind
    location: str
    products: tuple[ProductStatus, ...]


def index_status(target: OdcCatalog | Settings) -> IndexStatus:
    """Return a summary of an index.

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, or the settings to open one.

    Returns
    -------
    IndexStatus
        Source, location and products of the index.

    Raises
    ------
    CatalogError
        The index cannot be reached, or has no tables yet.
    """
    with ensure_catalog(target) as catalog:
        products = tuple(_product_status(catalog, name) for name in catalog.products())
        return IndexStatus(kind=catalog.kind, location=catalog.location, products=products)


def init_index(settings: Settings) -> IndexStatus:
    """Create the missing tables of the scene index; existing tables are unchanged.

    Parameters
    ----------
    settings : Settings
        Settings, as for `open_catalog`.

    Returns
    -------
    IndexStatus
        Summary of the index.

    Raises
    ------
    CatalogError
        The index cannot be reached, or does not allow the creation of tables.
    """
    with open_catalog(settings, create_tables=True) as catalog:
        return index_status(catalog)


def _product_status(catalog: OdcCatalog, name: str) -> ProductStatus:
    days = [time for _, time in catalog.scene_spans(name)]
    return ProductStatus(
        name=name,
        scenes=catalog.count_scenes(name),
        first=min((first for first, _ in days), default=None),
        last=max((last for _, last in days), default=None),
    )
