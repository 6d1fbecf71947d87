"""Scenes that could not be read: left out of a result, counted and named, and how many of them are too many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compute.errors import JobError
from compute.plan import NdviPlan


def left_out(statistics: Iterable[Mapping[str, Any]], plan: NdviPlan, most: float) -> list[str]:
    """Return the scenes that a result lacks, or refuse the result where they are too many.

    Parameters
    ----------
    statistics : iterable of mapping
        As `compute.jobs.Job.statistics` returns them.
    plan : NdviPlan
        What was computed.
    most : float
        Largest share of the scenes, from 0 to 1, that a result may lack.

    Returns
    -------
    list of str
        Ids, sorted.

    Raises
    ------
    JobError
        More scenes are left out than may be.
    """
    failed = sorted({scene for season in statistics for scene in season["scenes_failed"]})
    if len(failed) > most * len(plan.sources):
        raise JobError(
            f"{failed_sentence(failed, plan)} That is more than the {most:.0%} which "
            f"GREENUP_MAX_FAILED_SHARE allows; check the files of {', '.join(failed[:3])} first."
        )
    return failed


def failed_sentence(failed: Sequence[str], plan: NdviPlan) -> str:
    """Return how many of a plan's scenes could not be read, as a sentence; nothing where all could."""
    if not failed:
        return ""
    verb = "is" if len(failed) == 1 else "are"
    return f"{len(failed):,} of {len(plan.sources):,} scenes could not be read and {verb} left out."
