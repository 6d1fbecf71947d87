"""Request record, from which the table of request fields is made.

To add a field, add an attribute with its default and its description. The command line, the page, JSON, query strings
and the README's table are derived from it; see `compute.request.field_table`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, get_args

from compute.request import notation_kinds as notations
from compute.request.documents import RequestDocument
from compute.request.field_kinds import Choice, Flag, Number
from compute.request.field_table import described, field_table, request_field
from compute.request.field_values import (
    EXACT_RESAMPLINGS,
    MAX_RESOLUTION,
    MIN_AREA,
    Average,
    Landsat7,
    Reader,
    Resampling,
    Weight,
    check_reader,
)
from compute.request.seasons import STANDARD, By, Season

if TYPE_CHECKING:
    from compute.kernels import IndexRange
    from compute.products import ClearClass, HarmonisationMethod, MaskFilter, ValidRange
    from compute.request.region import Region


def annotation_types() -> dict[str, Any]:
    """Return the namespaces of the packages in the annotations, by name.

    For libraries that resolve the record's annotations at run time; the module imports these packages for type checking
    only.
    """
    from compute import kernels, products
    from compute.request import region

    return {**vars(kernels), **vars(products), **vars(region)}


EXTENT = "Products, region and dates"
"""Group of the required fields."""

AVERAGING = "Averaging"
"""Group of the optional fields that the page always shows; the page collapses the other optional groups."""

_GRID = "Seasons and grid"
_OBSERVATIONS = "Observations"
_SENSORS = "Sensors"
_LAYERS = "Further layers"

_DATES = described(
    notations.DateRange(),
    name="time",
    label="First and last day",
    help="First and last solar day as YYYY-MM-DD, both included.",
    unset="extent of the index",
    group=EXTENT,
)


@dataclass(frozen=True, kw_only=True)
class NdviRequest(RequestDocument):
    """Complete request for seasonal NDVI in canonical form; equal requests have equal JSON.

    The `help` of each field describes its attribute. Values are validated and converted to their canonical form; for
    example, products, mask classes and mask filters are sorted.

    Raises
    ------
    InputError
        An attribute is invalid; `field` of the error is the option that sets the attribute.
    """

    products: tuple[str, ...] = field(
        metadata=described(
            notations.Products(),
            option="product",
            label="Product",
            help="Product of the Open Data Cube; repeat the option to combine several.",
            unset="all described products",
            group=EXTENT,
        )
    )
    region: Region = field(
        metadata=described(
            notations.RegionNotation(),
            option="bbox",
            label="Region",
            help="Region as west, south, east and north in degrees.",
            unset="extent of the index",
            group=EXTENT,
        )
    )
    start: date = field(metadata=_DATES)
    end: date = field(metadata=_DATES)
    by: By = request_field(
        "season",
        Choice(labels={"season": "Seasons over all years", "season-year": "Each year separately"}),
        label="Years",
        help="Merge the years into a climatology (season), or keep each year separate (season-year; 2020-DJF is "
        "December 2019 to February 2020).",
        group=AVERAGING,
    )
    weight: Weight = request_field(
        "observation",
        Choice(labels={"observation": "observations", "month": "monthly means", "year": "yearly means"}),
        label="Mean of",
        hint="Each has the same weight in a season",
        help="Values of equal weight in a season's mean: observations, the means of months, or the means of "
        "season-years.",
        group=AVERAGING,
    )
    seasons: tuple[Season, ...] = request_field(
        STANDARD,
        notations.SeasonNotation(),
        label="Seasons",
        hint="By name: wet=11-4,dry=5-10",
        help="Seasons by the initials of their months, or as NAME=FIRST-LAST in month numbers, such as "
        "wet=11-4,dry=5-10.",
        group=_GRID,
    )
    crs: str = request_field(
        "EPSG:3577",
        notations.CrsCode(),
        label="Map projection",
        hint="EPSG:n, or native for the scenes' own grid",
        help="Map projection of the output grid; native is the scenes' own grid, alignment included.",
        group=_GRID,
    )
    resolution: float | None = request_field(
        None,
        Number(least=0, greatest=MAX_RESOLUTION, above=True),
        label="Pixel size",
        hint="In units of the projection; empty for the scenes' own",
        help="Pixel size in units of the map projection.",
        unset="pixel size of the scenes",
        group=_GRID,
    )
    resampling: Resampling = request_field(
        "average",
        Choice(
            labels={name: name for name in EXACT_RESAMPLINGS},
            unlisted=tuple(name for name in get_args(Resampling) if name not in EXACT_RESAMPLINGS),
        ),
        label="Resampling",
        hint="Of the red and near-infrared bands",
        help="Resampling of the red and near-infrared bands; with --reader odc also cubic, mode, min, max, med, q1 "
        "or q3.",
        group=_GRID,
    )
    average: Average = request_field(
        "clear",
        Choice(labels={"clear": "clear pixels", "all": "all pixels, if the centre is clear"}),
        label="Averaged pixels",
        hint="With average and bilinear resampling",
        help="Pixels that average and bilinear resampling use: clear ones, each by its own mask pixel, or all valid "
        "ones if the mask is clear at the centre of the output pixel.",
        group=_GRID,
    )
    min_area: float = request_field(
        MIN_AREA,
        Number(least=0, greatest=1),
        label="Minimum clear area",
        hint="Share of an output pixel, 0 to 1",
        help="Minimum share of an output pixel that is clear and valid, 0 to 1, with average and bilinear resampling.",
        group=_GRID,
    )
    reader: Reader = request_field(
        "exact",
        Choice(labels={"exact": "Greenup", "odc": "datacube"}),
        label="Reader",
        help="Greenup's own reader (exact), or datacube's (odc), which warps with GDAL and knows all of GDAL's "
        "resamplings.",
        setter="command line",
        group=_GRID,
    )
    clear: tuple[ClearClass, ...] | None = request_field(
        None,
        notations.ClearClasses(),
        label="Clear classes",
        hint="Of the mask; empty for the product's own",
        help="Mask classes that show the ground, names or integers.",
        unset="that of the product",
        group=_OBSERVATIONS,
    )
    mask_filters: tuple[MaskFilter, ...] = request_field(
        (),
        notations.MaskFilters(),
        option="mask-filter",
        label="Mask filters",
        hint="Such as cloud:opening=2,dilation=6",
        help="Remove specks of a mask class and widen the rest, by radii in pixels, such as "
        "cloud:opening=2,dilation=6; repeat the option for further classes.",
        unset="none",
        group=_OBSERVATIONS,
    )
    valid_range: ValidRange = request_field(
        None,
        notations.Range(none="none"),
        label="Valid range",
        hint="LEAST,GREATEST stored value, or none",
        help="Least and greatest stored value of an observation, or none for no limits.",
        unset="that of the product",
        group=_OBSERVATIONS,
    )
    index_range: IndexRange | None = request_field(
        None,
        notations.Range(none=None, of_index=True),
        label="Index range",
        hint="LEAST,GREATEST NDVI, such as -1,1, or none",
        help="Least and greatest index of an observation, or none for no limits; values outside are left out and "
        "counted.",
        group=_OBSERVATIONS,
    )
    min_clear: int = request_field(
        1,
        Number(least=1, greatest=65535, whole=True),
        label="Fewest clear looks",
        hint="Fewer give no mean",
        help="Minimum number of clear observations of a mean.",
        group=_OBSERVATIONS,
    )
    landsat7: Landsat7 = request_field(
        "all",
        Choice(
            labels={
                "all": "all scenes",
                "slc-on": "without gaps, to May 2003",
                "nominal": "nominal orbit, to April 2022",
            }
        ),
        label="Landsat 7",
        hint="Its scenes have gaps since June 2003",
        help="Landsat 7 scenes: all, those before 31 May 2003 (slc-on, without gaps), or those to 6 April 2022 "
        "(nominal orbit).",
        group=_SENSORS,
    )
    harmonise: HarmonisationMethod = request_field(
        "none",
        Choice(labels={"none": "as measured", "roy2016": "as Landsat 8 (Roy et al. 2016)"}),
        label="Landsat 5 and 7",
        hint="Their reflectance beside Landsat 8 and 9",
        help="Bring the reflectance of Landsat 5 and 7 to that of Landsat 8 and 9 (roy2016: Roy et al. 2016, "
        "https://doi.org/10.1016/j.rse.2015.12.024).",
        group=_SENSORS,
    )
    months: bool = request_field(
        False,
        Flag(),
        label="Months with a clear look",
        help="Keep the number of different calendar months with a clear observation, as clear_months.",
        group=_LAYERS,
    )
    std: bool = request_field(
        False,
        Flag(),
        label="Standard deviation",
        help="Keep the standard deviation of the observations, as ndvi_std.",
        group=_LAYERS,
    )
    reasons: bool = request_field(
        False,
        Flag(),
        label="Why looks are not clear",
        help="Count the looks that are no observations by reason, such as cloud, as unclear_count.",
        group=_LAYERS,
    )

    def __post_init__(self) -> None:
        for each in field_table(type(self)):
            for name, value in each.attribute_values(each.validated(each.value_in(self))).items():
                object.__setattr__(self, name, value)
        check_reader(self.reader, self.resampling, filtered=bool(self.mask_filters))
