"""Action bar over the foot of the map: one sentence on the state, and one action."""

from __future__ import annotations

from dataclasses import dataclass

import panel as pn
import panel_material_ui as pmui

from dashboard.formatting import duration_text, size_text
from dashboard.panel_workarounds.held_values import hold
from dashboard.state import VisitState
from dashboard.views.text import Text
from dashboard.views.theme import FLOATING

_FOLLOWED = [
    "products",
    "region",
    "refusal",
    "estimating",
    "estimate",
    "estimate_token",
    "token",
    "job_state",
    "job_message",
    "blocks_done",
    "blocks_total",
    "seconds_left",
    "preview",
    "layer",
    "cluster_stage",
    "cluster_state",
    "notice",
    "unkept",
    "narrow",
]


@dataclass(frozen=True, kw_only=True)
class Word:
    """Content of the action bar: sentence, action and progress.

    Attributes
    ----------
    text : str
        One or two sentences; empty where there is nothing to say.
    action : str
        Label of the button; empty for none.
    event : str
        Event of the state that the button triggers.
    share : int or None
        Percent of the work that is done; -1 where nobody knows; None where nothing is being done.
    failed : bool
        Whether something went wrong.
    """

    text: str = ""
    action: str = ""
    event: str = ""
    share: int | None = None
    failed: bool = False


def dock(state: VisitState) -> pmui.Paper:
    """Return the card, there whenever it has something to say."""
    word = pn.bind(lambda *_: word_of(state), *(state.param[name] for name in _FOLLOWED))
    button = pmui.Button(
        visible=pn.bind(_has_action, word),
        size="small",
        margin=(0, 0, 0, 12),
        sx={"textTransform": "none", "whiteSpace": "nowrap"},
    )
    button.on_click(lambda _: state.param.trigger(word_of(state).event))
    hold(button, label=pn.bind(_action, word), variant=pn.bind(_weight, word))
    text = Text(variant="body2", margin=0, sizing_mode="stretch_width", styles={"align-self": "center"})
    hold(text, object=pn.bind(_text, word))
    progress = pmui.LinearProgress(visible=pn.bind(_has_share, word), sizing_mode="stretch_width", margin=(8, 0, 2, 0))
    hold(progress, value=pn.bind(_share, word), variant=pn.bind(_pace, word))
    card = pmui.Paper(
        pmui.Row(text, button, sizing_mode="stretch_width", margin=0, sx={"alignItems": "center"}),
        progress,
        elevation=4,
        visible=pn.bind(_has_text, word),
        margin=0,
    )
    return hold(card, sx=pn.bind(_frame, word))


def _text(word: Word) -> str:
    return word.text


def _has_text(word: Word) -> bool:
    return bool(word.text)


def _action(word: Word) -> str:
    return word.action


def _has_action(word: Word) -> bool:
    return bool(word.action)


def _weight(word: Word) -> str:
    """Return the look of the button: going on invites, giving up does not."""
    return "outlined" if word.event in ("cancel", "dismiss", "leave") else "contained"


def _share(word: Word) -> int:
    return max(0, word.share or 0)


def _has_share(word: Word) -> bool:
    return word.share is not None


def _pace(word: Word) -> str:
    return "indeterminate" if word.share == -1 else "determinate"


def _frame(word: Word) -> dict[str, str]:
    return FLOATING | ({"borderLeft": "4px solid", "borderLeftColor": "error.main"} if word.failed else {})


def word_of(state: VisitState) -> Word:
    """Return what there is to say, and the one thing to do about it."""
    if state.notice:
        return Word(text=state.notice, action="Dismiss", event="dismiss", failed=True)
    if state.job_state in ("queued", "connecting", "running"):
        return _at_work(state)
    if state.estimate_token != state.token or not state.token:
        return _request(state)
    return _ended(state)


def _request(state: VisitState) -> Word:
    """Return what there is to say while a request takes shape."""
    if not state.products:
        return Word(text="The index holds no scenes of a product that Greenup knows; add some with greenup index add.")
    if state.job_state in ("failed", "cancelled", "expired"):
        return _ended(state)
    if state.region is None:
        return Word(text="Where? Draw a box on the map.", action="Draw a box", event="draw")
    if state.refusal is not None:
        return _refused(state.refusal)
    if state.estimating or state.estimate is None:
        return Word(text="Asking the index …", share=-1)
    # On a wide screen the same words and the same button stand beside the map.
    return _ready(state.estimate) if state.narrow else Word()


def _refused(refusal: dict[str, str]) -> Word:
    """Return what is wrong; another region helps where that is at fault."""
    if refusal["field"] in ("bbox", "region"):
        return Word(text=refusal["message"], action="Draw again", event="draw", failed=True)
    return Word(text=refusal["message"], failed=True)


def _ready(estimate: dict[str, object]) -> Word:
    read = size_text(float(str(estimate["bytes_to_read"])))
    return Word(text=f"{estimate['scenes']:,} scenes, about {read} to read.", action="Compute", event="compute")


def _at_work(state: VisitState) -> Word:
    if state.job_state != "running":
        text = f"{state.job_message} {_waiting(state)}".strip()
        return Word(text=text + _unkept(state), action="Cancel", event="cancel", share=-1)
    left = f", about {duration_text(state.seconds_left)} left" if state.seconds_left is not None else ""
    share = round(100 * state.blocks_done / state.blocks_total) if state.blocks_total else 0
    text = f"{state.blocks_done} of {state.blocks_total} blocks are done{left}. {state.job_message}".rstrip()
    if state.preview and state.layer == "ndvi_mean":
        text += " What is hatched is a coarse preview."
    return Word(text=text + _unkept(state), action="Cancel", event="cancel", share=share)


def _waiting(state: VisitState) -> str:
    if state.job_state == "queued":
        return ""
    if state.cluster_state in ("idle", "working"):
        return "The cluster is ready, the computation starts."
    return state.cluster_stage or "A cluster is being made ready."


def _unkept(state: VisitState) -> str:
    return f" It would not survive a restart of the server. {state.unkept}" if state.unkept else ""


def _ended(state: VisitState) -> Word:
    text = "The computation was cancelled." if state.job_state == "cancelled" else state.job_message
    if not text or state.job_state == "done":
        return Word(text=text)
    again = not state.reason_not_to_compute
    action, event = ("Compute again", "compute") if again else ("Start anew", "leave")
    return Word(text=text, action=action, event=event, failed=state.job_state == "failed")
