"""Action bar at the bottom of the map: a message on the state of the page, and one action."""

from __future__ import annotations

from dataclasses import dataclass

import panel as pn
import panel_material_ui as pmui

from dashboard.formatting import duration_text, size_text
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import ClusterState, PageState, reason_not_to_compute
from dashboard.views.text import Text
from dashboard.views.theme import FLOATING

_FOLLOWED = (
    "visit.notice",
    "visit.narrow",
    "request.products",
    "request.region",
    "request.refusal",
    "request.estimating",
    "request.estimate",
    "request.estimate_token",
    "cluster.status",
    "cluster.status_text",
    "job.token",
    "job.state",
    "job.message",
    "job.blocks_done",
    "job.blocks_total",
    "job.seconds_left",
    "job.has_preview",
    "job_list.persistence_warning",
    "look.layer",
)


@dataclass(frozen=True, kw_only=True)
class Message:
    """Content of the action bar: message, action and progress.

    Attributes
    ----------
    text : str
        Text of the message; empty for none.
    action : str
        Label of the button; empty for none.
    event : str
        Path of the event that the button triggers, such as ``job.cancel``.
    share : int or None
        Progress in percent; -1 if it is unknown, None if no work is in progress.
    failed : bool
        Whether the message is about an error.
    """

    text: str = ""
    action: str = ""
    event: str = ""
    share: int | None = None
    failed: bool = False


def action_bar(state: PageState) -> pmui.Paper:
    """Return the action bar, which is visible if there is a message."""
    message = pn.bind(lambda *_: current_message(state), *state.get_parameters(*_FOLLOWED))
    button = pmui.Button(
        visible=pn.bind(_has_action, message),
        size="small",
        margin=(0, 0, 0, 12),
        sx={"textTransform": "none", "whiteSpace": "nowrap"},
    )
    button.on_click(lambda _: state.trigger(current_message(state).event))
    hold(button, label=pn.bind(_action, message), variant=pn.bind(_weight, message))
    text = Text(variant="body2", margin=0, sizing_mode="stretch_width", styles={"align-self": "center"})
    hold(text, object=pn.bind(_text, message))
    progress = pmui.LinearProgress(
        visible=pn.bind(_has_share, message), sizing_mode="stretch_width", margin=(8, 0, 2, 0)
    )
    hold(progress, value=pn.bind(_share, message), variant=pn.bind(_pace, message))
    card = pmui.Paper(
        pmui.Row(text, button, sizing_mode="stretch_width", margin=0, sx={"alignItems": "center"}),
        progress,
        elevation=4,
        visible=pn.bind(_has_text, message),
        margin=0,
    )
    return hold(card, sx=pn.bind(_frame, message))


def _text(message: Message) -> str:
    return message.text


def _has_text(message: Message) -> bool:
    return bool(message.text)


def _action(message: Message) -> str:
    return message.action


def _has_action(message: Message) -> bool:
    return bool(message.action)


def _weight(message: Message) -> str:
    """Return the variant of the button: outlined for actions that cancel or close, else contained."""
    return "outlined" if message.event in ("job.cancel", "job.close", "visit.dismiss_notice") else "contained"


def _share(message: Message) -> int:
    return max(0, message.share or 0)


def _has_share(message: Message) -> bool:
    return message.share is not None


def _pace(message: Message) -> str:
    return "indeterminate" if message.share == -1 else "determinate"


def _frame(message: Message) -> dict[str, str]:
    return FLOATING | ({"borderLeft": "4px solid", "borderLeftColor": "error.main"} if message.failed else {})


def current_message(state: PageState) -> Message:
    """Return the message of a page, with its action."""
    job, token = state.job, state.job.token
    if state.visit.notice:
        return Message(text=state.visit.notice, action="Dismiss", event="visit.dismiss_notice", failed=True)
    if job.state in ("queued", "connecting", "running"):
        return _progress_message(state)
    if state.request.estimate_token == token != "":
        return _end_message(state)
    if not state.request.products:
        return Message(
            text="The index holds no scenes of a product that Greenup knows; add some with greenup index add."
        )
    return _end_message(state) if job.state in ("failed", "cancelled", "expired") else _request_message(state)


def _request_message(state: PageState) -> Message:
    """Return the message for a request that is being edited."""
    request = state.request
    if request.region is None:
        return Message(text="Draw a region to see its cost.", action="Draw a box", event="request.draw_box")
    if request.refusal is not None:
        return _refusal_message(request.refusal)
    if request.estimating or request.estimate is None:
        return Message(text="Asking the index …", share=-1)
    # On a wide screen, the sidebar shows the same text and the same button.
    return _estimate_message(request.estimate) if state.visit.narrow else Message()


def _refusal_message(refusal: dict[str, str]) -> Message:
    """Return the message of a refusal; if the region is refused, the action is to draw another."""
    if refusal["field"] in ("bbox", "region"):
        return Message(text=refusal["message"], action="Draw again", event="request.draw_box", failed=True)
    return Message(text=refusal["message"], failed=True)


def _estimate_message(estimate: dict[str, object]) -> Message:
    size = size_text(float(str(estimate["bytes_to_read"])))
    text = f"{estimate['scenes']:,} scenes, about {size} to read."
    return Message(text=text, action="Compute", event="request.compute")


def _progress_message(state: PageState) -> Message:
    job = state.job
    warning = _persistence_text(state.job_list.persistence_warning)
    if job.state != "running":
        text = f"{job.message} {_waiting_text(job.state, state.cluster)}".strip()
        return Message(text=text + warning, action="Cancel", event="job.cancel", share=-1)
    left = f", about {duration_text(job.seconds_left)} left" if job.seconds_left is not None else ""
    share = round(100 * job.blocks_done / job.blocks_total) if job.blocks_total else 0
    text = f"{job.blocks_done} of {job.blocks_total} blocks are done{left}. {job.message}".rstrip()
    if job.has_preview and state.look.layer == "ndvi_mean":
        text += " Hatched areas are a coarse preview."
    return Message(text=text + warning, action="Cancel", event="job.cancel", share=share)


def _waiting_text(job_state: str, cluster: ClusterState) -> str:
    if job_state == "queued":
        return ""
    if cluster.status in ("idle", "working"):
        return "The cluster is ready, the computation starts."
    return cluster.status_text or "A cluster is being made ready."


def _persistence_text(warning: str) -> str:
    return f" It would not survive a restart of the server. {warning}" if warning else ""


def _end_message(state: PageState) -> Message:
    job = state.job
    text = "The computation was cancelled." if job.state == "cancelled" else job.message
    if not text or job.state == "done":
        return Message(text=text)
    again = not reason_not_to_compute(state.request, job)
    action, event = ("Compute again", "request.compute") if again else ("Start anew", "job.close")
    return Message(text=text, action=action, event=event, failed=job.state == "failed")
