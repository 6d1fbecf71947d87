"""Conditions for submitting the request."""

from __future__ import annotations

from dashboard.state.job import JobState
from dashboard.state.request import RequestState


def reason_not_to_compute(request: RequestState, job: JobState) -> str:
    """Return why Compute is disabled, as a sentence; empty if it is enabled.

    Parameters
    ----------
    request : RequestState
        The request to submit.
    job : JobState
        The job on the page, possibly the one that the request would join.
    """
    if request.refusal is not None:
        return "The request cannot be computed as it is; see above."
    if request.region is None:
        return "Draw a region first."
    if request.estimating or request.estimate is None:
        return "The estimate is being made."
    if job.token != request.estimate_token or job.state in ("failed", "cancelled", "expired"):
        return ""
    return "This is the result on the map." if job.state == "done" else "It is being computed."
