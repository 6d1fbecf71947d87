"""Unread scenes: list and describe them, and refuse a result with too many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compute.errors import JobError
from compute.plan import NdviPlan
from compute.scenes import UnreadScene, unique_unread

_NAMED = 3
"""Number of scenes that a sentence names; the metadata of the result list all."""


def left_out(statistics: Iterable[Mapping[str, Any]], plan: NdviPlan, most: float) -> list[UnreadScene]:
    """Return the unread scenes of a result, or raise if there are too many.

    Parameters
    ----------
    statistics : iterable of mapping
        Statistics of each season, from `compute.jobs.Computation.statistics`.
    plan : NdviPlan
        Plan of the result.
    most : float
        Largest share of unread scenes, from 0 to 1.

    Returns
    -------
    list of UnreadScene
        One entry for each unread scene, sorted.

    Raises
    ------
    JobError
        More scenes are unread than `most` allows.
    """
    failed = unique_unread(UnreadScene.kept(each) for season in statistics for each in season["scenes_failed"])
    if len(failed) > most * len(plan.sources):
        raise JobError(
            f"{failed_sentence(failed, plan)} That is more than the {most:.0%} which "
            "GREENUP_MAX_FAILED_SHARE allows; mend these files first, or take the scenes out of the index."
        )
    return failed


def failed_sentence(failed: Sequence[UnreadScene], plan: NdviPlan) -> str:
    """Return a sentence with the number, names and reasons of the unread scenes; empty if all were read."""
    if not failed:
        return ""
    verb = "is" if len(failed) == 1 else "are"
    more = f"; and {len(failed) - _NAMED:,} more" if len(failed) > _NAMED else ""
    return (
        f"{len(failed):,} of {len(plan.sources):,} scenes could not be read and {verb} left out: "
        f"{'; '.join(map(str, failed[:_NAMED]))}{more}."
    )


def read_scenes(failed: Sequence[UnreadScene], plan: NdviPlan) -> list[str]:
    """Return the ids of the scenes of a plan, except the unread ones."""
    unread = {each.scene for each in failed}
    return [source.id for source in plan.sources if source.id not in unread]


def caption_of(failed: Sequence[UnreadScene], plan: NdviPlan) -> tuple[str, list[str]]:
    """Return the title of a picture of a result, and the notes below it."""
    request, (dy, _) = plan.request, plan.grid.resolution
    title = f"Seasonal mean NDVI, {request.start} to {request.end}"
    notes = [f"{', '.join(request.products)}, {len(plan.sources)} scenes, {dy:g} m in {plan.grid.crs}"]
    notes += [
        f"{season.label} is incomplete: without {', '.join(season.missing)}"
        for season in plan.seasons
        if season.missing
    ]
    if failed:
        notes.append(failed_sentence(failed, plan))
    return title, notes + list(plan.notes)
