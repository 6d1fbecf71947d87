"""Adding scenes to an index, thousands at a time."""

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
from compute.catalog.datacube_index import OdcCatalog, refused
from compute.catalog.eo3_preparation import Prepared, Preparer
from compute.catalog.index_connection import catalog_of
from compute.catalog.scene_reader import UNREADABLE
from compute.files.access import GEOTIFF_ALONE, Access
from compute.products import ProductProfile, shipped_profiles
from compute.settings import Settings
from compute.settings.home import access_of

Progress = Callable[[int, int | None], None]

_BATCH = 1000
"""Documents of one transaction: about 10 MB, and a second of work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AddReport:
    """Result of adding scenes to an index.

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


def add_scenes(
    target: OdcCatalog | Settings,
    paths: Sequence[Path | str],
    *,
    profiles: Mapping[str, ProductProfile] | None = None,
    access: Access | None = None,
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
    access : Access, optional
        Rules by which files may be read; left out, those of the settings, else the strictest. A document may give a
        location of its own where they allow it, and is warned of bands that they do not allow.
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
    files = document_files.expand(paths)
    stream = (found for file in files for found in document_files.read(file))
    report = AddReport(passed_over=tuple(document_files.passed_over(paths)))
    handled, single = 0, True
    with catalog_of(target) as catalog:
        rules = access or (access_of(target) if isinstance(target, Settings) else GEOTIFF_ALONE)
        preparer = Preparer(catalog, shipped_profiles() if profiles is None else profiles, rules)
        while batch := list(islice(stream, _BATCH)):
            report += _add_batch(catalog, preparer, batch)
            handled += len(batch)
            single = single and len({found.path for found in batch}) == len(batch)
            if progress is not None:
                progress(handled, len(files) if single else None)
    return report


def _add_batch(catalog: OdcCatalog, preparer: Preparer, batch: Sequence[document_files.Found]) -> AddReport:
    prepared: dict[UUID, Prepared] = {}
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


def _store(index: AbstractIndex, new: Sequence[Prepared]) -> AddReport:
    """Store a batch in one transaction; where the database refuses one of its rows, each by itself."""
    datasets = index.datasets
    try:
        # `bulk_add`, which calls this for each batch, writes dots to a terminal's standard output.
        datasets._add_batch([one.row for one in new], datasets._init_bulk_add_cache())
    except (StatementError, *UNREADABLE) as error:
        _refuse_all(error)
        return sum((_store_one(index, one) for one in new), AddReport())
    return AddReport(added=len(new))


def _store_one(index: AbstractIndex, one: Prepared) -> AddReport:
    if index.datasets.has(one.id):
        return AddReport(present=1)
    row = one.row
    try:
        index.datasets.add(Dataset(row.product, row.metadata, uri=row.uri), with_lineage=False)
    except (StatementError, *UNREADABLE) as error:
        _refuse_all(error)
        cause = error.orig if isinstance(error, StatementError) else error
        return AddReport(failed=((one.name, f"The index refused the document ({_line(cause)})."),))
    return AddReport(added=1)


def _refuse_all(error: Exception) -> None:
    """Raise what to tell a person where a database refuses everything, and not one document for what is in it."""
    if isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError):
        raise refused(error) from error


def _line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
