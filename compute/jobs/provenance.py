"""Provenance of a result in its own files, from which its plan can be restored."""

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
"""Metadata keys: version of Greenup, readable roles, encoded plan, and ids of scenes without their full addresses."""


class _Roles(RootModel[Mapping[str, Roles]]):
    model_config = ConfigDict(defer_build=True, ser_json_inf_nan="strings", ser_json_bytes="base64")


def plan_provenance(plan: NdviPlan) -> dict[str, Any]:
    """Return the metadata from which `plan_again` restores a plan, without passwords, tokens and signatures.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.

    Returns
    -------
    dict
        Ready for JSON. ``greenup_roles``: resolved bands, scales, offsets, nodata, valid ranges and masks by product.
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
    """Return an address without credentials, query and fragment; a local address is returned unchanged."""
    return address if is_local(address) else clean_address(address)


def plan_again(path: Path, open_catalog: Callable[[], AbstractContextManager[Catalog]], access: Access) -> NdviPlan:
    """Restore the plan of a result from its metadata.

    Parameters
    ----------
    path : pathlib.Path
        An exported Zarr or GeoTIFF, or a folder that contains one.
    open_catalog : callable
        Returns a context manager that opens the index. Called only if the metadata lack full addresses of scenes.
    access : Access
        Rules on which files of scenes may be read; those of the result itself are not used.

    Returns
    -------
    NdviPlan
        Plan with the same grid, chunks, scenes and roles; its result is identical if the files and the number format
        are the same. Scenes that could not be read for the earlier result are included.

    Raises
    ------
    InputError
        The metadata contain no plan that this version can read, or a scene without its full address is not in the
        index.
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
    """Return the attributes of an exported Zarr, or the tags of an exported GeoTIFF, whose values are text.

    Parameters
    ----------
    path : pathlib.Path
        The Zarr or GeoTIFF, or a folder that contains one.

    Raises
    ------
    InputError
        The path has no such file, or the file cannot be read.
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
    """Return a plan with the full addresses of the scenes `cut`, from the index."""
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
