"""Refusals of requests because of their scenes or sizes: functions that raise an error for the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compute.errors import InputError, NoScenesError, TooLargeError
from compute.files.access import Access
from compute.files.addresses import relative_name
from compute.plan.platform_days import Group, group_scenes
from compute.products import Roles
from compute.request import NdviRequest
from compute.scenes import Grid, Scene, UnreadScene
from compute.settings import GIB, Settings

MAX_COUNT = 65_534
"""Largest number of observations in a clear count (uint16). The largest uint16 is the fill value in a store."""


def refuse_none(scenes: Sequence[Scene]) -> None:
    """Raise NoScenesError if there are no scenes."""
    if not scenes:
        raise NoScenesError("bbox", "No scene meets the region in the dates and seasons asked for; change one of them.")


def refuse_many_scenes(count: int, settings: Settings) -> None:
    """Raise TooLargeError if a request needs more scenes than the settings permit.

    Parameters
    ----------
    count : int
        Number of scenes.
    settings : Settings
        Limits.
    """
    if count > settings.max_scenes:
        raise TooLargeError(
            "time",
            f"The request needs {count:,} scenes, more than {settings.max_scenes:,}; shorten the dates or the region.",
        )


def refuse_addresses(scenes: Sequence[Scene], access: Access) -> None:
    """Raise InputError if a file of the scenes may not be read, since workers would leave its scene out.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes of the request.
    access : Access
        Rules by which files may be read.
    """
    for source in (scene.source for scene in scenes):
        for band in source.bands.values():
            if refusal := access.explain_refusal(band.uri, source.home):
                file = relative_name(band.uri, [each.uri for each in source.bands.values()])
                raise InputError("product", f"{UnreadScene(scene=source.id, file=file, reason=refusal)}.")


def refuse_split_grids(request: NdviRequest, scenes: Sequence[Scene], roles: Mapping[str, Roles]) -> None:
    """Raise InputError if red and nir of a scene have different grids and the exact reader is requested.

    Parameters
    ----------
    request : NdviRequest
        The request.
    scenes : sequence of Scene
        Scenes of the request.
    roles : mapping of str to Roles
        Roles of measurements by product.
    """
    if request.reader != "exact":
        return
    for scene in scenes:
        role = roles[scene.product]
        red, nir = (scene.source.bands[each.measurement].grid for each in (role.red, role.nir))
        if red != nir:
            raise InputError(
                "reader",
                f"Red and nir of {scene.product} lie on grids of their own; give --reader odc, which warps each.",
            )


def refuse_mixed_offsets(request: NdviRequest, scenes: Sequence[Scene], roles: Mapping[str, Roles]) -> None:
    """Raise InputError if scenes of a group differ in scaling and datacube's reader is requested.

    That reader fuses the scenes of a group before it scales their values.

    Parameters
    ----------
    request : NdviRequest
        The request.
    scenes : sequence of Scene
        Scenes of the request.
    roles : mapping of str to Roles
        Roles of measurements by product.
    """
    if request.reader != "odc":
        return
    for group in group_scenes(request, scenes):
        members = [scenes[index] for index in group.scenes]
        product, day = members[0].product, members[0].solar_day
        bands = (roles[product].red.measurement, roles[product].nir.measurement)
        stated = {tuple(scene.source.bands[name].stated for name in bands) for scene in members}
        if len(stated) > 1:
            raise InputError(
                "reader",
                f"Scenes of {product} on {day} differ in scale or offset, and datacube's reader joins them before they "
                "are scaled; give --reader exact.",
            )


def refuse_size(grid: Grid, groups: Mapping[str, list[Group]], bytes_per_px: int, settings: Settings) -> None:
    """Raise TooLargeError if a result exceeds the limit of the settings, or its counts would exceed their data type.

    Parameters
    ----------
    grid : Grid
        Pixel grid of the result.
    groups : mapping of str to list of Group
        Groups by season label.
    bytes_per_px : int
        Bytes of a result pixel in all layers.
    settings : Settings
        Limits.
    """
    size = len(groups) * grid.shape[0] * grid.shape[1] * bytes_per_px / GIB
    if size > settings.max_result_gib:
        raise TooLargeError(
            "bbox",
            f"The result would be {size:,.1f} GiB, more than {settings.max_result_gib:g} GiB; "
            "draw a smaller region, give a coarser --resolution, or shorten the dates.",
        )
    for label, members in groups.items():
        if len(members) > MAX_COUNT:
            raise TooLargeError("time", f"The season {label} has over {MAX_COUNT:,} dates; shorten the dates.")
