"""Platform days: groups of scenes of one platform and solar day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from compute.plan.processing_ranks import platform_of
from compute.request import NdviRequest
from compute.request.seasons import SeasonYear, season_year
from compute.scenes import Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Scenes of one product, platform and solar day. A pixel has at most one observation in a group.

    Attributes
    ----------
    season : SeasonYear
        Season-year of the solar day.
    scenes : tuple of int
        Positions of the scenes, in the order of time.
    """

    season: SeasonYear
    scenes: tuple[int, ...]


def group_scenes(request: NdviRequest, scenes: Sequence[Scene]) -> list[Group]:
    """Group scenes by product, platform and solar day, in the order of time; the solar day determines the season.

    Parameters
    ----------
    request : NdviRequest
        Request with its seasons.
    scenes : sequence of Scene
        Scenes of the requested seasons, in the order of time.
    """
    members: dict[tuple[str, str, date], list[int]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        members[scene.product, platform_of(scene), scene.solar_day].append(index)
    groups = []
    for (_, _, day), indices in members.items():
        season = season_year(request.seasons, day)
        assert season is not None, "scenes outside every season are left out before"
        groups.append(Group(season=season, scenes=tuple(indices)))
    return groups
