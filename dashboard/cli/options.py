"""Options of a request for ``plan`` and ``run``, generated from the table of the request's fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compute.errors import InputError
from compute.request import NdviRequest, RequestField, field_table
from compute.request.field_kinds import Flag, RepeatableKind
from compute.request.record import EXTENT
from dashboard.cli.arguments import path_option

if TYPE_CHECKING:
    from compute.catalog import Catalog
    from compute.products import ProductProfile
    from compute.request.region import Region

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]

_RegionFile = Annotated[
    Path | None,
    path_option("Region as GeoJSON; a polygon masks by pixel centre.", metavar="FILE.geojson", panel=EXTENT),
]
_ProductsFile = Annotated[Path | None, path_option("Profiles of further products.", metavar="FILE.toml")]
_Again = Annotated[
    Path | None, path_option("Zarr or GeoTIFF of an earlier run to compute again, without any other option.")
]


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """Options of a request from the command line.

    Attributes
    ----------
    values : mapping of str to str, bool, list of str or None
        Values by field of the request; None or the default text for an option that is not given.
    region, products, again : pathlib.Path or None
        GeoJSON file of the region, profiles of further products, and earlier result to compute again.
    record : type
        Class of the request, which has the fields.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    region: Path | None = None
    products: Path | None = None
    again: Path | None = None
    record: type[NdviRequest] = NdviRequest

    def check_alone(self) -> None:
        """Raise `InputError` if another option of the request is given in addition to ``--again``."""
        given = [f"--{each.option}" for each in field_table(self.record) if self._is_given(each)]
        given += [f"--{name}" for name in ("region", "products") if getattr(self, name) is not None]
        if given:
            raise InputError(
                "again", f"A result is computed again as it was; leave out {', '.join(given)}, or --again."
            )

    def draft(self) -> Draft:
        """Parse all options into a draft of the request; the index is not needed.

        Raises
        ------
        InputError
            The value of an option is not valid; the message names the option.
        """
        from compute.request.drafts import draft_request

        given, attributes = set[str](), dict[str, Any]()
        for each in field_table(self.record):
            if self._is_given(each):
                attributes |= each.attribute_values(self._parse(each))
                given.add(each.name)
        if self.region is not None:
            attributes["region"] = self._read_region()
            given.add("region")
        return Draft(request=draft_request(self.record, **attributes), given=frozenset(given))

    def request(self, catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> NdviRequest:
        """Parse all options and complete the request; see `draft` and `Draft.complete`."""
        return self.draft().complete(catalog, profiles)

    def _is_given(self, each: RequestField) -> bool:
        return self.values.get(each.name) not in (None, False, [], each.default_text or None)

    def _parse(self, each: RequestField) -> Any:
        from compute.request.region import parse_bbox

        value = self.values[each.name]
        if each.name == "region":
            return parse_bbox(value)
        if isinstance(each.kind, RepeatableKind) and not isinstance(value, str):
            return each.kind.parse_parts(value, each.option)
        return value if isinstance(value, bool) else each.kind.parse(value, each.option)

    def _read_region(self) -> Region:
        from compute.request.region import read_region

        assert self.region is not None, "a region file is given"
        if self.values.get("region") is not None:
            raise InputError("region", "Both --bbox and --region are given; give one of them.")
        return read_region(self.region)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A request with valid options, in which products, region or time may still be missing.

    Attributes
    ----------
    request : NdviRequest
        Request, with placeholders for products, region and time if they are not given.
    given : frozenset of str
        Names of the given fields.
    """

    request: NdviRequest
    given: frozenset[str]

    def complete(self, catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> NdviRequest:
        """Return the request, with products, region and time from the catalogue if they are not given.

        Parameters
        ----------
        catalog : Catalog
            Scenes and products of the index.
        profiles : mapping of str to ProductProfile
            Descriptions of products by name.

        Raises
        ------
        InputError
            The catalogue has no described product, or no scene of the products.
        """
        request = self.request
        if "products" not in self.given:
            request = replace(request, products=tuple(_described(catalog, profiles)))
        if {"region", "time"} <= self.given:
            return request
        return replace(request, **self._extent(catalog, request.products))

    def _extent(self, catalog: Catalog, products: tuple[str, ...]) -> dict[str, Any]:
        """Return the region and the dates of all scenes of the products as fields, except given ones."""
        from compute.request.region import region_from_bbox

        for product in products:
            catalog.definition(product)
        extent = catalog.extent(products)
        if extent is None:
            names = " or ".join(products)
            raise InputError("product", f"The index holds no scene of {names}; add some with greenup index add.")
        found = {} if "region" in self.given else {"region": region_from_bbox(*extent.bbox)}
        return found if "time" in self.given else {**found, "start": extent.time[0], "end": extent.time[1]}


def _described(catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> list[str]:
    found = [name for name in catalog.products() if name in profiles]
    if not found:
        raise InputError("product", "The index holds no product that is described; add one with greenup index add.")
    return found


def request_parameters(record: type[NdviRequest] = NdviRequest) -> list[inspect.Parameter]:
    """Return the parameters from which Typer makes the options of a request, in the order of its fields.

    Parameters
    ----------
    record : type
        Class of the request. Fields that only settings can set have no option.
    """
    parameters = []
    for each in field_table(record):
        if each.setter != "settings":
            parameters.append(_field_parameter(each))
        if each.name == "region":
            parameters.append(_parameter("region", None, _RegionFile))
    return [*parameters, _parameter("products", None, _ProductsFile), _parameter("again", None, _Again)]


def _field_parameter(each: RequestField) -> inspect.Parameter:
    option = typer.Option(
        f"--{each.option}",
        help=each.help,
        metavar=each.kind.metavar or None,
        show_default=each.unset or True,
        rich_help_panel=each.group,
    )
    name = each.option.replace("-", "_")
    if isinstance(each.kind, Flag):
        return _parameter(name, False, Annotated[bool, option])
    if isinstance(each.kind, RepeatableKind):
        return _parameter(name, None, Annotated[list[str] | None, option])
    return _parameter(name, each.default_text or None, Annotated[str | None, option])


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def with_request_options(command: Callable[..., Any], record: type[NdviRequest] = NdviRequest) -> Callable[..., Any]:
    """Add the options of a request to a command, which receives them as its first argument.

    Parameters
    ----------
    command : callable
        Called with a `RequestOptions`, and with its own options as keyword arguments.
    record : type
        Class of the request, which has the fields.

    Returns
    -------
    callable
        Function for `typer.Typer.command`, with one parameter for each option.
    """
    shared = request_parameters(record)
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    by_field = {each.name: each.option.replace("-", "_") for each in field_table(record) if each.setter != "settings"}

    @wraps(command)
    def wrapper(**given: Any) -> Any:
        values = {name: given.pop(parameter) for name, parameter in by_field.items()}
        files = {name: given.pop(name) for name in ("region", "products", "again")}
        return command(RequestOptions(values=values, record=record, **files), **given)

    parameters = [*shared, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect.signature
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper
