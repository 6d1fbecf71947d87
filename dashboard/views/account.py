"""The user's name in the header, and the way to sign out."""

from __future__ import annotations

import panel_material_ui as pmui

from dashboard.state import VisitState

_MOST = 24


def account_button(state: VisitState) -> pmui.Button | None:
    """Return the button with the user's name that leads to the logout; None where there is no login."""
    if not state.user:
        return None
    shown = state.user if len(state.user) <= _MOST else state.user[: _MOST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return pmui.Button(
        label=shown,
        icon="account_circle",
        variant="text",
        size="small",
        href="logout" if state.signs_out else None,
        disabled=not state.signs_out,
        description="Sign out" if state.signs_out else "Signed in",
        sx={"color": "inherit", "textTransform": "none", "&.Mui-disabled": {"color": "inherit"}},
    )
