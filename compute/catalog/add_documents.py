"""Adding scenes to an index, thousands at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from datacube.index.abstract import AbstractIndex, DatasetTuple
from datacube.index.eo3 import EO3_SCHEMA, prep_eo3
from datacube.model import Dataset, Product
from datacube.utils.changes import contains
from datacube.utils.uris import as_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from compute.catalog import documents
from compute.catalog.connect import catalog_of
from compute.catalog.odc import OdcCatalog, refused
from compute.catalog.scene_reader import UNREADABLE, SceneReader, missing_measurements
from compute.settings import Settings

Progress = Callable[[int, int | None], None]

_BATCH = 1000
"""Documents of one transaction: about 10 MB, and a second of work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AddReport:
    """What came of adding scenes.

    Attributes
    ----------
    added : int
        Scenes that are new in the index.
    present : int
        Scenes that it had already, archived ones included; they are left as they are.
    failed : tuple of (str, str)
        File (and number of the document in a file of several) and one sentence saying why it was not added.
    """

    added: int = 0
    present: int = 0
    failed: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(
            added=self.added + other.added, present=self.present + other.present, failed=self.failed + other.failed
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prepared:
    """A document ready for the index, and the file it came from."""

    name: str
    id: UUID
    row: DatasetTuple


def add_scenes(
    target: OdcCatalog | Settings, paths: Sequence[Path | str], *, progress: Progress | None = None
) -> AddReport:
    """Add EO3 dataset documents to an index.

    A scene is added without its lineage: what it was made from is seldom in the same index. A broken document does
    not keep the others from being added.

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, or the settings to open one with.
    paths : sequence of pathlib.Path or str
        YAML or JSON files of one or several documents, folders (searched to any depth for
        ``*.odc-metadata.yaml``), and glob patterns. A document's own ``location`` (or the first of its
        ``locations``) is where its bands are looked for; without one, beside the file.
    progress : callable, optional
        Called after each batch with the number of documents handled and of all documents; None while that is not
        known, because files hold several.

    Returns
    -------
    AddReport
        Counts, and what could not be added.

    Raises
    ------
    CatalogError
        The index cannot be reached or does not allow it.
    """
    files = documents.expand(paths)
    stream = (found for file in files for found in documents.read(file))
    report = AddReport()
    handled, single = 0, True
    with catalog_of(target) as catalog:
        preparer = _Preparer(catalog)
        while batch := list(islice(stream, _BATCH)):
            report += _add_batch(catalog, preparer, batch)
            handled += len(batch)
            single = single and len({found.path for found in batch}) == len(batch)
            if progress is not None:
                progress(handled, len(files) if single else None)
    return report


class _Preparer:
    """Checks documents and makes them what the index stores, asking it for its products only once."""

    def __init__(self, catalog: OdcCatalog) -> None:
        self._products = {
            product.name: product for product in catalog.ask(lambda: list(catalog.index.products.get_all()))
        }
        self._readers: dict[str, SceneReader] = {}

    def prepare(self, found: documents.Found) -> _Prepared:
        """Return what to store; a ValueError of one sentence where it cannot be stored or could not be read again."""
        if found.problem:
            raise ValueError(found.problem)
        document = _as_eo3(found.content)
        product = self._product(document)
        location = _location(document, found.path)
        try:
            stored = prep_eo3({**document, "lineage": {}})
            scene = self._reader(product).read(stored, location)
        except UNREADABLE as error:
            raise ValueError(f"The document cannot be read as EO3 ({type(error).__name__}: {_line(error)}).") from error
        return _Prepared(name=found.name, id=UUID(scene.id), row=DatasetTuple(product, stored, location))

    def _product(self, document: dict[str, Any]) -> Product:
        name = _product_name(document)
        product = self._products.get(name)
        if product is None:
            raise ValueError(f"The index has no product {name!r}; add its definition first.")
        if not contains(document, product.metadata_doc):
            raise ValueError(f"The document does not have the properties that the definition of {name} demands.")
        missing = missing_measurements(document, product.measurements)
        if missing:
            raise ValueError(f"The document lacks measurements of {name}: {', '.join(missing)}.")
        return product

    def _reader(self, product: Product) -> SceneReader:
        if product.name not in self._readers:
            self._readers[product.name] = SceneReader(product, list(product.measurements))
        return self._readers[product.name]


def _as_eo3(content: Any) -> dict[str, Any]:
    """Return an EO3 document without its location and with the parts that every other check relies on."""
    if not isinstance(content, dict) or content.get("$schema") != EO3_SCHEMA:
        raise ValueError(f"This is not an EO3 dataset document, which has $schema: {EO3_SCHEMA}.")
    try:
        UUID(str(content.get("id")))
    except ValueError:
        raise ValueError("The document has no id that is a UUID.") from None
    lacking = [key for key in ("crs", "grids", "properties", "measurements") if not content.get(key)]
    if lacking:
        raise ValueError(f"The document lacks {' and '.join(lacking)}.")
    return content


def _product_name(document: dict[str, Any]) -> str:
    product = document.get("product")
    return str(product.get("name")) if isinstance(product, dict) else str(product)


def _location(document: dict[str, Any], path: Path) -> str:
    """Take the location out of a document; the index keeps it beside the document."""
    several = document.pop("locations", None) or [None]
    return as_url(str(document.pop("location", None) or several[0] or path))


def _add_batch(catalog: OdcCatalog, preparer: _Preparer, batch: Sequence[documents.Found]) -> AddReport:
    prepared: dict[UUID, _Prepared] = {}
    failed: list[tuple[str, str]] = []
    for found in batch:
        try:
            one = preparer.prepare(found)
        except ValueError as error:
            failed.append((found.name, str(error)))
        else:
            prepared.setdefault(one.id, one)
    known = catalog.ask(lambda: list(catalog.index.datasets.bulk_has(prepared)))
    new = [one for one, is_known in zip(prepared.values(), known, strict=True) if not is_known]
    present = len(batch) - len(failed) - len(new)
    return AddReport(present=present, failed=tuple(failed)) + _store(catalog.index, new)


def _store(index: AbstractIndex, new: Sequence[_Prepared]) -> AddReport:
    """Store a batch in one transaction; where the database refuses one of its rows, each by itself."""
    datasets = index.datasets
    try:
        # `bulk_add`, which calls this for each batch, writes dots to a terminal's standard output.
        datasets._add_batch([one.row for one in new], datasets._init_bulk_add_cache())
    except (DataError, IntegrityError):
        return sum((_store_one(index, one) for one in new), AddReport())
    except DBAPIError as error:
        raise refused(error) from error
    return AddReport(added=len(new))


def _store_one(index: AbstractIndex, one: _Prepared) -> AddReport:
    if index.datasets.has(one.id):
        return AddReport(present=1)
    row = one.row
    try:
        index.datasets.add(Dataset(row.product, row.metadata, uri=row.uri), with_lineage=False)
    except (DataError, IntegrityError) as error:
        return AddReport(failed=((one.name, f"The index refused the document ({_line(error.orig)})."),))
    return AddReport(added=1)


def _line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
