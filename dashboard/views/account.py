"""Account button in the header: name of the user, and link to the logout."""

from __future__ import annotations

import panel_material_ui as pmui

from dashboard.state import VisitState

_MOST = 24


def account_button(visit: VisitState) -> pmui.Button | None:
    """Return the button with the name of the user and a link to the logout; None without a login."""
    if not visit.user:
        return None
    shown = visit.user if len(visit.user) <= _MOST else visit.user[: _MOST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return pmui.Button(
        label=shown,
        icon="account_circle",
        variant="text",
        size="small",
        href="logout" if visit.can_sign_out else None,
        disabled=not visit.can_sign_out,
        description="Sign out" if visit.can_sign_out else "Signed in",
        sx={"color": "inherit", "textTransform": "none", "&.Mui-disabled": {"color": "inherit"}},
    )
