"""Provenance of a result in its own files, and the plan that makes it again from them alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import rasterio
import zarr
from pydantic import ConfigDict, RootModel
from rasterio.errors import RasterioError

from compute import __version__
from compute.catalog import Catalog
from compute.errors import InputError, ResultGoneError
from compute.files.access import GEOTIFF_ALONE, Access
from compute.files.addresses import clean_address, is_local
from compute.files.file_kinds import require_regular_file
from compute.plan import NdviPlan, plan_document, plan_of
from compute.products import Roles
from compute.scenes import Band, Source

SOURCE, ROLES, PLAN, CUT = "source", "greenup_roles", "greenup_plan", "greenup_addresses_cut"
"""Names of items: what made the result, its roles for people, its plan, and the scenes whose addresses were cut."""


class _Roles(RootModel[Mapping[str, Roles]]):
    model_config = ConfigDict(defer_build=True, ser_json_inf_nan="strings", ser_json_bytes="base64")


def plan_provenance(plan: NdviPlan) -> dict[str, Any]:
    """Return what makes a plan again, ready for JSON; it holds no password, token or signature.

    Parameters
    ----------
    plan : NdviPlan
        Computed.

    Returns
    -------
    dict
        ``greenup_roles``: of each product the bands, scales, offsets, nodata, valid ranges and masks, as resolved.
        ``greenup_plan``: the whole plan as Base64 of gzipped JSON, with the address and grid of each band of each
        scene. ``greenup_addresses_cut``: ids of the scenes whose addresses had a query or credentials, if any.
    """
    sources = tuple(map(_without_secrets, plan.sources))
    cut = [kept.id for kept, source in zip(sources, plan.sources, strict=True) if kept != source]
    document = plan_document(replace(plan, sources=sources, access=GEOTIFF_ALONE))
    return {
        ROLES: json.loads(_Roles(plan.roles).model_dump_json()),
        PLAN: base64.b64encode(document).decode(),
        **({CUT: cut} if cut else {}),
    }


def _without_secrets(source: Source) -> Source:
    bands = {name: replace(band, uri=_public_address(band.uri)) for name, band in source.bands.items()}
    return replace(source, bands=bands)


def _public_address(address: str) -> str:
    """Return an address without credentials, query and fragment; a local one has none of them."""
    return address if is_local(address) else clean_address(address)


def plan_again(path: Path, open_catalog: Callable[[], AbstractContextManager[Catalog]], access: Access) -> NdviPlan:
    """Return the plan that a result was made by.

    Parameters
    ----------
    path : pathlib.Path
        A Zarr or GeoTIFF that was exported, or a folder that holds one.
    open_catalog : callable
        Opens the index, which alone knows the addresses that were cut; not called where none was.
    access : Access
        Rules by which the files of the scenes may be read; a result names files, and makes no rules.

    Returns
    -------
    NdviPlan
        The same grid, chunks, scenes and roles, so the same bits as long as files and engine are the same. Scenes
        that could not be read then are tried again.

    Raises
    ------
    InputError
        The file holds no plan that this version reads, or a scene whose address was cut is not in the index.
    """
    provenance = read_provenance(path)
    try:
        plan = replace(plan_of(base64.b64decode(provenance[PLAN], validate=True)), access=access)
    except KeyError:
        raise InputError("again", f"{path.name} does not hold how it was made; give a result of greenup run.") from None
    except (ValueError, ResultGoneError):
        message = f"What {path.name} holds of how it was made is damaged, or of another version of Greenup."
        raise InputError("again", message) from None
    cut = provenance.get(CUT)
    if cut:
        with open_catalog() as catalog:
            plan = _with_addresses(plan, catalog, set(json.loads(cut) if isinstance(cut, str) else cut))
    made_by = provenance.get(SOURCE)
    if made_by != f"greenup {__version__}":
        plan = replace(plan, notes=(*plan.notes, f"The result was made by {made_by}, and this is {__version__}."))
    return plan


def read_provenance(path: Path) -> Mapping[str, Any]:
    """Return the attributes of an exported Zarr, or the metadata of an exported GeoTIFF, where values are text.

    Parameters
    ----------
    path : pathlib.Path
        Of the file, or of a folder that holds one.

    Raises
    ------
    InputError
        There is none, or it cannot be read.
    """
    try:
        found = _result_in(path)
        require_regular_file(found, "again", or_folder=True)
        if found.is_dir():
            return zarr.open_group(str(found), mode="r").attrs.asdict()
        with rasterio.open(found) as file:
            tags: dict[str, Any] = file.tags()
            return tags
    except (OSError, ValueError, RecursionError, RasterioError):
        raise InputError(
            "again", f"{path.name[:80]} is no result that can be read; give --again a Zarr or GeoTIFF of greenup run."
        ) from None


def _result_in(path: Path) -> Path:
    if not path.is_dir() or (path / "zarr.json").exists():
        return path
    return next(iter(sorted([*path.glob("*.zarr"), *path.glob("*.tif")])), path)


def _with_addresses(plan: NdviPlan, catalog: Catalog, cut: Collection[str]) -> NdviPlan:
    """Return a plan whose addresses were cut with those of the index."""
    request = plan.request
    indexed = {
        scene.id: scene.source.bands
        for product, roles in plan.roles.items()
        for scene in catalog.find_scenes(
            product, roles.measurements, region=request.region.geometry, time=(request.start, request.end)
        )
        if scene.id in cut
    }
    missing = sorted(set(cut) - set(indexed))
    if missing:
        raise InputError(
            "again",
            f"The result keeps no signed addresses, and the index does not hold {len(missing):,} of the scenes that "
            f"had one, such as {missing[0]}; add them with greenup index add.",
        )
    sources = (_readdressed(each, indexed[each.id]) if each.id in indexed else each for each in plan.sources)
    return replace(plan, sources=tuple(sources))


def _readdressed(source: Source, indexed: Mapping[str, Band]) -> Source:
    bands = {name: replace(band, uri=indexed[name].uri) for name, band in source.bands.items()}
    return replace(source, bands=bands)
