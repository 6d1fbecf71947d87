"""Provenance of a result: metadata from which the result can be computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from compute import __version__
from compute.jobs.provenance import SOURCE, plan_provenance
from compute.jobs.run.season_summary import result_remarks
from compute.jobs.run.unread_scenes import read_scenes
from compute.plan import NdviPlan
from compute.scenes import UnreadScene


def result_provenance(
    plan: NdviPlan, token: str, failed: Sequence[UnreadScene], statistics: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the metadata of a result, ready for JSON.

    Parameters
    ----------
    plan : NdviPlan
        Plan of the result.
    token : str
        Token of the computation.
    failed : sequence of UnreadScene
        Scenes that could not be read.
    statistics : sequence of mapping
        Statistics of each season, from `compute.jobs.Computation.statistics`; empty if they are unknown.
    """
    looks = {season["label"]: season["looks"] for season in statistics if "looks" in season}
    return {
        "title": "Seasonal mean NDVI",
        SOURCE: f"greenup {__version__}",
        "greenup_token": token,
        "greenup_request": plan.request.to_json(),
        "greenup_harmonise": plan.request.harmonise,
        "greenup_notes": list(plan.notes),
        "greenup_scenes": read_scenes(failed, plan),
        "greenup_scenes_failed": [asdict(each) for each in failed],
        "greenup_remarks": result_remarks(plan, statistics),
        "greenup_dates": {season.label: season.dates for season in plan.seasons},
        **({"greenup_looks": looks} if plan.reasons else {}),
        "greenup_incomplete": {season.label: list(season.missing) for season in plan.seasons if season.missing},
        **plan_provenance(plan),
    }
