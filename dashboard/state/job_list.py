"""State of the list of jobs: rows, deletion, renaming, and retention of results."""

from __future__ import annotations

import param

from dashboard.state.parameters import ConcernState


class JobListState(ConcernState):
    """The visitor's jobs."""

    jobs = param.List(default=[], item_type=dict, doc="Jobs of the visitor, newest first.")
    pending_deletion = param.String(doc="Token of the result to delete, until the visitor confirms; empty for none.")
    pending_rename = param.String(doc="Token of the result whose title is edited; empty for none.")
    new_title = param.String(doc="Title as edited.")
    retention_notice = param.String(doc="How long results are retained, as a sentence.")
    persistence_warning = param.String(doc="Why jobs would not survive a restart of the server; empty if they would.")

    delete = param.Event(doc="Delete the result whose deletion is pending.")
    rename = param.Event(doc="Save the edited title.")
