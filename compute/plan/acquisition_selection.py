"""Acquisition selection: the best of several processings of each acquisition."""

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
"""Largest difference between the times of two processings of one acquisition. The next orbit is 99 minutes later."""

_SAME_TIME = timedelta(seconds=1)
"""Largest difference that rounding causes between two stated times of one acquisition."""

_SAME_RUN = timedelta(days=1)
"""Largest difference between the processing times of parts of a tile in one run; a reprocessing is later than that."""

_SAME_GRID = 0.8
"""Smallest overlap of the grids of two processings of one acquisition, as a share of the larger grid."""


@dataclass(frozen=True, kw_only=True)
class ProcessingChoice:
    """Scenes chosen among several processings of each acquisition, and reasons for leaving out the others.

    Attributes
    ----------
    kept : list of Scene
        Chosen scenes in the given order.
    reasons : collections.Counter
        Number of scenes left out by reason. A reason completes the sentence "Left out: 2 of 9 scenes found, ...".
    unknown : tuple of str
        Unknown words for the maturity of the compared scenes, sorted.
    """

    kept: list[Scene]
    reasons: Counter[str]
    unknown: tuple[str, ...]


def choose_processings(scenes: Sequence[Scene]) -> ProcessingChoice:
    """Choose one scene of each acquisition: the best of several processings and one of several copies.

    Two scenes are compared by these criteria, in this order: whether they state a maturity, baseline or processing
    time; maturity; processing baseline; processing time; id. The scene with the greater value is better.

    Scenes are processings of one acquisition if

    * they have the same platform and region code. A platform or region code that only one scene states is ignored,
      but scenes of different products must both state their platform. Region codes may differ between products.
    * their times differ by at most a second, or by at most a minute if product, maturity or baseline differ or
      processing times differ by over a day. Strips of one tile are acquired seconds apart and processed together.
    * their grids overlap by four fifths of the larger grid, and their footprints by half of the smaller footprint.
      Scenes of one product with the same region code but different CRS need not overlap.

    Scenes of one product and platform with the same processing are copies if they have the same label or files.
    Otherwise they are parts of one acquisition, which are all kept.

    Parameters
    ----------
    scenes : sequence of Scene
        Scenes with valid footprints.

    Returns
    -------
    ProcessingChoice
        Chosen scenes; the choice is independent of the order of `scenes`.
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
    return ProcessingChoice(
        kept=[scene for scene in scenes if scene.id not in replaced], reasons=reasons, unknown=tuple(sorted(unknown))
    )


class _Kept:
    """Scenes chosen so far, indexed by minute, by product and platform, and by region code."""

    def __init__(self) -> None:
        self._minutes: dict[int, dict[tuple[str, str], dict[str, list[Scene]]]] = {}

    def add(self, scene: Scene) -> None:
        """Add a scene to the index."""
        series = self._minutes.setdefault(_minute(scene), {}).setdefault((scene.product, platform_of(scene)), {})
        series.setdefault(region_of(scene), []).append(scene)

    def near(self, scene: Scene) -> Iterator[Scene]:
        """Yield the chosen scenes that may show the same acquisition, by platform, region and approximate time."""
        for minute in range(_minute(scene) - 1, _minute(scene) + 2):
            for (product, platform), regions in self._minutes.get(minute, {}).items():
                if _may_be_same(scene, product, platform):
                    yield from _of_region(regions, region_of(scene), only=product == scene.product)


def _minute(scene: Scene) -> int:
    return int(scene.time.timestamp() // _ONE_PASS.total_seconds())


def _may_be_same(scene: Scene, product: str, platform: str) -> bool:
    """Return whether a scene may show the same acquisition as scenes of a product and platform."""
    own = platform_of(scene)
    if scene.product != product:
        return own == platform != ""
    return own == platform or "" in (own, platform)


def _of_region(regions: Mapping[str, Sequence[Scene]], code: str, *, only: bool) -> Iterator[Scene]:
    """Yield the scenes of a region, or of all regions if there is no code or another product may use other codes."""
    if code and (only or code in regions):
        yield from regions.get(code, ())
        yield from regions.get("", ())
    else:
        yield from chain.from_iterable(regions.values())


# Comparison of two scenes


def _is_same(one: Scene, other: Scene) -> bool:
    return _is_same_time(one, other) and _is_same_ground(one, other)


def _is_same_time(one: Scene, other: Scene) -> bool:
    """Return whether two scenes have the same time and are not parts of one acquisition with the same processing."""
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
            return True  # processings may use neighbouring UTM zones; the region code identifies the tile
        frames = [_frame(scene, one.crs) for scene in (one, other)]
        if _shared_area(*frames) < _SAME_GRID * max(frame.area for frame in frames):
            return False
    shown = [_shown(scene, one.crs) for scene in (one, other)]
    return _shared_area(*shown) >= min(each.area for each in shown) / 2


def _grids(scene: Scene) -> frozenset[Grid]:
    return frozenset(band.grid for band in scene.source.bands.values())


def _frame(scene: Scene, crs: str) -> BaseGeometry:
    """Return the union of the outlines of a scene's band grids."""
    frames = [_projected(shapely.Polygon(grid.corners), grid.crs, crs) for grid in _grids(scene)]
    frame: BaseGeometry = shapely.union_all(frames)
    return frame


def _shown(scene: Scene, crs: str) -> BaseGeometry:
    """Return the part of a scene's grids inside its footprint, or the whole grids if they do not meet the footprint."""
    frame = _frame(scene, crs)
    shown: BaseGeometry = shapely.intersection(_projected(scene.footprint, scene.crs, crs), frame)
    return shown if shown.area else frame


def _projected(outline: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """Project an outline to another CRS; return an empty polygon if the CRS cannot express it."""
    projected = shapely.make_valid(project(np.array([outline]), source, target)[0])
    return projected if np.isfinite(projected.bounds).all() else shapely.Polygon()


def _shared_area(one: BaseGeometry, other: BaseGeometry) -> float:
    return float(shapely.area(shapely.intersection(one, other)))


def _reason(scene: Scene, better: Scene) -> str:
    """Return the reason why a better scene replaces a scene, as the end of a sentence."""
    where = "" if scene.product == better.product else f" in {better.product}"
    (states, maturity, *rest, _), (states_better, maturity_better, *rest_better, _) = rank(scene), rank(better)
    if states != states_better:
        return f"of which a processing{where} with a stated maturity or date is used"
    if maturity != maturity_better:
        return f"of which a more mature processing{where} is used"
    if rest != rest_better:
        return f"of which a newer processing{where} is used"
    return f"which {better.product} holds as well" if where else "which the index holds twice"


def left_out_notes(choice: ProcessingChoice, total: int) -> Iterable[str]:
    """Yield a sentence for each reason why scenes are left out, and a warning for unknown maturities.

    Parameters
    ----------
    choice : ProcessingChoice
        Chosen scenes and reasons.
    total : int
        Number of scenes found.
    """
    for reason, count in sorted(choice.reasons.items()):
        yield f"Left out: {count} of {total} scenes found, {reason}."
    if choice.unknown:
        words = ", ".join(repr(word[:40]) for word in choice.unknown)
        yield (
            f"Warning: the dataset maturity {words} is not known and ranks between {MATURITIES[0]} and "
            f"{MATURITIES[1]}; the known ones are {', '.join(MATURITIES)}."
        )
