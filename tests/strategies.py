"""Hypothesis strategies and builders of requests and scenes, for the tests of the pure modules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from math import floor
from typing import Any, TypeVar, get_args

import numpy as np
import shapely
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from compute.errors import InputError
from compute.products import BandRole, MaskFilter, MaskRole, Roles, ValidRange
from compute.request import EXACT_RESAMPLINGS, NdviRequest, Reader, Resampling
from compute.request.field_kinds import Choice, Flag, Kind, Number
from compute.request.field_table import field_table
from compute.request.region import Region, parse_bbox, parse_geojson
from compute.request.seasons import Season
from compute.scenes import Band, Grid, Scene, Source

T = TypeVar("T")

# The same examples every time, whatever a busy machine or a first compilation takes.
settings.register_profile("greenup", deadline=None, derandomize=True, database=None)
settings.load_profile("greenup")

#: Anything that JSON can say.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

#: What a valid range may be beside two numbers.
RANGE_WORDS: tuple[ValidRange, ...] = (None, "none")

DAYS = st.dates(min_value=date(1980, 1, 1), max_value=date(2040, 12, 31))

WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)

#: Stored values of a band by type: usual ones, and those at which rules change.
STORED = {
    "int16": st.integers(-2000, 2000) | st.sampled_from([-999, 0, 1, 10000, 32767, -32768]),
    "uint16": st.integers(0, 3000) | st.sampled_from([0, 1, 10000, 65535]),
    "float32": st.floats(-2, 2, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, -999.0, 0.0]),
}


def accepted(make: Callable[[], T]) -> T | None:
    """What a parser makes of its input, or None where it refuses in one sentence; any other error escapes."""
    try:
        return make()
    except InputError as refusal:
        sentence = str(refusal)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400
    sentence.encode()
    return None


@st.composite
def pixel_sets(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Sets of pixels: a mess, or rectangles some of which hold a disk of a few pixels."""
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    values = np.zeros(shape, bool)
    if draw(st.booleans()):
        return np.random.default_rng(draw(st.integers(0, 99))).random(shape) < draw(st.floats(0, 1))
    for _ in range(draw(st.integers(0, 6))):
        top, left = draw(st.integers(0, 60)), draw(st.integers(0, 60))
        values[top : top + draw(st.integers(1, 30)), left : left + draw(st.integers(1, 30))] ^= True
    return values


# Seasons and dates


@st.composite
def season_sets(draw: st.DrawFn) -> tuple[Season, ...]:
    """Seasons that share no month, from the calendar cut at random months; some of the pieces are left out."""
    cuts = sorted(draw(st.sets(st.integers(0, 11), min_size=1, max_size=6)))
    runs = [
        tuple(month % 12 + 1 for month in range(first, after))
        for first, after in zip(cuts, [*cuts[1:], cuts[0] + 12], strict=True)
    ]
    kept = draw(st.lists(st.sampled_from(runs), unique=True, min_size=1))
    names = draw(st.lists(WORDS, min_size=len(kept), max_size=len(kept), unique=True))
    return tuple(Season(name=name, months=months) for name, months in zip(names, kept, strict=True))


@st.composite
def date_ranges(draw: st.DrawFn) -> tuple[date, date]:
    start = draw(DAYS)
    return start, start + timedelta(days=draw(st.integers(0, 1500)))


# Regions and requests


@st.composite
def boxes(draw: st.DrawFn) -> Region:
    west, south = draw(st.floats(-180, 179)), draw(st.floats(-85, 84))
    width, height = draw(st.floats(1e-6, 1)), draw(st.floats(1e-6, 1))
    return parse_bbox(f"{west!r},{south!r},{west + width!r},{south + height!r}")


@st.composite
def polygons(draw: st.DrawFn) -> Region:
    """Stars of 3 to 12 points around a centre, which never cross themselves, some with a hole."""
    x, y = draw(st.floats(-170, 170)), draw(st.floats(-80, 80))
    radii = draw(st.lists(st.floats(0.01, 1), min_size=3, max_size=12))
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    ring = np.column_stack([x + np.multiply(radii, np.cos(angles)), y + np.multiply(radii, np.sin(angles))])
    hole = np.array([x, y]) + (ring - [x, y]) * 0.25
    shape = shapely.Polygon(ring, [hole] if draw(st.booleans()) else None)
    return parse_geojson(shapely.to_geojson(shape))


def mask_filters() -> st.SearchStrategy[tuple[MaskFilter, ...]]:
    radii = st.tuples(st.integers(0, 50), st.integers(0, 50)).filter(any)
    classes = st.dictionaries(WORDS | st.integers(0, 255), radii, max_size=4)
    return classes.map(
        lambda each: tuple(MaskFilter(mask_class=name, opening=o, dilation=d) for name, (o, d) in each.items())
    )


@st.composite
def requests(draw: st.DrawFn) -> NdviRequest:
    start, end = draw(date_ranges())
    reader = draw(st.sampled_from(get_args(Reader)))
    bound = st.floats(-1e4, 2e4)
    ranges: st.SearchStrategy[ValidRange] = st.tuples(bound, bound).map(lambda pair: (min(pair), max(pair)))
    return NdviRequest(
        products=tuple(draw(st.lists(WORDS, min_size=1, max_size=3))),
        region=draw(boxes() | polygons()),
        start=start,
        end=end,
        by=draw(st.sampled_from(["season", "season-year"])),
        seasons=draw(season_sets()),
        crs=draw(st.sampled_from(["native", "EPSG:3577", "epsg:32655", "EPSG:4326", "EPSG:3857"])),
        resolution=draw(st.none() | st.integers(1, 1000) | st.floats(1e-5, 1e5)),
        index_range=draw(st.none() | st.tuples(bound, bound).filter(lambda pair: pair[0] < pair[1])),
        resampling=draw(st.sampled_from(EXACT_RESAMPLINGS if reader == "exact" else get_args(Resampling))),
        reader=reader,
        clear=draw(st.none() | st.lists(WORDS | st.integers(0, 255), min_size=1, max_size=4).map(tuple)),
        valid_range=draw(ranges | st.sampled_from(RANGE_WORDS)),
        mask_filters=draw(mask_filters()) if reader == "exact" else (),
        **{each.name: draw(field_values(each.kind)) for each in field_table(NdviRequest) if each.name in SIMPLE_FIELDS},
    )


def field_values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of a field that is a choice, a flag or a number."""
    match kind:
        case Choice():
            return st.sampled_from([*kind.labels, *kind.unlisted])
        case Flag():
            return st.booleans()
        case Number(whole=True):
            return st.integers(int(kind.least), int(kind.greatest))
        case Number():
            return st.floats(kind.least, kind.greatest, exclude_min=kind.above)
    raise NotImplementedError(f"a strategy for {kind}")


#: Fields that `requests` draws from the table of fields alone: those that depend on others are written there.
SIMPLE_FIELDS = frozenset(
    each.name for each in field_table(NdviRequest) if isinstance(each.kind, Choice | Flag | Number)
) - {"by", "resolution", "resampling", "reader"}


def request_of(bbox: str = "146.8,-42.2,147.2,-41.8", **fields: Any) -> NdviRequest:
    """A request for the year from December 2019 over a part of Tasmania, but for what a test says otherwise."""
    usual: dict[str, Any] = {
        "products": ("landsat",),
        "region": parse_bbox(bbox),
        "start": date(2019, 12, 1),
        "end": date(2020, 11, 30),
    }
    return NdviRequest(**(usual | fields))


# Scenes


def roles_of(product: str = "landsat") -> Roles:
    band: dict[str, Any] = {
        "dtype": "int16",
        "scale": 1e-4,
        "offset": 0.0,
        "nodata": -999.0,
        "valid_min": 1.0,
        "valid_max": 10000.0,
    }
    return Roles(
        product=product,
        red=BandRole(measurement="red", **band),
        nir=BandRole(measurement="nir", **band),
        mask=MaskRole(measurement="mask", dtype="uint8", nodata=0.0, clauses=(((255, 1),),)),
    )


def scene_of(
    name: str,
    time: str = "2020-01-05T00:00:00",
    *,
    lon: float = 147.0,
    lat: float = -42.0,
    crs: str = "EPSG:32655",
    product: str = "landsat",
    platform: str = "landsat-8",
    pixel: float = 30.0,
    origin: float = 15.0,
    size: int = 3000,
    outline: BaseGeometry | None = None,
) -> Scene:
    """A square scene around a point, `size` pixels wide, on a grid whose borders lie `origin` off multiples."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    left = floor(x / pixel - size / 2) * pixel + origin
    top = floor(y / pixel + size / 2) * pixel + origin
    grid = Grid(crs=crs, shape=(size, size), transform=(pixel, 0.0, left, 0.0, -pixel, top))
    moment = datetime.fromisoformat(time).replace(tzinfo=UTC)
    bands = {each: Band(uri=f"file:///scenes/{name}/{each}.tif", index=1, grid=grid) for each in ("mask", "red", "nir")}
    return Scene(
        source=Source(id=name, product=product, bands=bands, home=f"/scenes/{name}"),
        platform=platform,
        time=moment,
        solar_day=(moment + timedelta(seconds=240 * lon)).date(),
        footprint=outline or shapely.box(left, top - size * pixel, left + size * pixel, top),
        crs=crs,
    )
