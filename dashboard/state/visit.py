"""State of a visit: visitor, window, theme and notice."""

from __future__ import annotations

import param

from dashboard.state.parameters import ConcernState


class VisitState(ConcernState):
    """Visitor, window, theme and notice of one visit."""

    visitor = param.String(doc="Identifier of the browser, the same at its next visit.")
    user = param.String(doc="Name of the user; empty without a login.")
    can_sign_out = param.Boolean(doc="Whether the page offers a way to sign out.")
    notice = param.String(doc="Message that belongs to no field of the form; empty for none.")
    dark = param.Boolean(default=False, doc="Whether the page has its dark theme.")
    prefers_dark = param.Boolean(default=False, doc="Whether the visitor's system is set to dark.")
    narrow = param.Boolean(default=False, doc="Whether the window is as narrow as a telephone.")
    flush_counter = param.Integer(doc="Number of flushes of the message queue; see `MessageFlush`.")

    dismiss_notice = param.Event(doc="Close the notice.")
