"""Adding scenes to an index, thousands at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from shapely.geometry import mapping
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from compute.addresses import existing_path, exists, is_local
from compute.catalog import documents
from compute.catalog.connect import catalog_of
from compute.catalog.odc import OdcCatalog, refused
from compute.catalog.outlines import contradiction, outline_of_grids
from compute.catalog.scene_reader import UNREADABLE, DocumentError, SceneReader, what_is_wrong
from compute.products import ProductDefinition, ProductProfile, shipped_profiles
from compute.scenes import Band
from compute.settings import Settings

Progress = Callable[[int, int | None], None]

_BATCH = 1000
"""Documents of one transaction: about 10 MB, and a second of work."""

_NAMED = 3
"""Files of a scene that a warning names."""


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
    warnings : tuple of (str, str)
        Likewise, what is wrong with documents that were added, or were there.
    passed_over : tuple of str
        Files in the folders that could be documents by their names, and were not read.
    """

    added: int = 0
    present: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[str, ...] = ()

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(
            added=self.added + other.added,
            present=self.present + other.present,
            failed=self.failed + other.failed,
            warnings=self.warnings + other.warnings,
            passed_over=self.passed_over + other.passed_over,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prepared:
    """A document ready for the index, the file it came from, and what is wrong with it."""

    name: str
    id: UUID
    row: DatasetTuple
    warnings: tuple[str, ...] = ()


def add_scenes(
    target: OdcCatalog | Settings,
    paths: Sequence[Path | str],
    *,
    profiles: Mapping[str, ProductProfile] | None = None,
    progress: Progress | None = None,
) -> AddReport:
    """Add EO3 dataset documents to an index.

    A scene is added without its lineage: what it was made from is seldom in the same index. A broken document does
    not keep the others from being added. A document is judged by the measurements that its product's profile names:
    what is wrong with others is a warning, and so is everything where no profile describes the product. The outline of
    one that contradicts its grid is replaced by that of the grid, where its pixels are, so that it is found there.

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, or the settings to open one with.
    paths : sequence of pathlib.Path or str
        YAML or JSON files of one or several documents, folders (searched to any depth for
        ``*.odc-metadata.yaml``), and glob patterns. A document's own ``location`` (or the first of its
        ``locations``) is where its bands are looked for; without one, beside the file.
    profiles : mapping of str to ProductProfile, optional
        By product name; left out, those that come with Greenup.
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
    report = AddReport(passed_over=tuple(documents.passed_over(paths)))
    handled, single = 0, True
    with catalog_of(target) as catalog:
        preparer = _Preparer(catalog, shipped_profiles() if profiles is None else profiles)
        while batch := list(islice(stream, _BATCH)):
            report += _add_batch(catalog, preparer, batch)
            handled += len(batch)
            single = single and len({found.path for found in batch}) == len(batch)
            if progress is not None:
                progress(handled, len(files) if single else None)
    return report


class _Preparer:
    """Checks documents and makes them what the index stores, asking it for its products only once."""

    def __init__(self, catalog: OdcCatalog, profiles: Mapping[str, ProductProfile]) -> None:
        self._products = {
            product.name: product for product in catalog.ask(lambda: list(catalog.index.products.get_all()))
        }
        self._profiles = profiles
        self._readers: dict[str, SceneReader] = {}
        self._needs: dict[str, frozenset[str] | None] = {}

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
            stored, outlined = _outlined(document, stored)
            warnings = (*outlined, *self._band_warnings(product, stored, location))
        except UNREADABLE as error:
            raise ValueError(f"{what_is_wrong(error, 'The document')}.") from error
        row = DatasetTuple(product, stored, location)
        return _Prepared(name=found.name, id=UUID(scene.id), row=row, warnings=warnings)

    def _product(self, document: dict[str, Any]) -> Product:
        name = _product_name(document)
        product = self._products.get(name)
        if product is None:
            raise ValueError(f"The index has no product {name!r}; add its definition first.")
        if not contains(document, product.metadata_doc):
            raise ValueError(f"The document does not have the properties that the definition of {name} demands.")
        return product

    def _reader(self, product: Product) -> SceneReader:
        if product.name not in self._readers:
            self._readers[product.name] = SceneReader(product, [])
        return self._readers[product.name]

    def _band_warnings(self, product: Product, document: Mapping[str, Any], location: str) -> Iterator[str]:
        """Yield what is wrong with measurements, or raise what is with one that is needed."""
        needed, bands = self._needed(product), list[Band]()
        for name in product.measurements:
            is_needed = needed is None or name in needed
            try:
                band = self._reader(product).band(document, name, location)
            except UNREADABLE as error:
                if needed is not None and is_needed:
                    raise
                yield f"{_defect(error, name)}; what needs it cannot be computed."
            else:
                bands += [band] if is_needed else []
        yield from _absences(bands)

    def _needed(self, product: Product) -> frozenset[str] | None:
        """Return the measurements that an index is computed from, None where no profile describes the product."""
        if product.name not in self._needs:
            profile = self._profiles.get(product.name)
            definition = ProductDefinition.from_document(product.definition)
            self._needs[product.name] = None if profile is None else _needed_by(profile, definition)
        return self._needs[product.name]


def _needed_by(profile: ProductProfile, definition: ProductDefinition) -> frozenset[str]:
    """Return the canonical names of the measurements that a profile names and a product has."""
    masks = (each.measurement for each in profile.mask)
    named = {profile.red.measurement, profile.nir.measurement, profile.contiguity or "", *masks}
    return frozenset({definition.aliases.get(name, name) for name in named} & set(definition.measurements))


def _outlined(document: dict[str, Any], stored: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what to store of a document, its outline where its pixels are, and a warning where it was not."""
    ground = outline_of_grids(document)
    wrong = contradiction(document, ground)
    if not wrong:
        return stored, ()
    taken = f"{wrong} The outline of its grid is taken, so that it is found where its pixels are."
    return prep_eo3({**document, "geometry": mapping(ground), "lineage": {}}), (taken,)


def _defect(error: Exception, name: str) -> str:
    if isinstance(error, DocumentError):
        return str(error)
    return f"Its measurement {name} cannot be read as EO3 ({type(error).__name__}: {_line(error)})"


def _absences(bands: Sequence[Band]) -> Iterator[str]:
    """Yield which local files of a scene cannot be read, as far as that is seen without opening them."""
    paths = [existing_path(band.uri) for band in bands if is_local(band.uri)]
    here = list(dict.fromkeys(path for path in paths if path and not path.lower().startswith("/vsi")))
    missing = [path for path in here if not exists(path)]
    empty = [path for path in here if path not in missing and Path(path).is_file() and not Path(path).stat().st_size]
    for files, be in ((missing, ("does not exist", "do not exist")), (empty, ("is empty", "are empty"))):
        if files:
            names = ", ".join(Path(path).name for path in files[:_NAMED])
            more = f" and {len(files) - _NAMED} more" if files[_NAMED:] else ""
            yield f"{names}{more} {be[len(files) > 1]} on this machine."


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
    warnings = tuple((one.name, warning) for one in prepared.values() for warning in one.warnings)
    return AddReport(present=present, failed=tuple(failed), warnings=warnings) + _store(catalog.index, new)


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
