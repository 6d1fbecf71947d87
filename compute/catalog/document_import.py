"""Addition of dataset documents to an index, in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

from datacube.index.abstract import AbstractIndex
from datacube.model import Dataset
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from compute.catalog import document_files
from compute.catalog.datacube_index import OdcCatalog, database_error
from compute.catalog.eo3_preparation import DocumentPreparer, PreparedDocument
from compute.catalog.index_connection import ensure_catalog
from compute.catalog.scene_reader import UNREADABLE
from compute.files.access import GEOTIFF_ALONE, Access
from compute.products import ProductProfile, shipped_profiles
from compute.settings import Settings
from compute.settings.home import load_access_rules

Progress = Callable[[int, int | None], None]

_BATCH = 1000
"""Number of documents per transaction; 1000 need about 10 MB and one second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AddReport:
    """Result of adding scenes to an index.

    Attributes
    ----------
    added : int
        Number of new scenes.
    present : int
        Number of scenes that already existed in the index, including archived scenes; they are unchanged.
    failed : tuple of (str, str)
        File (with the number of the document) and reason, for each document that was not added.
    warnings : tuple of (str, str)
        File and defect, for documents that were added or already existed.
    passed_over : tuple of str
        Files in folders that may be documents by their names, but were not read; see `find_unread_files`.
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


def add_scenes(
    target: OdcCatalog | Settings,
    paths: Sequence[Path | str],
    *,
    profiles: Mapping[str, ProductProfile] | None = None,
    access: Access | None = None,
    progress: Progress | None = None,
) -> AddReport:
    """Add EO3 dataset documents to an index.

    Lineage is not added, since the source datasets are rarely in the same index. Each document is added or refused
    independently of the others. A document is refused if a measurement that the product's profile names is invalid; an
    invalid measurement that the profile does not name, or of a product without a profile, causes a warning. If the
    outline of a document contradicts its grids, the outline of the grids is stored instead, so that spatial searches
    find the scene.

    Document format: https://opendatacube.readthedocs.io/en/latest/installation/dataset-documents.html

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, or the settings to open one.
    paths : sequence of pathlib.Path or str
        YAML or JSON files of one or more documents, folders (searched recursively for ``*.odc-metadata.yaml``), and
        glob patterns. Band paths are relative to the document's ``location``, else to the first of its ``locations``,
        else to the file.
    profiles : mapping of str to ProductProfile, optional
        Profiles by product name. Default: `shipped_profiles`.
    access : Access, optional
        Access rules for files. Default: the rules of the settings, else `GEOTIFF_ALONE`. A document is refused if the
        rules do not allow its local ``location``; a band whose address is not allowed causes a warning.
    progress : callable, optional
        Function that is called after each batch with the number of processed documents and the total number. The total
        is None if files contain several documents.

    Returns
    -------
    AddReport
        Counts, failures and warnings.

    Raises
    ------
    CatalogError
        The index cannot be reached or does not allow the change.
    """
    files = document_files.expand_paths(paths)
    stream = (found for file in files for found in document_files.read_documents(file))
    report = AddReport(passed_over=tuple(document_files.find_unread_files(paths)))
    handled, single = 0, True
    with ensure_catalog(target) as catalog:
        rules = access or (load_access_rules(target) if isinstance(target, Settings) else GEOTIFF_ALONE)
        preparer = DocumentPreparer(catalog, shipped_profiles() if profiles is None else profiles, rules)
        while batch := list(islice(stream, _BATCH)):
            report += _add_batch(catalog, preparer, batch)
            handled += len(batch)
            single = single and len({found.path for found in batch}) == len(batch)
            if progress is not None:
                progress(handled, len(files) if single else None)
    return report


def _add_batch(
    catalog: OdcCatalog, preparer: DocumentPreparer, batch: Sequence[document_files.FoundDocument]
) -> AddReport:
    prepared: dict[UUID, PreparedDocument] = {}
    failed: list[tuple[str, str]] = []
    for found in batch:
        try:
            one = preparer.prepare_document(found)
        except ValueError as error:
            failed.append((found.name, str(error)))
        else:
            prepared.setdefault(one.id, one)
    known = catalog.run_query(lambda: list(catalog.index.datasets.bulk_has(prepared)))
    new = [one for one, is_known in zip(prepared.values(), known, strict=True) if not is_known]
    present = len(batch) - len(failed) - len(new)
    warnings = tuple((one.name, warning) for one in prepared.values() for warning in one.warnings)
    return AddReport(present=present, failed=tuple(failed), warnings=warnings) + _store_batch(catalog.index, new)


def _store_batch(index: AbstractIndex, new: Sequence[PreparedDocument]) -> AddReport:
    """Store a batch in one transaction; if the database refuses a row, store each document in its own transaction."""
    datasets = index.datasets
    try:
        # Not the public `bulk_add`, which calls these methods, but prints dots to the terminal in datacube 1.9.
        datasets._add_batch([one.row for one in new], datasets._init_bulk_add_cache())
    except (StatementError, *UNREADABLE) as error:
        _raise_if_unavailable(error)
        return sum((_store_document(index, one) for one in new), AddReport())
    return AddReport(added=len(new))


def _store_document(index: AbstractIndex, one: PreparedDocument) -> AddReport:
    if index.datasets.has(one.id):
        return AddReport(present=1)
    row = one.row
    try:
        index.datasets.add(Dataset(row.product, row.metadata, uri=row.uri), with_lineage=False)
    except (StatementError, *UNREADABLE) as error:
        _raise_if_unavailable(error)
        cause = error.orig if isinstance(error, StatementError) else error
        return AddReport(failed=((one.name, f"The index refused the document ({_first_line(cause)})."),))
    return AddReport(added=1)


def _raise_if_unavailable(error: Exception) -> None:
    """Raise a `CatalogError` if an error is caused by the database, and not by invalid data of a document."""
    if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
        raise database_error(error) from error


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
