"""Radiometry: scale and offset of the bands of every scene, from its document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from compute.errors import InputError
from compute.products import BandRole, RangeRole, Roles, Scaling
from compute.products.scaling import NO_SCALING, find_contradictions, merge_scaling
from compute.products.scene_offsets import find_property, is_true, resolve_offset_rule, sentinel_2_offset
from compute.scenes import Band, Scene

SENTINEL_2_DAY = date(2022, 1, 25)
"""First day of processing baseline 04.00: https://sentiwiki.copernicus.eu/web/s2-products. Earlier scenes that were
reprocessed have this or a later baseline too."""


@dataclass
class _Tally:
    """Number of scenes by offset, by contradiction and by product without a stated offset."""

    offsets: dict[str, Counter[float]] = field(default_factory=dict)
    disputes: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)


def state_scaling(scenes: Sequence[Scene], roles: Mapping[str, Roles]) -> tuple[list[Scene], tuple[str, ...]]:
    """Return scenes whose bands have the scale and offset that their documents state or imply.

    Documents take precedence over `Roles`, which come from the product definition and the products file. Tags of the
    files take precedence over documents and are read with the pixels.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes with the properties and statements of their documents.
    roles : mapping of str to Roles
        Roles of measurements by product.

    Returns
    -------
    (list of Scene, tuple of str)
        Scenes with `Band.stated`, and sentences for users on offsets and contradictions.

    Raises
    ------
    InputError
        The offset of a scene depends on a property that its document lacks.
    """
    tally = _Tally()
    stated = [_with_scaling(scene, roles[scene.product], tally) for scene in scenes]
    return stated, tuple(_notes(roles, tally))


def _with_scaling(scene: Scene, roles: Roles, tally: _Tally) -> Scene:
    bands = dict(scene.source.bands)
    for role in (roles.red, roles.nir, *(each.band for each in roles.conditions if isinstance(each, RangeRole))):
        band = bands[role.measurement]
        document = _of_document(scene, roles, role, band, tally)
        if document != band.stated:
            bands[role.measurement] = replace(band, stated=document)
        if role is roles.red:
            offset = role.resolve_scaling(document, Scaling()).offset
            tally.offsets.setdefault(scene.product, Counter())[0.0 if offset is None else offset] += 1
    if bands == scene.source.bands:
        return scene
    return replace(scene, source=replace(scene.source, bands=bands))


def _of_document(scene: Scene, roles: Roles, role: BandRole, band: Band, tally: _Tally) -> Scaling:
    """Return the scaling of a band from its scene's document, and count contradictions and missing offsets."""
    implied = _implied_offset(scene, roles, role)
    stated = band.stated
    if implied is not None:
        if stated.offset is not None and not is_true(find_property(scene.properties, "boa_offset_applied")):
            implied = merge_scaling(stated, Scaling(scale=role.scale)).offset
        stated = replace(stated, offset=implied)
    if stated != NO_SCALING:
        _note_disputes(scene, role, stated, tally)
    unstated = stated.offset is None and not role.offset_from and role.offset_rule is None
    if unstated and roles.sensor == "msi" and scene.solar_day >= SENTINEL_2_DAY and role is roles.red:
        tally.silent[scene.product] += 1
    return stated


def _note_disputes(scene: Scene, role: BandRole, stated: Scaling, tally: _Tally) -> None:
    own = Scaling(
        scale=role.scale if role.scale_from else None,
        offset=role.offset if role.offset_from else None,
        nodata=role.nodata,
    )
    for word, near, far in find_contradictions(stated, own):
        used = "the products file is used" if role.override else "the documents are used"
        tally.disputes[
            f"Warning: documents of {scene.product} state the {word} {near:g} for {role.measurement} where the "
            f"definition or the products file states {far:g}; {used}"
        ] += 1


def _implied_offset(scene: Scene, roles: Roles, role: BandRole) -> float | None:
    """Return the offset that the properties of a document imply, in units of reflectance; None if they imply none."""
    if role.override and role.offset_rule is None:
        return None
    if role.offset_rule is not None and find_property(scene.properties, "boa_offset_applied") is None:
        return resolve_offset_rule(role.offset_rule, scene.properties, scene.product)
    if roles.sensor not in ("", "msi"):
        return None
    try:
        offset = sentinel_2_offset(scene.properties, scene.product)
    except InputError as error:
        raise InputError(error.field, f"{error} The scene is {scene.id} of {scene.product}.") from None
    return None if offset is None else offset * role.scale


def _notes(roles: Mapping[str, Roles], tally: _Tally) -> Iterator[str]:
    for product, each in roles.items():
        if product in tally.offsets:
            yield from each.notes
    for product, offsets in tally.offsets.items():
        if len(offsets) > 1:
            counts = ", ".join(f"{offset:g} for {number:,}" for offset, number in sorted(offsets.items()))
            yield f"Scenes of {product} differ in their offset, as their documents state: {counts} of them."
    for sentence, number in tally.disputes.items():
        yield f"{sentence} ({number:,} scenes)."
    for product, number in tally.silent.items():
        yield (
            f"Warning: {number:,} scenes of {product} since {SENTINEL_2_DAY} do not state whether the Sentinel-2 "
            "offset of -0.1 is in their values; none is applied. State it in the products file: "
            "offset = -0.1 or offset = 0."
        )
