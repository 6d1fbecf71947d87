"""Plan builder: converts a request and its scenes to a plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from compute.plan.chunking import polygons_by_chunk, scenes_by_chunk, spatial_chunks
from compute.plan.grid_outlines import project_window, with_valid_outline
from compute.plan.memory_estimate import pixel_bytes
from compute.plan.output_grid import output_grid
from compute.plan.platform_days import Group, group_scenes
from compute.plan.radiometry import state_scaling
from compute.plan.refusals import (
    refuse_addresses,
    refuse_many_scenes,
    refuse_mixed_offsets,
    refuse_none,
    refuse_size,
    refuse_split_grids,
)
from compute.plan.scene_extents import Extents, project_extents
from compute.plan.sensor_selection import choose_scenes, sensor_notes
from compute.plan.work_plan import BlockPlan, NdviPlan, SeasonPlan, month_text
from compute.products import BandRole, Roles, exclusion_reasons
from compute.request import NATIVE, NdviRequest
from compute.request.seasons import SeasonYear, missing_months, season_year, season_years
from compute.scenes import Grid, Scene
from compute.settings import Settings
from compute.settings.home import load_access_rules


def make_plan(
    request: NdviRequest, scenes: Sequence[Scene], roles: Mapping[str, Roles], settings: Settings
) -> NdviPlan:
    """Make the plan of a request: grid, scenes, blocks and sizes. No pixels are read and no computation is started.

    Parameters
    ----------
    request : NdviRequest
        The request.
    scenes : sequence of Scene
        Scenes that the catalogue returns for the request.
    roles : mapping of str to Roles
        Roles of measurements by product.
    settings : Settings
        Limits and chunk sizes.

    Returns
    -------
    NdviPlan
        Grid, chunks, blocks, sizes and notes.

    Raises
    ------
    NoScenesError
        No scene meets the region in a requested season, or all scenes are of excluded periods of Landsat 7.
    TooLargeError
        A limit of the settings is exceeded; the message names the limit and the remedy.
    InputError
        The region does not fit the CRS, the reader does not support the scenes, a file may not be read, or the
        document of a scene lacks a property that determines its offset.
    """
    scenes = sorted(map(with_valid_outline, scenes), key=lambda s: (s.time, s.id))
    scenes, left_out = choose_scenes(request, scenes)
    refuse_none(scenes)
    reds = {product: each.red.measurement for product, each in roles.items()}
    grid = output_grid(request, scenes, reds, max_edge_px=settings.max_edge_px)
    extents = project_extents(scenes, grid)
    scenes, extents = _keep(scenes, extents, extents.meet_grid(grid))
    scenes, extents = _keep(scenes, extents, _in_season(request, scenes))
    refuse_none(scenes)
    refuse_many_scenes(len(scenes), settings)
    access = load_access_rules(settings)
    refuse_addresses(scenes, access)
    refuse_split_grids(request, scenes, roles)
    scenes, scaling_notes = state_scaling(scenes, roles)
    refuse_mixed_offsets(request, scenes, roles)
    groups = _by_label(request, group_scenes(request, scenes))
    reasons = exclusion_reasons(roles.values()) if request.reasons else ()
    refuse_size(grid, groups, pixel_bytes(request, reasons), settings)
    chunks = spatial_chunks(grid, settings.chunk_px)
    touching = scenes_by_chunk(extents, grid, chunks)
    polygons = polygons_by_chunk(request, grid, chunks)
    return NdviPlan(
        request=request,
        grid=grid,
        chunks=chunks,
        seasons=tuple(_season_plan(request, label, members) for label, members in groups.items()),
        blocks=tuple(_blocks(groups, touching, polygons, chunks)),
        sources=tuple(scene.source for scene in scenes),
        roles=dict(roles),
        bytes_to_read=_bytes_to_read(scenes, grid, roles),
        max_groups_per_task=settings.max_groups_per_task,
        notes=(*left_out, *scaling_notes, *_notes(request, scenes, grid, roles)),
        synthetic=any(scene.synthetic for scene in scenes),
        months=_months(scenes),
        times=tuple(scene.time for scene in scenes),
        platforms=tuple(scene.platform for scene in scenes),
        reasons=reasons,
        access=access,
    )


def _keep(scenes: Sequence[Scene], extents: Extents, kept: NDArray[np.bool_]) -> tuple[list[Scene], Extents]:
    return [scene for scene, keep in zip(scenes, kept, strict=True) if keep], extents.keep(kept)


def _in_season(request: NdviRequest, scenes: Sequence[Scene]) -> NDArray[np.bool_]:
    """Return (n,) bool, True for scenes whose solar day lies in a requested season."""
    days = {scene.solar_day: season_year(request.seasons, scene.solar_day) is not None for scene in scenes}
    return np.array([days[scene.solar_day] for scene in scenes], bool)


def _months(scenes: Sequence[Scene]) -> tuple[int, ...]:
    """Return the month of each scene's solar day, as 12 times the year plus the month from 0 to 11."""
    return tuple(scene.solar_day.year * 12 + scene.solar_day.month - 1 for scene in scenes)


def _by_label(request: NdviRequest, groups: Iterable[Group]) -> dict[str, list[Group]]:
    labelled: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        labelled[_label(request, group.season)].append(group)
    years = season_years(request.seasons, *_span(groups))
    if request.by == "season-year":
        order = [each.label for each in years]
    else:
        order = [season.name for season in request.seasons]
    return {label: labelled[label] for label in order if label in labelled}


def _span(groups: Iterable[Group]) -> tuple[date, date]:
    months = [month for group in groups for month in group.season.months]
    return min(months), max(months)


def _label(request: NdviRequest, season: SeasonYear) -> str:
    return season.label if request.by == "season-year" else season.season.name


def _season_plan(request: NdviRequest, label: str, groups: Sequence[Group]) -> SeasonPlan:
    asked = season_years(request.seasons, request.start, request.end)
    years = {group.season for group in groups} | {each for each in asked if _label(request, each) == label}
    missing = sorted(month for each in years for month in missing_months(each, request.start, request.end))
    return SeasonPlan(
        label=label,
        dates=len(groups),
        scenes=sum(len(group.scenes) for group in groups),
        missing=tuple(month_text(month) for month in missing),
        months=sum(len(each.months) for each in years),
    )


def _blocks(
    groups: Mapping[str, list[Group]],
    touching: Sequence[frozenset[int]],
    polygons: Sequence[BaseGeometry | None],
    chunks: tuple[tuple[int, ...], tuple[int, ...]],
) -> Iterable[BlockPlan]:
    columns = len(chunks[1])
    outlines = [None if polygon is None else shapely.to_wkb(polygon) for polygon in polygons]
    for season, members in enumerate(groups.values()):
        for chunk, scenes in enumerate(touching):
            outside = polygons[chunk] is not None and shapely.is_empty(polygons[chunk])
            kept = () if outside else tuple(_restrict(members, scenes))
            yield BlockPlan(
                season=season, row=chunk // columns, column=chunk % columns, groups=kept, polygon=outlines[chunk]
            )


def _restrict(groups: Iterable[Group], scenes: frozenset[int]) -> Iterable[tuple[int, ...]]:
    for group in groups:
        if here := tuple(scene for scene in group.scenes if scene in scenes):
            yield here


def _bytes_to_read(scenes: Sequence[Scene], grid: Grid, roles: Mapping[str, Roles]) -> int:
    """Estimate the decoded bytes of the scenes' valid data inside a grid, from their footprints."""
    outlines = shapely.intersection(
        np.array([scene.footprint for scene in scenes], object),
        np.array([_whole_in(scene.crs, grid) for scene in scenes], object),
    )
    areas = shapely.area(outlines).tolist()
    return int(sum(area * _bytes_per_area(scene, roles) for scene, area in zip(scenes, areas, strict=True)))


@lru_cache(64)
def _whole_in(crs: str, grid: Grid) -> BaseGeometry:
    """Return the outline of a grid in another CRS, or a very large box if the CRS cannot express it."""
    whole = project_window(grid, crs)
    if not np.isfinite(shapely.bounds(whole)).all():
        return shapely.box(-1e9, -1e9, 1e9, 1e9)
    # Simplified to a thousandth of an edge: tens of thousands of footprints are clipped, only for an estimate.
    outline: BaseGeometry = shapely.make_valid(shapely.simplify(whole, whole.length / 4000))
    return outline


def _bytes_per_area(scene: Scene, roles: Mapping[str, Roles]) -> float:
    """Return the decoded bytes of a scene per square unit of its CRS."""
    types = {role.measurement: role.dtype for role in roles[scene.product].roles_to_read}
    return sum(
        np.dtype(types[name]).itemsize / (band.grid.resolution[0] * band.grid.resolution[1])
        for name, band in scene.source.bands.items()
        if name in types
    )


def _notes(request: NdviRequest, scenes: Sequence[Scene], grid: Grid, roles: Mapping[str, Roles]) -> Iterable[str]:
    if any(scene.synthetic for scene in scenes):
        yield "The scenes are synthetic: made to try Greenup with, observed by nobody."
    yield from sensor_notes(request, scenes, roles)
    if request.index_range is None:
        yield from _index_notes(roles)
    reds = (scene.source.bands[roles[scene.product].red.measurement] for scene in scenes)
    elsewhere = sum(red.grid.crs != grid.crs for red in reds)
    if request.crs == NATIVE and elsewhere:
        yield f"{elsewhere} of {len(scenes)} scenes lie in another CRS and are warped to {grid.crs}."


def _index_notes(roles: Mapping[str, Roles]) -> Iterable[str]:
    """Yield a note for each product with possibly negative reflectance, whose NDVI may lie far outside -1 to 1."""
    for product, each in roles.items():
        if any(_least_reflectance(band) < 0.0 for band in (each.red, each.nir)):
            yield (
                f"The valid range of {product} admits negative reflectance, where NDVI may lie outside -1 to 1; the "
                "result says how many observations do, and --index-range -1,1 leaves them out."
            )


def _least_reflectance(band: BandRole) -> float:
    """Return the smallest reflectance of a stored value that is in the valid range and in the data type."""
    _, low, _, scale, offset = band.kernel_constants(band.dtype)
    kind = np.dtype(band.dtype)
    least = np.iinfo(kind).min if kind.kind in "iu" else -np.inf
    return max(low, float(least)) * scale + offset
