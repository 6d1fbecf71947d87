"""Cluster options offered by a Gateway, and validation of their values."""

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
    """Option of new clusters, as declared by the Gateway.

    Attributes
    ----------
    name : str
        Key of ``--cluster-option KEY=VALUE``.
    label : str
        Display name from the Gateway.
    kind : {"bool", "int", "float", "str", "dict"}
        Type of the value.
    default : object
        Default value from the Gateway or from Dask's configuration.
    choices : tuple of str
        Allowed values; empty if not restricted.
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
        """Description of the allowed values."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}
        bounds = [f"at least {self.minimum:g}"] if self.minimum is not None else []
        bounds += [f"at most {self.maximum:g}"] if self.maximum is not None else []
        return " ".join([words.get(self.kind, "a JSON object"), " and ".join(bounds)]).strip()

    def parse_value(self, text: str) -> object:
        """Parse and validate the text of a value.

        Raises
        ------
        InputError
            The value is not allowed; the message describes the allowed values.
        """
        try:
            value = _CONVERTERS[self.kind](text)
        except (ValueError, KeyError, RecursionError):
            raise self._refusal(text) from None
        if not self._allows(value):
            raise self._refusal(text)
        return value

    def is_valid(self, text: str) -> bool:
        """Return whether a text represents an allowed value."""
        try:
            self.parse_value(text)
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


def describe_options(options: Options) -> list[ClusterOption]:
    """Convert the options of a Gateway to records.

    Parameters
    ----------
    options : dask_gateway.options.Options
        Options as returned by `dask_gateway.Gateway.cluster_options`.

    Returns
    -------
    list of ClusterOption
        Options in the Gateway's order.
    """
    return [_describe_option(options, name) for name in options]


def _describe_option(options: Options, name: str) -> ClusterOption:
    # dask-gateway 2026.3: the mapping contains values only; bounds and choices are in its private fields.
    field = options._fields[name]
    return ClusterOption(
        name=name,
        label=field.label,
        kind=type(field.value).__name__,  # type: ignore[arg-type]  # the Gateway uses JSON types only
        default=field.value,
        choices=tuple(getattr(field, "options", ())),
        minimum=getattr(field, "min", None),
        maximum=getattr(field, "max", None),
    )


def apply_configured_defaults(options: Options) -> Options:
    """Apply the defaults in ``gateway.cluster.options`` of Dask's configuration, as set on a JupyterHub.

    Parameters
    ----------
    options : dask_gateway.options.Options
        Changed in place.

    Returns
    -------
    dask_gateway.options.Options
        `options`.

    Raises
    ------
    ClusterError
        The Gateway does not accept the configured values.
    """
    configured = dask.config.get("gateway.cluster.options", None) or {}
    try:
        options.update({name: format_template(value) for name, value in configured.items()})
    except (KeyError, TypeError, ValueError):
        raise ClusterError(
            "The Gateway does not accept the cluster options of Dask's configuration; correct gateway.cluster.options."
        ) from None
    return options


def apply_choices(options: Options, chosen: Mapping[str, str]) -> Options:
    """Set the values of options from text.

    Parameters
    ----------
    options : dask_gateway.options.Options
        Changed in place.
    chosen : mapping of str to str
        Values by option name.

    Returns
    -------
    dask_gateway.options.Options
        `options`.

    Raises
    ------
    InputError
        The Gateway has no such option, or the value is not allowed; the message describes the alternatives.
    """
    for name, text in chosen.items():
        if name not in options:
            known = ", ".join(options) or "none"
            raise InputError("cluster-option", f"The Gateway has no cluster option {name[:80]!r}; it has: {known}.")
        options[name] = _describe_option(options, name).parse_value(text)
    return options


def _parse_boolean(text: str) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]


def _parse_number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


_CONVERTERS: Mapping[str, Callable[[str], object]] = {
    "bool": _parse_boolean,
    "int": int,
    "float": _parse_number,
    "str": str,
    "dict": json.loads,
}
