"""Adding product definitions and the metadata types they need to an index."""

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
from compute.catalog.index_connection import catalog_of
from compute.catalog.scene_reader import UNREADABLE
from compute.errors import InputError
from compute.settings import Settings

Document = Mapping[str, Any]

_NAMED = 5
"""Refused definitions that a sentence names."""


def add_products(target: OdcCatalog | Settings, paths: Sequence[Path]) -> list[str]:
    """Add products and metadata types to an index.

    A definition that the index has already is left alone. A metadata type of Digital Earth Australia that a product
    names and the index lacks is added with it.

    Parameters
    ----------
    target : OdcCatalog or Settings
        An open catalogue, or the settings to open one with.
    paths : sequence of pathlib.Path
        YAML or JSON files of ODC product or metadata type documents, one or several each.

    Returns
    -------
    list of str
        Names of the products in these files, in their order.

    Raises
    ------
    InputError
        A file cannot be read, or a definition is not valid, or differs from the one in the index; all others are added.
    CatalogError
        The index cannot be reached or does not allow it.
    """
    refusals: list[InputError] = []
    found = list(_documents(paths, refusals))
    types = [(name, document) for name, document in found if "dataset" in document]
    products = [(name, document) for name, document in found if "dataset" not in document]
    added: list[str] = []
    if refusals and not found:
        raise _refused(refusals, 0)
    with catalog_of(target) as catalog:
        steps = [*((_add_type, *each) for each in types), *((_add_product, *each) for each in products)]
        for add, name, document in steps:
            try:
                added.append(catalog.ask(partial(add, catalog.index, name, document)))
            except InputError as refusal:
                refusals.append(refusal)
    if refusals:
        raise _refused(refusals, len(added))
    return added[len(types) :]


def _refused(refusals: Sequence[InputError], added: int) -> InputError:
    """Return one sentence for all definitions that were refused; the others are in the index."""
    if len(refusals) == 1 and not added:
        return refusals[0]
    reasons = [str(refusal).rstrip(".") for refusal in refusals[:_NAMED]]
    reasons += [f"{len(refusals) - _NAMED} more"] if refusals[_NAMED:] else []
    count = f"{len(refusals)} of {len(refusals) + added} definitions"
    return InputError("product", f"Added all but {count}, which were refused: {'; '.join(reasons)}.")


def _documents(paths: Sequence[Path], refusals: list[InputError]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the definitions in some files, and add to the refusals what is none."""
    for path in paths:
        for found in document_files.read(path):
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
    try:
        product: Product = index.products.from_doc(document)
    except (InvalidDocException, *UNREADABLE) as error:
        raise _invalid(file, error) from error
    existing = index.products.get_by_name(product.name)
    if existing is None:
        index.products.add(product)
    else:
        _demand_equal(f"product {product.name}", existing.definition, product.definition)
    return product.name


def _add_type(index: AbstractIndex, file: str, document: dict[str, Any]) -> str:
    try:
        metadata_type: MetadataType = index.metadata_types.from_doc(document)
    except (InvalidDocException, *UNREADABLE) as error:
        raise _invalid(file, error) from error
    existing = index.metadata_types.get_by_name(metadata_type.name)
    if existing is None:
        index.metadata_types.add(metadata_type)
    else:
        _demand_equal(f"metadata type {metadata_type.name}", existing.definition, metadata_type.definition)
    return metadata_type.name


def _ensure_type(index: AbstractIndex, name: object) -> None:
    """Add a metadata type that comes with Greenup where a product names it and the index lacks it."""
    if not isinstance(name, str) or index.metadata_types.get_by_name(name) is not None:
        return
    shipped = files("compute.catalog").joinpath("metadata_types", f"{name}.odc-type.yaml")
    if not shipped.is_file():
        known = ", ".join(sorted(found.name for found in index.metadata_types.get_all()))
        raise InputError(
            "product", f"The index has no metadata type {name!r}; it has {known}, so add its document as well."
        )
    _add_type(index, name, yaml.load(shipped.read_text(encoding="utf-8"), Loader=NoDatesSafeLoader))  # noqa: S506 - safe


def _as_floats(document: Any) -> Any:
    """Return a document whose numbers are floats: PostgreSQL gives -3.4e38 back as a whole number of 39 digits."""
    if isinstance(document, Mapping):
        return {key: _as_floats(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_as_floats(value) for value in document]
    return float(document) if isinstance(document, int) and not isinstance(document, bool) else document


def _demand_equal(what: str, existing: Document, new: Document) -> None:
    changes = get_doc_changes(_as_floats(existing), _as_floats(jsonify_document(new)))  # type: ignore[no-untyped-call]  # datacube has no types here
    if changes:
        offset = ".".join(str(part) for part in changes[0][0])
        raise InputError(
            "product",
            f"The index has another definition of {what}, which differs at {offset}; "
            "change it there with datacube's own tools.",
        )


def _invalid(file: str, error: Exception) -> InputError:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return InputError("product", f"{file} is not a valid definition: {reason}.")
