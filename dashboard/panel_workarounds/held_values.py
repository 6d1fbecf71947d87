"""Component values that a browser may not write back."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import panel as pn
from param.parameterized import resolve_value

Component = TypeVar("Component")


def hold(component: Component, **references: Any) -> Component:
    """Give a component parameters that only the state changes.

    Where such a parameter changes twice in a moment, as while something is done that takes no time, a component of
    Panel's that React draws may write back what it has shown in between (`useState` in Panel's
    ``react_component.ts``). A button would stay disabled then, until the state changes once more.

    Parameters
    ----------
    component : panel component
        Not to be changed in these parameters otherwise.
    **references
        What to bind them to: parameters of the state, or what `panel.bind` returns.

    Returns
    -------
    panel component
        The same.
    """
    parameters: Any = getattr(component, "param")  # noqa: B009  # no type of Panel's says that it has them
    parameters.update(**references)
    for name, reference in references.items():
        parameters.watch(partial(_restore, reference), name)
    return component


def _restore(reference: Any, event: Any) -> None:
    if event.new != resolve_value(reference):
        # Later: what a browser has sent is not sent back to it while that is being noted.
        pn.state.execute(partial(event.obj.param.update, **{event.name: reference}), schedule=True)
