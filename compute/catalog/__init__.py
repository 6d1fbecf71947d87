"""The scene catalogue: which scenes exist, from an Open Data Cube index, and how they come into it.

Everything here is synchronous, and a catalogue serves one thread at a time: a server calls it in a worker thread
and lets callers queue. Dask workers never contact it, for a `compute.scenes.Source` names the files themselves.

::

    open_catalog(settings) ─► OdcCatalog.find(product, measurements, region, time) ─► Scenes
    add_products, add_scenes ─► the same index
"""

from compute.catalog.datacube_index import OdcCatalog
from compute.catalog.definition_import import add_products
from compute.catalog.document_import import AddReport, add_scenes
from compute.catalog.embedded_postgres import EmbeddedPostgres
from compute.catalog.index_connection import open_catalog
from compute.catalog.index_contents import IndexStatus, ProductStatus, index_status, init_index
from compute.catalog.protocol import Catalog, Extent, ListCatalog

__all__ = [
    "AddReport",
    "Catalog",
    "EmbeddedPostgres",
    "Extent",
    "IndexStatus",
    "ListCatalog",
    "OdcCatalog",
    "ProductStatus",
    "add_products",
    "add_scenes",
    "index_status",
    "init_index",
    "open_catalog",
]
