"""Acquisition selection: one scene of each acquisition, of all its processings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from compute.plan.grid_outlines import project
from compute.plan.processing_ranks import MATURITIES, maturity_of, platform_of, rank, region_of
from compute.scenes import Grid, Scene

_ONE_PASS = timedelta(minutes=1)
"""Most that the times of two processings of one look differ by: the next orbit comes 99 minutes later."""

_SAME_TIME = timedelta(seconds=1)
"""What the times of one acquisition differ by when they are rounded."""

_SAME_RUN = timedelta(days=1)
"""Parts of a tile are processed within so long of one another; another processing comes later."""

_SAME_GRID = 0.8
"""Least share of the larger grid that two processings have in common."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Scenes kept and left out among several processings of one acquisition.

    Attributes
    ----------
    kept : list of Scene
        In the order given.
    reasons : collections.Counter
        By reason, how many scenes were left out; a reason completes "Left out: 2 of 9 scenes found, ...".
    unknown : tuple of str
        Words for a maturity that had to be ranked and are not known, sorted.
    """

    kept: list[Scene]
    reasons: Counter[str]
    unknown: tuple[str, ...]


def choose_processings(scenes: Sequence[Scene]) -> Choice:
    """Keep one scene of each acquisition: of several processings the best, of several copies one.

    Better is, in this order: what says anything of its processing; the more mature; the higher processing baseline;
    the later processing; the greater id.

    Scenes are processings of one acquisition when

    * they have the same platform and region code, as far as both say so. Those of two products must both name their
      platform, and may divide the Earth into regions of other names.
    * their times lie within a second, or within a minute where product, maturity, baseline or processing time (by over
      a day) tell them apart. Strips of one tile, which are processed together, are taken seconds apart.
    * four fifths of their grids are the same, and half of what their outlines show.

    Scenes of one product that say the same of their processing are copies when they have the same label or files.
    Others of the kind are parts of one look, and stay.

    Parameters
    ----------
    scenes : sequence of Scene
        With valid footprints.

    Returns
    -------
    Choice
        Which scenes are kept does not depend on their order.
    """
    reasons: Counter[str] = Counter()
    unknown: set[str] = set()
    replaced: set[str] = set()
    kept = _Kept()
    for scene in sorted(scenes, key=rank, reverse=True):
        better = next((each for each in kept.near(scene) if _is_same(scene, each)), None)
        if better is None:
            kept.add(scene)
            continue
        replaced.add(scene.id)
        reasons[_reason(scene, better)] += 1
        unknown.update(each.maturity for each in (scene, better) if each.maturity and maturity_of(each) is None)
    return Choice(
        kept=[scene for scene in scenes if scene.id not in replaced], reasons=reasons, unknown=tuple(sorted(unknown))
    )


class _Kept:
    """The scenes that are kept so far, by minute, by product and platform, and by region code."""

    def __init__(self) -> None:
        self._minutes: dict[int, dict[tuple[str, str], dict[str, list[Scene]]]] = {}

    def add(self, scene: Scene) -> None:
        """Keep a scene."""
        series = self._minutes.setdefault(_minute(scene), {}).setdefault((scene.product, platform_of(scene)), {})
        series.setdefault(region_of(scene), []).append(scene)

    def near(self, scene: Scene) -> Iterator[Scene]:
        """Yield the scenes that may be the same acquisition by all but time and ground."""
        for minute in range(_minute(scene) - 1, _minute(scene) + 2):
            for (product, platform), regions in self._minutes.get(minute, {}).items():
                if _may_be_same(scene, product, platform):
                    yield from _of_region(regions, region_of(scene), only=product == scene.product)


def _minute(scene: Scene) -> int:
    return int(scene.time.timestamp() // _ONE_PASS.total_seconds())


def _may_be_same(scene: Scene, product: str, platform: str) -> bool:
    """Return whether a scene may be one acquisition with those of a product and platform."""
    own = platform_of(scene)
    if scene.product != product:
        return own == platform != ""
    return own == platform or "" in (own, platform)


def _of_region(regions: Mapping[str, Sequence[Scene]], code: str, *, only: bool) -> Iterator[Scene]:
    """Yield the scenes of a region; those of all where it has no code, or another product may name it otherwise."""
    if code and (only or code in regions):
        yield from regions.get(code, ())
        yield from regions.get("", ())
    else:
        yield from chain.from_iterable(regions.values())


# Whether two of them are one


def _is_same(one: Scene, other: Scene) -> bool:
    return _is_same_time(one, other) and _is_same_ground(one, other)


def _is_same_time(one: Scene, other: Scene) -> bool:
    """Return whether two scenes were taken at once, and are not parts of one look that are processed alike."""
    apart = abs(one.time - other.time)
    if apart > _ONE_PASS:
        return False
    if one.product != other.product or _is_other_processing(one, other):
        return True
    return apart <= _SAME_TIME and (platform_of(one) != platform_of(other) or _is_copy(one, other))


def _is_other_processing(one: Scene, other: Scene) -> bool:
    if rank(one)[:3] != rank(other)[:3] or maturity_of(one) != maturity_of(other):
        return True
    if one.processed is None or other.processed is None:
        return one.processed != other.processed
    least = timedelta(0) if abs(one.time - other.time) <= _SAME_TIME else _SAME_RUN
    return abs(one.processed - other.processed) > least


def _is_copy(one: Scene, other: Scene) -> bool:
    label = one.properties.get("label", "")
    return (label != "" and label == other.properties.get("label")) or _files(one) == _files(other)


def _files(scene: Scene) -> set[tuple[str, int]]:
    return {(band.uri, band.index) for band in scene.source.bands.values()}


def _is_same_ground(one: Scene, other: Scene) -> bool:
    if _grids(one) != _grids(other):
        if one.crs != other.crs and one.product == other.product and region_of(one) == region_of(other) != "":
            return True  # one processing may take the next zone; the ground is that of the region code
        frames = [_frame(scene, one.crs) for scene in (one, other)]
        if _shared_area(*frames) < _SAME_GRID * max(frame.area for frame in frames):
            return False
    shown = [_shown(scene, one.crs) for scene in (one, other)]
    return _shared_area(*shown) >= min(each.area for each in shown) / 2


def _grids(scene: Scene) -> frozenset[Grid]:
    return frozenset(band.grid for band in scene.source.bands.values())


def _frame(scene: Scene, crs: str) -> BaseGeometry:
    """Return the outline of all that a scene's files may hold."""
    frames = [_projected(shapely.Polygon(grid.corners), grid.crs, crs) for grid in _grids(scene)]
    frame: BaseGeometry = shapely.union_all(frames)
    return frame


def _shown(scene: Scene, crs: str) -> BaseGeometry:
    """Return what a scene's outline says that it shows, or the whole of its files where the two don't meet."""
    frame = _frame(scene, crs)
    shown: BaseGeometry = shapely.intersection(_projected(scene.footprint, scene.crs, crs), frame)
    return shown if shown.area else frame


def _projected(outline: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """Return an outline in another CRS, empty where that cannot express it."""
    projected = shapely.make_valid(project(np.array([outline]), source, target)[0])
    return projected if np.isfinite(projected.bounds).all() else shapely.Polygon()


def _shared_area(one: BaseGeometry, other: BaseGeometry) -> float:
    return float(shapely.area(shapely.intersection(one, other)))


def _reason(scene: Scene, better: Scene) -> str:
    """Return why a scene is left out for a better one, so that it completes a sentence."""
    where = "" if scene.product == better.product else f" in {better.product}"
    (states, maturity, *rest, _), (states_better, maturity_better, *rest_better, _) = rank(scene), rank(better)
    if states != states_better:
        return f"of which a processing{where} with a stated maturity or date is used"
    if maturity != maturity_better:
        return f"of which a more mature processing{where} is used"
    if rest != rest_better:
        return f"of which a newer processing{where} is used"
    return f"which {better.product} holds as well" if where else "which the index holds twice"


def left_out_notes(choice: Choice, total: int) -> Iterable[str]:
    """Say how many scenes are left out and why, and which words for a maturity are not known.

    Parameters
    ----------
    choice : Choice
        Of some scenes.
    total : int
        How many scenes were found.
    """
    for reason, count in sorted(choice.reasons.items()):
        yield f"Left out: {count} of {total} scenes found, {reason}."
    if choice.unknown:
        words = ", ".join(repr(word[:40]) for word in choice.unknown)
        yield (
            f"Warning: the dataset maturity {words} is not known and ranks between {MATURITIES[0]} and "
            f"{MATURITIES[1]}; the known ones are {', '.join(MATURITIES)}."
        )
