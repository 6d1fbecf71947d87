"""State of the job on the page: status, progress and result."""

from __future__ import annotations

import param

from dashboard.state.parameters import ConcernState


class JobState(ConcernState):
    """The job whose result the page shows."""

    token = param.String(doc="Token of the job; empty for none.")
    state = param.String(doc="queued, connecting, running, done, failed, cancelled, expired; empty for none.")
    message = param.String(doc="Message about the state, such as why the job failed.")
    blocks_done = param.Integer(default=0, doc="Number of computed blocks.")
    blocks_total = param.Integer(default=0, doc="Number of blocks of the job.")
    seconds_left = param.Number(default=None, allow_None=True, doc="Estimated time left in seconds; None if unknown.")
    result = param.Dict(default=None, allow_None=True, doc="Extent, zooms and layers of the result.")
    seasons = param.List(default=[], item_type=str, doc="Season labels of the result.")
    has_preview = param.Boolean(default=False, doc="Whether the shown season has a preview of its pending blocks.")
    synthetic = param.Boolean(default=False, doc="Whether the result comes from synthetic scenes.")
    missing_months = param.Dict(default={}, doc="Missing months by label of the incomplete season.")
    min_clear = param.Integer(default=1, doc="Fewest observations that make a mean of the result.")

    cancel = param.Event(doc="Withdraw from the job.")
    close = param.Event(doc="Show no result any more.")
