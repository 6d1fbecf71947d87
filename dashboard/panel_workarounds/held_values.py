"""Component parameters that are restored if a browser changes them."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import panel as pn
from param.parameterized import resolve_value

Component = TypeVar("Component")


def hold(component: Component, **references: Any) -> Component:
    """Bind parameters of a component to references, and restore them if a browser changes them.

    If a bound parameter changes twice in quick succession, a React component of Panel 1.9 may write the intermediate
    value back (`useState` in ``panel/models/react_component.ts``). A button would then stay disabled until the next
    change of the state. This can be removed once such components write only values that the visitor has entered.

    Parameters
    ----------
    component : panel component
        The component.
    **references
        Parameter or bound function (`panel.bind`) by the name of the component's parameter.

    Returns
    -------
    panel component
        The same component.
    """
    parameters: Any = getattr(component, "param")  # noqa: B009  # Panel's types do not declare this attribute
    parameters.update(**references)
    for name, reference in references.items():
        parameters.watch(partial(_restore, reference), name)
    return component


def _restore(reference: Any, event: Any) -> None:
    if event.new != resolve_value(reference):
        # Scheduled for later: Panel sends no change of a parameter to the browser whose message it is handling.
        pn.state.execute(partial(event.obj.param.update, **{event.name: reference}), schedule=True)
