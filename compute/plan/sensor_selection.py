"""Sensor selection: Landsat 7 by period, the best processing of each acquisition, and notes on mixed sensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from compute.errors import NoScenesError
from compute.plan.acquisition_selection import choose_processings, left_out_notes
from compute.plan.processing_ranks import platform_of
from compute.products import CITATION, HARMONISED_SENSORS, Roles
from compute.request import Landsat7, NdviRequest
from compute.scenes import Scene

LANDSAT_7 = "landsat-7"
"""``eo:platform`` of Landsat 7."""

LANDSAT_7_LAST: Mapping[Landsat7, date] = {"slc-on": date(2003, 5, 30), "nominal": date(2022, 4, 6)}
"""Last day (UTC) of each period of Landsat 7, from NASA and the USGS.

The scan-line corrector failed on 31 May 2003. Since then, about a quarter of each scene is missing in stripes
(https://landsat.gsfc.nasa.gov/landsat-7-science-data-users-handbook). ``slc-on`` excludes all of that day. On 6 April
2022 imaging stopped and the orbit was lowered by 8 km, so scenes no longer follow the system of paths and rows
(https://www.usgs.gov/centers/eros/news/landsat-7-lowered-standard-landsat-orbit). Imaging resumed on 5 May 2022 in a
drifting orbit (https://www.usgs.gov/landsat-missions/landsat-7-extended-science-mission). ``nominal`` includes the
years from 2017, in which the overpass moved to earlier hours
(https://www.sciencedirect.com/science/article/pii/S2666017221000134).
"""

_SINCE: Mapping[Landsat7, str] = {
    "slc-on": "since its scan-line corrector failed on 2003-05-31",
    "nominal": "since it left its nominal orbit on 2022-04-06",
}

_FAMILIES = {"tm": "TM/ETM+", "etm+": "TM/ETM+", "oli": "OLI", "msi": "MSI"}
"""Family of each sensor; sensors of a family have equal bands."""


def choose_scenes(request: NdviRequest, scenes: Sequence[Scene]) -> tuple[list[Scene], tuple[str, ...]]:
    """Choose the scenes of a request: one processing of each acquisition, without excluded periods of Landsat 7.

    Parameters
    ----------
    request : NdviRequest
        The request.
    scenes : sequence of Scene
        Scenes that the catalogue returns for the request.

    Returns
    -------
    (list of Scene, tuple of str)
        Chosen scenes in the given order, and sentences on scenes that are left out and on unknown maturities.

    Raises
    ------
    NoScenesError
        All scenes are of excluded periods of Landsat 7.
    """
    wanted = [scene for scene in scenes if _is_wanted(scene, request.landsat7)]
    if scenes and not wanted:
        raise NoScenesError(
            "landsat7",
            f"Every scene found was taken by Landsat 7 {_SINCE[request.landsat7]}; give --landsat7 all, or other "
            "products or dates.",
        )
    choice = choose_processings(wanted)
    notes = list(left_out_notes(choice, len(scenes)))
    if late := len(scenes) - len(wanted):
        left_out = f"Left out: {late} of {len(scenes)} scenes found, taken by Landsat 7 {_SINCE[request.landsat7]}."
        notes.insert(0, left_out)
    return choice.kept, tuple(notes)


def _is_wanted(scene: Scene, landsat7: Landsat7) -> bool:
    last = LANDSAT_7_LAST.get(landsat7)
    return last is None or platform_of(scene) != LANDSAT_7 or scene.time.date() <= last


def sensor_notes(request: NdviRequest, scenes: Sequence[Scene], roles: Mapping[str, Roles]) -> Iterator[str]:
    """Yield a note that sensors are harmonised, and a warning that different sensors are mixed.

    Parameters
    ----------
    request : NdviRequest
        The request.
    scenes : sequence of Scene
        Chosen scenes.
    roles : mapping of str to Roles
        Roles of measurements by product.
    """
    sensors = {roles[product].sensor for product in {scene.product for scene in scenes}} - {""}
    older = sensors & set(HARMONISED_SENSORS)
    if older and request.harmonise != "none":
        yield f"Reflectance of TM and ETM+ is harmonised to that of OLI ({CITATION})."
        sensors = (sensors - older) | {"oli"}
    families = sorted({_FAMILIES[sensor] for sensor in sensors}, reverse=True)
    if len(families) > 1:
        remedy = "; --harmonise roy2016 brings TM and ETM+ to OLI" if older & sensors and "oli" in sensors else ""
        yield (
            f"Warning: scenes of {' and '.join(families)} are mixed, whose bands differ: a change of sensor may look "
            f"like one of the land{remedy}."
        )
