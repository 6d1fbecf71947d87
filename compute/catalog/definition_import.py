"""Addition of product definitions and their metadata types to an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from datacube.index.abstract import AbstractIndex
from datacube.model import MetadataType, Product
from datacube.utils import jsonify_document
from datacube.utils.changes import get_doc_changes
from datacube.utils.documents import InvalidDocException, NoDatesSafeLoader

from compute.catalog import document_files
from compute.catalog.datacube_index import OdcCatalog
from compute.catalog.index_connection import ensure_catalog
from compute.catalog.scene_reader import UNREADABLE
from compute.errors import InputError
from compute.settings import Settings

Document = Mapping[str, Any]

_NAMED = 5
"""Maximum number of refused definitions that an error message describes."""


def add_products(target: OdcCatalog | Settings, paths: Sequence[Path]) -> list[str]:
    """Add products and metadata types to an index.

    Existing definitions are unchanged. A metadata type that a product names is added as well if it is missing and
    distributed with Greenup.

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, or the settings to open one.
    paths : sequence of pathlib.Path
        YAML or JSON files with ODC product and metadata type documents.

    Returns
    -------
    list of str
        Names of the products in the order of the files, including products that already existed.

    Raises
    ------
    InputError
        A file cannot be read, or a definition is invalid or differs from the index. All other definitions are added.
    CatalogError
        The index cannot be reached or does not allow the change.
    """
    refusals: list[InputError] = []
    found = list(_read_definitions(paths, refusals))
    types = [(name, document) for name, document in found if "dataset" in document]
    products = [(name, document) for name, document in found if "dataset" not in document]
    added: list[str] = []
    if refusals and not found:
        raise _join_refusals(refusals, 0)
    with ensure_catalog(target) as catalog:
        steps = [*((_add_type, *each) for each in types), *((_add_product, *each) for each in products)]
        for add, name, document in steps:
            try:
                added.append(catalog.run_query(partial(add, catalog.index, name, document)))
            except InputError as refusal:
                refusals.append(refusal)
    if refusals:
        raise _join_refusals(refusals, len(added))
    return added[len(types) :]


def _join_refusals(refusals: Sequence[InputError], added: int) -> InputError:
    """Combine the errors of all refused definitions into one, with the numbers of refused and all definitions."""
    if len(refusals) == 1 and not added:
        return refusals[0]
    reasons = [str(refusal).rstrip(".") for refusal in refusals[:_NAMED]]
    reasons += [f"{len(refusals) - _NAMED} more"] if refusals[_NAMED:] else []
    count = f"{len(refusals)} of {len(refusals) + added} definitions"
    return InputError("product", f"Added all but {count}, which were refused: {'; '.join(reasons)}.")


def _read_definitions(paths: Sequence[Path], refusals: list[InputError]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file name, definition) for each definition in files; append an error to `refusals` for other content."""
    for path in paths:
        for found in document_files.read_documents(path):
            name = Path(found.name).name
            if found.problem:
                refusals.append(InputError("product", f"{name}: {found.problem}"))
            elif not isinstance(found.content, dict) or not {"dataset", "metadata_type"} & set(found.content):
                message = f"{name} is neither an ODC product nor a metadata type document."
                refusals.append(InputError("product", message))
            else:
                yield name, found.content


def _add_product(index: AbstractIndex, file: str, document: dict[str, Any]) -> str:
    _ensure_type(index, document["metadata_type"])
    return _add_definition(index.products, "product", file, document)


def _add_type(index: AbstractIndex, file: str, document: dict[str, Any]) -> str:
    return _add_definition(index.metadata_types, "metadata type", file, document)


def _add_definition(resource: Any, kind: str, file: str, document: dict[str, Any]) -> str:
    """Add a definition if the index lacks it; raise InputError if it is invalid or differs from the index."""
    try:
        definition: Product | MetadataType = resource.from_doc(document)
    except (InvalidDocException, *UNREADABLE) as error:
        raise _invalid_definition_error(file, error) from error
    existing = resource.get_by_name(definition.name)
    if existing is None:
        resource.add(definition)
    else:
        _require_equal(f"{kind} {definition.name}", existing.definition, definition.definition)
    return definition.name


def _ensure_type(index: AbstractIndex, name: object) -> None:
    """Add a metadata type distributed with Greenup if the index lacks it; raise InputError if there is no such type."""
    if not isinstance(name, str) or index.metadata_types.get_by_name(name) is not None:
        return
    shipped = files("compute.catalog").joinpath("metadata_types", f"{name}.odc-type.yaml")
    if not shipped.is_file():
        known = ", ".join(sorted(found.name for found in index.metadata_types.get_all()))
        raise InputError(
            "product", f"The index has no metadata type {name!r}; it has {known}, so add its document as well."
        )
    _add_type(index, name, yaml.load(shipped.read_text(encoding="utf-8"), Loader=NoDatesSafeLoader))  # noqa: S506 - safe


def _convert_to_floats(document: Any) -> Any:
    """Convert all numbers to floats for comparison, since PostgreSQL returns -3.4e38 as an integer of 39 digits."""
    if isinstance(document, Mapping):
        return {key: _convert_to_floats(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_convert_to_floats(value) for value in document]
    return float(document) if isinstance(document, int) and not isinstance(document, bool) else document


def _require_equal(what: str, existing: Document, new: Document) -> None:
    changes = get_doc_changes(_convert_to_floats(existing), _convert_to_floats(jsonify_document(new)))  # type: ignore[no-untyped-call]  # untyped in datacube
    if changes:
        offset = ".".join(str(part) for part in changes[0][0])
        raise InputError(
            "product",
            f"The index has another definition of {what}, which differs at {offset}; "
            "change it with datacube's own tools.",
        )


def _invalid_definition_error(file: str, error: Exception) -> InputError:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return InputError("product", f"{file} is not a valid definition: {reason}.")
