"""Validation of EO3 documents, and their form in an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from datacube.index.abstract import DatasetTuple
from datacube.index.eo3 import EO3_SCHEMA, prep_eo3
from datacube.model import Product
from datacube.utils.changes import contains
from datacube.utils.uris import as_url
from shapely.geometry import mapping

from compute.catalog import document_files
from compute.catalog.datacube_index import OdcCatalog
from compute.catalog.document_limits import DocumentError, refuse_crs, refuse_grid
from compute.catalog.outline_repair import contradiction, outline_of_grids, whole_grids
from compute.catalog.scene_reader import UNREADABLE, SceneReader, what_is_wrong
from compute.files.access import ROOTS_SETTING, Access
from compute.files.addresses import clean_address, existing_path, exists, folder_of, is_local, local_path
from compute.products import ProductDefinition, ProductProfile
from compute.scenes import Band

_NAMED = 3
"""Files of a scene that a warning names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A document ready for the index, the file it came from, and the faults found in it."""

    name: str
    id: UUID
    row: DatasetTuple
    warnings: tuple[str, ...] = ()


class _RefusedError(ValueError):
    """A document cannot be added; one sentence says why."""


class Preparer:
    """Checks documents and makes them what the index stores, asking it for its products only once."""

    def __init__(self, catalog: OdcCatalog, profiles: Mapping[str, ProductProfile], access: Access) -> None:
        self._products = {
            product.name: product for product in catalog.ask(lambda: list(catalog.index.products.get_all()))
        }
        self._profiles = profiles
        self._access = access
        self._readers: dict[str, SceneReader] = {}
        self._needs: dict[str, frozenset[str] | None] = {}

    def prepare(self, found: document_files.Found) -> Prepared:
        """Return what to store; a ValueError of one sentence where it cannot be stored or could not be read again."""
        if found.problem:
            raise ValueError(found.problem)
        document = _as_eo3(found.content)
        try:
            product = self._product(document)
            _refuse_unfit(document)
            location = self._location(document, found.path)
            stored = prep_eo3({**document, "lineage": {}})
            scene = self._reader(product).read(stored, location)
            stored, outlined = _outlined(document, stored)
            warnings = (*outlined, *self._band_warnings(product, stored, location))
        except _RefusedError:
            raise
        except UNREADABLE as error:
            raise ValueError(f"{what_is_wrong(error, 'The document')}.") from error
        row = DatasetTuple(product, stored, location)
        return Prepared(name=found.name, id=UUID(scene.id), row=row, warnings=warnings)

    def _product(self, document: dict[str, Any]) -> Product:
        name = _product_name(document)
        product = self._products.get(name)
        if product is None:
            raise _RefusedError(f"The index has no product {name!r}; add its definition first.")
        if not contains(document, product.metadata_doc):
            raise _RefusedError(f"The document does not have the properties that the definition of {name} demands.")
        return product

    def _location(self, document: dict[str, Any], path: Path) -> str:
        """Return where the bands of a document are looked for, which a document may not choose on this machine."""
        location = _location(document, path)
        is_own = location == as_url(str(path)) or local_path(location) is None
        if not is_own and self._access.refusal_here(location, str(path.absolute().parent)):
            raise _RefusedError(
                f"Its location is in another folder than the file; if that is right, list it in {ROOTS_SETTING}."
            )
        return location

    def _reader(self, product: Product) -> SceneReader:
        if product.name not in self._readers:
            self._readers[product.name] = SceneReader(product, [])
        return self._readers[product.name]

    def _band_warnings(self, product: Product, document: Mapping[str, Any], location: str) -> Iterator[str]:
        """Yield the faults of measurements; refuse the document for a fault of one that is needed."""
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
        home = folder_of(location)
        refused = ((band, self._access.refusal(band.uri, home)) for band in bands)
        yield from (f"{clean_address(band.uri)} {why}." for band, why in list(refused)[:_NAMED] if why)

    def _needed(self, product: Product) -> frozenset[str] | None:
        """Return the measurements that an index is computed from, None where no profile describes the product."""
        if product.name not in self._needs:
            profile = self._profiles.get(product.name)
            definition = ProductDefinition.from_document(product.definition)
            self._needs[product.name] = None if profile is None else _needed_by(profile, definition)
        return self._needs[product.name]


def _refuse_unfit(document: Mapping[str, Any]) -> None:
    """Refuse CRS and grids that must not reach PROJ and shapely."""
    refuse_crs(document["crs"])
    for grid in whole_grids(document):
        refuse_grid(grid)


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
    return f"Its measurement {name} cannot be read as EO3 ({type(error).__name__}: {error})"


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
