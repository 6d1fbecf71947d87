"""Scene catalogue: search of an Open Data Cube index, and addition of products and scenes.

All functions are synchronous, and a catalogue is not thread-safe; a server calls it from a single thread. Dask workers
never connect to the index, since `compute.scenes.Source` contains the file addresses.

::

    open_catalog(settings) ─► OdcCatalog.find_scenes(product, measurements, region, time) ─► Scenes
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
