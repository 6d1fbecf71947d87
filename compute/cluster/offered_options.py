"""Cluster options that a Gateway offers, and their validation before a start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import dask
from dask_gateway.options import Options
from dask_gateway.utils import format_template

from compute.errors import ClusterError, InputError


@dataclass(frozen=True, kw_only=True)
class ClusterOption:
    """One option of new clusters, as the Gateway declares it.

    Attributes
    ----------
    name : str
        The key of ``--cluster-option KEY=VALUE``.
    label : str
        The Gateway's own words for it.
    kind : {"bool", "int", "float", "str", "dict"}
        Type of the value.
    default : object
        Value where none is chosen; Dask's configuration may have changed the Gateway's.
    choices : tuple of str
        The only values there are; empty where any of the type will do.
    minimum, maximum : float or None
        Bounds of a number, inclusive.
    """

    name: str
    label: str
    kind: Literal["bool", "int", "float", "str", "dict"]
    default: object
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def accepts(self) -> str:
        """The values it takes, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
        bounds = [f"at least {self.minimum:g}"] if self.minimum is not None else []
        bounds += [f"at most {self.maximum:g}"] if self.maximum is not None else []
        return " ".join([words.get(self.kind, "a JSON object"), " and ".join(bounds)]).strip()

    def read(self, text: str) -> object:
        """Return the value that a text stands for.

        Raises
        ------
        InputError
            It is none that the Gateway takes; the sentence says which it does.
        """
        try:
            value = _CONVERTERS[self.kind](text)
        except (ValueError, KeyError, RecursionError):
            raise self._refusal(text) from None
        if not self._allows(value):
            raise self._refusal(text)
        return value

    def takes(self, text: str) -> bool:
        """Return whether a text stands for a value of it."""
        try:
            self.read(text)
        except InputError:
            return False
        return True

    def _allows(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind == "dict":
            return isinstance(value, dict)
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def _refusal(self, text: str) -> InputError:
        return InputError(
            "cluster-option", f"The cluster option {self.name} cannot be {text[:80]!r}; it is {self.accepts}."
        )


def describe(options: Options) -> list[ClusterOption]:
    """Turn the options of a Gateway into plain records.

    Parameters
    ----------
    options : dask_gateway.options.Options
        As `dask_gateway.Gateway.cluster_options` returns them.

    Returns
    -------
    list of ClusterOption
        In the Gateway's order.
    """
    return [_describe(options, name) for name in options]


def _describe(options: Options, name: str) -> ClusterOption:
    # The mapping shows values only; bounds and choices, which a form needs, are on the fields behind it.
    field = options._fields[name]
    return ClusterOption(
        name=name,
        label=field.label,
        kind=type(field.value).__name__,  # type: ignore[arg-type]  # JSON has no other types
        default=field.value,
        choices=tuple(getattr(field, "options", ())),
        minimum=getattr(field, "min", None),
        maximum=getattr(field, "max", None),
    )


def with_configured_defaults(options: Options) -> Options:
    """Set the defaults that ``gateway.cluster.options`` of Dask's configuration names, as on a JupyterHub.

    Parameters
    ----------
    options : dask_gateway.options.Options
        Changed in place.

    Returns
    -------
    dask_gateway.options.Options
        The same object.

    Raises
    ------
    ClusterError
        The Gateway does not take what the configuration says.
    """
    configured = dask.config.get("gateway.cluster.options", None) or {}
    try:
        options.update({name: format_template(value) for name, value in configured.items()})
    except (KeyError, TypeError, ValueError):
        raise ClusterError(
            "The Gateway does not take the cluster options of Dask's configuration; correct gateway.cluster.options."
        ) from None
    return options


def choose(options: Options, chosen: Mapping[str, str]) -> Options:
    """Set options from their text.

    Parameters
    ----------
    options : dask_gateway.options.Options
        Changed in place.
    chosen : mapping of str to str
        Value as written, by name.

    Returns
    -------
    dask_gateway.options.Options
        The same object.

    Raises
    ------
    InputError
        The Gateway has no such option, or does not take the value; the sentence says what there is.
    """
    for name, text in chosen.items():
        if name not in options:
            known = ", ".join(options) or "none"
            raise InputError("cluster-option", f"The Gateway has no cluster option {name[:80]!r}; it has: {known}.")
        options[name] = _describe(options, name).read(text)
    return options


def _boolean(text: str) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


_CONVERTERS: Mapping[str, Callable[[str], object]] = {
    "bool": _boolean,
    "int": int,
    "float": _number,
    "str": str,
    "dict": json.loads,
}
