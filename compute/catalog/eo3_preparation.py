"""Validation of EO3 documents and their conversion to index records."""

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
from compute.catalog.outline_repair import complete_grids, describe_contradiction, outline_grids
from compute.catalog.scene_reader import UNREADABLE, SceneReader, describe_document_error
from compute.files.access import ROOTS_SETTING, Access
from compute.files.addresses import clean_address, document_folder, existing_path, is_local, local_path, path_exists
from compute.products import ProductDefinition, ProductProfile
from compute.scenes import Band

_NAMED = 3
"""Maximum number of files that a warning lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedDocument:
    """Index record of a document, with the name of its file, its id and warnings."""

    name: str
    id: UUID
    row: DatasetTuple
    warnings: tuple[str, ...] = ()


class _RefusedDocumentError(ValueError):
    """Error raised if a document cannot be added; the message is one sentence."""


class DocumentPreparer:
    """Converter of documents to index records, which loads the products once.

    Parameters
    ----------
    catalog : OdcCatalog
        Catalogue with the products.
    profiles : mapping of str to ProductProfile
        Profiles by product name; they determine the required measurements.
    access : Access
        Access rules for files.
    """

    def __init__(self, catalog: OdcCatalog, profiles: Mapping[str, ProductProfile], access: Access) -> None:
        self._products = {
            product.name: product for product in catalog.run_query(lambda: list(catalog.index.products.get_all()))
        }
        self._profiles = profiles
        self._access = access
        self._readers: dict[str, SceneReader] = {}
        self._needs: dict[str, frozenset[str] | None] = {}

    def prepare_document(self, found: document_files.FoundDocument) -> PreparedDocument:
        """Return the index record of a document.

        Raises
        ------
        ValueError
            The document cannot be read, is invalid, or cannot be converted to a scene. The message is one sentence.
        """
        if found.problem:
            raise ValueError(found.problem)
        document = _check_eo3(found.content)
        try:
            product = self._product(document)
            _check_grids(document)
            location = self._location(document, found.path)
            stored = prep_eo3({**document, "lineage": {}})
            scene = self._reader(product).read_scene(stored, location)
            stored, outlined = _repair_outline(document, stored)
            warnings = (*outlined, *self._band_warnings(product, stored, location))
        except _RefusedDocumentError:
            raise
        except UNREADABLE as error:
            raise ValueError(f"{describe_document_error(error, 'The document')}.") from error
        row = DatasetTuple(product, stored, location)
        return PreparedDocument(name=found.name, id=UUID(scene.id), row=row, warnings=warnings)

    def _product(self, document: dict[str, Any]) -> Product:
        name = _product_name(document)
        product = self._products.get(name)
        if product is None:
            raise _RefusedDocumentError(f"The index has no product {name!r}; add its definition first.")
        if not contains(document, product.metadata_doc):
            raise _RefusedDocumentError(
                f"The document does not have the properties that the definition of {name} requires."
            )
        return product

    def _location(self, document: dict[str, Any], path: Path) -> str:
        """Return the base address of band paths; refuse a local address that the access rules do not allow."""
        location = _location(document, path)
        is_own = location == as_url(str(path)) or local_path(location) is None
        if not is_own and self._access.explain_resolved_refusal(location, str(path.absolute().parent)):
            raise _RefusedDocumentError(
                f"Its location is in another folder than the file; if that is right, list it in {ROOTS_SETTING}."
            )
        return location

    def _reader(self, product: Product) -> SceneReader:
        if product.name not in self._readers:
            self._readers[product.name] = SceneReader(product, [])
        return self._readers[product.name]

    def _band_warnings(self, product: Product, document: Mapping[str, Any], location: str) -> Iterator[str]:
        """Yield warnings about measurements; raise one of `UNREADABLE` if a required measurement is invalid."""
        needed, bands = self._needed_measurements(product), list[Band]()
        for name in product.measurements:
            is_needed = needed is None or name in needed
            try:
                band = self._reader(product).read_band(document, name, location)
            except UNREADABLE as error:
                if needed is not None and is_needed:
                    raise
                yield f"{_describe_band_error(error, name)}; indices that need it cannot be computed."
            else:
                bands += [band] if is_needed else []
        yield from _missing_file_warnings(bands)
        home = document_folder(location)
        refused = ((band, self._access.explain_refusal(band.uri, home)) for band in bands)
        yield from (f"{clean_address(band.uri)} {why}." for band, why in list(refused)[:_NAMED] if why)

    def _needed_measurements(self, product: Product) -> frozenset[str] | None:
        """Return the measurements that the product's profile names; None if no profile describes the product."""
        if product.name not in self._needs:
            profile = self._profiles.get(product.name)
            definition = ProductDefinition.from_document(product.definition)
            self._needs[product.name] = None if profile is None else _profile_measurements(profile, definition)
        return self._needs[product.name]


def _check_grids(document: Mapping[str, Any]) -> None:
    """Refuse a CRS or grid that is unsafe for PROJ or shapely."""
    refuse_crs(document["crs"])
    for grid in complete_grids(document):
        refuse_grid(grid)


def _profile_measurements(profile: ProductProfile, definition: ProductDefinition) -> frozenset[str]:
    """Return the canonical names of the product's measurements that its profile names."""
    masks = (each.measurement for each in profile.mask)
    named = {profile.red.measurement, profile.nir.measurement, profile.contiguity or "", *masks}
    return frozenset({definition.aliases.get(name, name) for name in named} & set(definition.measurements))


def _repair_outline(document: dict[str, Any], stored: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the document to store and warnings; an outline that contradicts the grids is replaced by their outline."""
    ground = outline_grids(document)
    wrong = describe_contradiction(document, ground)
    if not wrong:
        return stored, ()
    taken = f"{wrong} The outline of its grid is stored instead, so that searches find its pixels."
    return prep_eo3({**document, "geometry": mapping(ground), "lineage": {}}), (taken,)


def _describe_band_error(error: Exception, name: str) -> str:
    if isinstance(error, DocumentError):
        return str(error)
    return f"Its measurement {name} cannot be read as EO3 ({type(error).__name__}: {error})"


def _missing_file_warnings(bands: Sequence[Band]) -> Iterator[str]:
    """Yield warnings about missing and empty local files, without opening files."""
    paths = [existing_path(band.uri) for band in bands if is_local(band.uri)]
    here = list(dict.fromkeys(path for path in paths if path and not path.lower().startswith("/vsi")))
    missing = [path for path in here if not path_exists(path)]
    empty = [path for path in here if path not in missing and Path(path).is_file() and not Path(path).stat().st_size]
    for files, be in ((missing, ("does not exist", "do not exist")), (empty, ("is empty", "are empty"))):
        if files:
            names = ", ".join(Path(path).name for path in files[:_NAMED])
            more = f" and {len(files) - _NAMED} more" if files[_NAMED:] else ""
            yield f"{names}{more} {be[len(files) > 1]} on this machine."


def _check_eo3(content: Any) -> dict[str, Any]:
    """Return an EO3 document; raise ValueError if it lacks the schema, a valid id or another required part."""
    if not isinstance(content, dict) or content.get("$schema") != EO3_SCHEMA:
        raise ValueError(f"This is not an EO3 dataset document, which has $schema: {EO3_SCHEMA}.")
    try:
        UUID(str(content.get("id")))
    except ValueError:
        raise ValueError("The document has no valid UUID as its id.") from None
    lacking = [key for key in ("crs", "grids", "properties", "measurements") if not content.get(key)]
    if lacking:
        raise ValueError(f"The document lacks {' and '.join(lacking)}.")
    return content


def _product_name(document: dict[str, Any]) -> str:
    product = document.get("product")
    return str(product.get("name")) if isinstance(product, dict) else str(product)


def _location(document: dict[str, Any], path: Path) -> str:
    """Remove the location from a document, since the index stores it separately, and return it as a URL."""
    several = document.pop("locations", None) or [None]
    return as_url(str(document.pop("location", None) or several[0] or path))
