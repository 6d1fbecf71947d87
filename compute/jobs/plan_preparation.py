"""Plan of a request: roles, scenes and costs, without a cluster or a computation."""

from __future__ import annotations

from collections.abc import Mapping

from compute.catalog import Catalog
from compute.errors import NoScenesError
from compute.plan import NdviPlan, make_plan
from compute.products import ProductProfile, Roles, resolve_roles
from compute.request import NdviRequest
from compute.settings import Settings


def plan_request(
    request: NdviRequest, catalog: Catalog, profiles: Mapping[str, ProductProfile], settings: Settings
) -> NdviPlan:
    """Find the scenes of a request in the index and plan it, without a cluster or a computation.

    Parameters
    ----------
    request : NdviRequest
        Request to plan.
    catalog : Catalog
        Index of scenes.
    profiles : mapping of str to ProductProfile
        Descriptions of products by name, from `compute.products.load_profiles`.
    settings : Settings
        Limits and chunk sizes.

    Returns
    -------
    NdviPlan
        Plan of the computation, ready for submission.

    Raises
    ------
    InputError
        A product is unknown or not described, no scenes are found (`NoScenesError`), or a limit is exceeded
        (`TooLargeError`).
    """
    roles = {product: _roles(product, request, catalog, profiles) for product in request.products}
    scenes = [
        scene
        for product in request.products
        for scene in catalog.find_scenes(
            product,
            roles[product].measurements,
            region=request.region.geometry,
            time=(request.start, request.end),
        )
    ]
    if not scenes:
        raise _nothing_found(request, catalog)
    return make_plan(request, scenes, roles, settings)


def _roles(product: str, request: NdviRequest, catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> Roles:
    definition = catalog.definition(product)
    if product not in profiles:
        raise NoScenesError(
            "product",
            f"Product {product} is indexed but not described; name its red, nir and mask in a products file "
            "and give it by --products.",
        )
    return resolve_roles(
        definition,
        profiles[product],
        clear=request.clear,
        valid_range=request.valid_range,
        harmonise=request.harmonise,
        mask_filters=request.mask_filters,
    )


def _nothing_found(request: NdviRequest, catalog: Catalog) -> NoScenesError:
    names = " or ".join(request.products)
    held = catalog.extent(request.products)
    if held is None:
        return NoScenesError("product", f"The index holds no scene of {names}; add some with greenup index add.")
    west, south, east, north = held.bbox
    return NoScenesError(
        "bbox",
        f"No scene of {names} meets the region from {request.start} to {request.end}; the index holds longitudes "
        f"{west:.2f} to {east:.2f}, latitudes {south:.2f} to {north:.2f}, {held.time[0]} to {held.time[1]}.",
    )
