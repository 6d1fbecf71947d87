"""Options that ``plan`` and ``run`` share, and the request that they make."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from compute.errors import InputError
from dashboard.cli.arguments import path_option

if TYPE_CHECKING:
    from compute.catalog import Catalog
    from compute.products import ProductProfile
    from compute.request import NdviRequest
    from compute.request.region import Region

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]

_STAND_IN = "all"
"""Name of a product in a draft whose products are left to the index."""


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """The words of a request as they stand on the command line."""

    bbox: Annotated[
        str | None, typer.Option(help="West,south,east,north in degrees; left out, all that is indexed.")
    ] = None
    region: Annotated[
        Path | None, path_option("GeoJSON file with a polygon, in longitude and latitude.", metavar="FILE")
    ] = None
    time: Annotated[
        str | None, typer.Option(help="FIRST/LAST solar day, YYYY-MM-DD; left out, all that is indexed.")
    ] = None
    product: Annotated[
        list[str] | None, typer.Option(help="ODC product, repeatable; left out, all indexed ones that are described.")
    ] = None
    by: Annotated[str, typer.Option(help="season (merges the years) or season-year (keeps them apart).")] = "season"
    products: Annotated[Path | None, path_option("products.toml that describes further products.", metavar="FILE")] = (
        None
    )
    crs: Annotated[str, typer.Option(help="EPSG:n, or native for the scenes' own grid.")] = "EPSG:3577"
    resolution: Annotated[
        float | None, typer.Option(help="Pixel size in units of the CRS; left out, the scenes' own.")
    ] = None
    clear: Annotated[
        str | None, typer.Option(help="Mask classes that are clear: names or integers, comma-separated.")
    ] = None
    mask_filter: Annotated[
        list[str] | None,
        typer.Option(help="Class to clean and widen, in pixels, repeatable, such as cloud:opening=2,dilation=6."),
    ] = None
    resampling: Annotated[str, typer.Option(help="average, nearest, bilinear, ... for red and nir.")] = "average"
    average: Annotated[
        str,
        typer.Option(help="clear (each source pixel by its own mask pixel) or all (mask at the centre), for average."),
    ] = "clear"
    min_area: Annotated[
        float, typer.Option(help="Least share of an output pixel that must be clear and valid, 0 to 1, for average.")
    ] = 0.5
    index_range: Annotated[
        str, typer.Option(help="LEAST,GREATEST index that is an observation; others are dropped and counted.")
    ] = "none"
    reader: Annotated[str, typer.Option(help="exact, or odc: datacube's own reading, which warps by GDAL.")] = "exact"
    min_clear: Annotated[int, typer.Option(help="Fewest clear observations that make a mean.")] = 1
    weight: Annotated[
        str, typer.Option(help="What weighs alike in a mean: observation, month (means of months) or year.")
    ] = "observation"
    months: Annotated[
        bool, typer.Option("--months", help="Keep in how many different calendar months a pixel was clear.")
    ] = False
    std: Annotated[bool, typer.Option("--std", help="Keep the standard deviation of the observations.")] = False
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Count by reason, such as cloud, the looks that are no observations.")
    ] = False
    valid_range: Annotated[
        str | None, typer.Option(help="LEAST,GREATEST stored value, or none; left out, each product's own.")
    ] = None
    landsat7: Annotated[
        str, typer.Option(help="all, slc-on (to May 2003, without gaps) or nominal (to April 2022, in its own orbit).")
    ] = "all"
    harmonise: Annotated[
        str, typer.Option(help="none, or roy2016: reflectance of Landsat 5 and 7 as Landsat 8 and 9 would see it.")
    ] = "none"
    again: Annotated[
        Path | None, path_option("Zarr or GeoTIFF of an earlier run, to be made again as it was; give it alone.")
    ] = None
    seasons: Annotated[str, typer.Option(help="Season definition, such as DJF,MAM,JJA,SON or wet=11-4,dry=5-10.")] = (
        "DJF,MAM,JJA,SON"
    )

    def check_alone(self) -> None:
        """Refuse other words of a request beside ``--again``."""
        given = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        if others := ", ".join(f"--{name.replace('_', '-')}" for name in given if name != "again"):
            raise InputError("again", f"A result is made again as it was; leave {others} out, or --again.")

    def draft(self) -> Draft:
        """Parse all words, before an index is opened.

        Raises
        ------
        InputError
            A word is not usable; the sentence names it.
        """
        from compute.request import (
            FIRST_DAY,
            NdviRequest,
            parse_clear,
            parse_index_range,
            parse_mask_filters,
            parse_valid_range,
        )
        from compute.request.seasons import parse_seasons

        region, time = self._region(), self._time()
        request = NdviRequest(
            products=tuple(self.product or [_STAND_IN]),
            region=region or _everywhere(),
            start=time[0] if time else FIRST_DAY,
            end=time[1] if time else FIRST_DAY,
            by=self.by,  # type: ignore[arg-type]  # the request refuses any other word
            seasons=parse_seasons(self.seasons),
            crs=self.crs,
            resolution=self.resolution,
            resampling=self.resampling,  # type: ignore[arg-type]  # likewise
            average=self.average,  # type: ignore[arg-type]  # likewise
            min_area=self.min_area,
            index_range=parse_index_range(self.index_range),
            reader=self.reader,  # type: ignore[arg-type]  # likewise
            clear=None if self.clear is None else parse_clear(self.clear),
            valid_range=None if self.valid_range is None else parse_valid_range(self.valid_range),
            min_clear=self.min_clear,
            weight=self.weight,  # type: ignore[arg-type]  # likewise
            months=self.months,
            std=self.std,
            reasons=self.reasons,
            mask_filters=parse_mask_filters(self.mask_filter or ()),
            landsat7=self.landsat7,  # type: ignore[arg-type]  # likewise
            harmonise=self.harmonise,  # type: ignore[arg-type]  # likewise
        )
        return Draft(request=request, products=tuple(self.product or ()), region=region, time=time)

    def request(self, catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> NdviRequest:
        """Make the request; see `draft` and `Draft.complete`."""
        return self.draft().complete(catalog, profiles)

    def _region(self) -> Region | None:
        from compute.request.region import parse_bbox, read_region

        if self.bbox is not None and self.region is not None:
            raise InputError("region", "Both --bbox and --region are given; give one of them.")
        if self.region is not None:
            return read_region(self.region)
        return None if self.bbox is None else parse_bbox(self.bbox)

    def _time(self) -> tuple[date, date] | None:
        from compute.request import parse_time

        return None if self.time is None else parse_time(self.time)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A request whose words are all usable, and what they leave to the index.

    Attributes
    ----------
    request : NdviRequest
        With stand-ins for what was left out.
    products : tuple of str
        Empty where they were left out.
    region : Region or None
        None where it was left out.
    time : (datetime.date, datetime.date) or None
        Likewise.
    """

    request: NdviRequest
    products: tuple[str, ...]
    region: Region | None
    time: tuple[date, date] | None

    def complete(self, catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> NdviRequest:
        """Fill what was left out from what the catalogue holds.

        Raises
        ------
        InputError
            It holds no product that is described, or no scene of those that are named.
        """
        names = self.products or tuple(_described(catalog, profiles))
        region, (start, end) = _complete(self.region, self.time, catalog, names)
        return replace(self.request, products=names, region=region, start=start, end=end)


def _everywhere() -> Region:
    from compute.request.region import region_from_bbox

    return region_from_bbox(-180.0, -90.0, 180.0, 90.0)


def _described(catalog: Catalog, profiles: Mapping[str, ProductProfile]) -> list[str]:
    found = [name for name in catalog.products() if name in profiles]
    if not found:
        raise InputError("product", "The index holds no product that is described; add one with greenup index add.")
    return found


def _complete(
    region: Region | None, time: tuple[date, date] | None, catalog: Catalog, products: tuple[str, ...]
) -> tuple[Region, tuple[date, date]]:
    """Fill a region or time that was left out with the extent of the products' scenes."""
    if region is not None and time is not None:
        return region, time
    from compute.request.region import region_from_bbox

    for product in products:
        catalog.definition(product)
    extent = catalog.extent(products)
    if extent is None:
        names = " or ".join(products)
        raise InputError("product", f"The index holds no scene of {names}; add some with greenup index add.")
    return region or region_from_bbox(*extent.bbox), time or extent.time


def with_request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `RequestOptions`, and hand them to it as its first argument.

    Parameters
    ----------
    command : callable
        Takes a `RequestOptions` and its own options by keyword.
    """
    hints = get_type_hints(RequestOptions, include_extras=True)
    shared = {
        each.name: inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
        )
        for each in fields(RequestOptions)
    }
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @wraps(command)
    def wrapper(**words: Any) -> Any:
        options = RequestOptions(**{name: words.pop(name) for name in shared})
        return command(options, **words)

    parameters = [*shared.values(), *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own)]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper
