"""Random field cases: documents, files and tables that state the same facts in different places and forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.field_cases.masks import FMASK, QUALITY
from tests.field_cases.records import FieldCase, File, Ground, SceneFiles

Pair = tuple[float, float]

PIXEL = 30.0
LEFT, TOP = 399_960.0, 6_250_140.0
"""Multiples of 60 m and 90 m, 151.9 degrees east."""

AHEAD = timedelta(hours=10, minutes=7)
"""How far the solar day is ahead of UTC there, to the minute."""

DAYS = (date(2018, 11, 30), date(2018, 12, 1), date(2019, 1, 10), date(2019, 2, 28), date(2019, 3, 1))
ZONES = ("UTC", "Australia/Hobart", "America/Los_Angeles", "Pacific/Kiritimati")
PAIRS: Sequence[Pair] = ((1e-4, -0.1), (2e-4, -0.05), (2.75e-5, -0.2), (1e-4, -0.02))
PAIRS_OF_8_BITS: Sequence[Pair] = ((0.004, -0.02), (0.003, -0.1), (0.005, -0.05))
TYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")
FILLS = (-999, 0, 65535, -32768, -9999, 255, -3.4e38, -1.7976931348623157e308, "NaN")
NAMES = ("{}.tif", "{} of January.tif", "{}#1.tif", "{}?x=%20.tif", "{}", "ä/{}.TIF")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Scale, offset and nodata of red and nir in one place; None where they are not stated."""

    pair: Pair | None = None
    nodata: float | str | None = None

    def entry(self, names: tuple[str, str] = ("scale_factor", "add_offset")) -> dict[str, Any]:
        """Return the keys of a measurement that state them."""
        said = {} if self.pair is None else dict(zip(names, self.pair, strict=True))
        return said if self.nodata is None else said | {"nodata": self.nodata}


def fits(value: Any, dtype: str) -> bool:
    """Return whether a data type can hold a value."""
    if value is None:
        return False
    number, kind = float(value), np.dtype(dtype).kind
    if kind == "f":
        return not np.isfinite(number) or abs(number) <= float(np.finfo(dtype).max)
    return bool(np.isfinite(number) and np.iinfo(dtype).min <= number <= np.iinfo(dtype).max)


def draw_chance(draw: st.DrawFn, share: int) -> bool:
    """Draw True with a probability of 1 / `share`."""
    return draw(st.integers(0, share - 1)) == share - 1


@st.composite
def field_cases(draw: st.DrawFn) -> FieldCase:
    """Draw a case of one product and one to four scenes; an oracle computes its correct numbers."""
    dtype, sentinel = draw(st.sampled_from(TYPES)), draw_chance(draw, 4)
    pairs = PAIRS_OF_8_BITS if dtype == "uint8" else PAIRS
    defined = _draw_statement(draw, () if sentinel else pairs)
    fills = [fill for fill in FILLS if fits(fill, dtype)]  # datacube refuses another nodata in a definition
    defined = replace(defined, nodata=draw(st.sampled_from(fills)))
    told = _draw_partial_statement(draw, pairs[:1] if sentinel else pairs)
    override = not sentinel and told.pair is not None and draw_chance(draw, 6)
    band = {"dtype": dtype, **defined.entry()}
    mask = draw(masks())
    ground = Ground(left=LEFT, top=TOP, pixel=PIXEL, shape=(draw(st.integers(2, 6)), draw(st.integers(2, 6))))
    times = draw(st.sampled_from([1, 1, 1, 2, 3]))
    makers = _Scenes(
        defined=defined, told=told, override=override, pairs=pairs, dtype=dtype, sentinel=sentinel, mask=mask
    )
    return FieldCase(
        name="random_s2_l2a" if sentinel else "random",
        why="",
        products={"": {"red": band, "nir": band, **mask.measurements}},
        profile=_draw_profile(draw, told, override, mask),
        scenes=tuple(draw(makers.scenes(ground))),
        ground=replace(ground, pixel=PIXEL * times, shape=tuple(-(-n // times) for n in ground.shape)),  # type: ignore[arg-type]
        request=_draw_request(draw, times),
        environment={"TZ": draw(st.sampled_from(ZONES))},
    )


def _draw_statement(draw: st.DrawFn, pairs: Sequence[Pair]) -> Statement:
    pair = draw(st.sampled_from(pairs)) if pairs and draw_chance(draw, 2) else None
    return Statement(pair=pair, nodata=draw(st.sampled_from(FILLS)))


def _draw_partial_statement(draw: st.DrawFn, pairs: Sequence[Pair]) -> Statement:
    """Return a statement that may lack nodata, which a definition must have."""
    statement = _draw_statement(draw, pairs)
    return statement if draw(st.booleans()) else replace(statement, nodata=None)


def _draw_profile(draw: st.DrawFn, told: Statement, override: bool, mask: Mask) -> str:
    lines = []
    for name, valid in (("red", "[-500, 30000]"), ("nir", "[1, 28000]")):
        keys: dict[str, Any] = {"measurement": json.dumps(name)}
        if told.pair:
            keys |= {"scale": told.pair[0], "offset": told.pair[1]}
        if told.nodata is not None and told.nodata != "NaN":
            keys["nodata"] = told.nodata
        if override:
            keys["override"] = "true"
        if draw_chance(draw, 4):
            keys["valid"] = valid
        elif draw_chance(draw, 4):
            keys["valid_reflectance"] = "[0.03, 1.0]"
        lines.append(f"{name} = {{ {', '.join(f'{key} = {value}' for key, value in keys.items())} }}")
    return "\n".join([*lines, mask.profile, ""])


def _draw_request(draw: st.DrawFn, times: int) -> dict[str, str]:
    fields = {
        "time": draw(st.sampled_from(["2018-11-01/2019-03-31", "2018-12-01/2019-02-28", "2018-11-30/2019-03-01"]))
    }
    fields["by"] = draw(st.sampled_from(["season", "season-year"]))
    if times > 1:
        fields |= {"crs": "EPSG:32756", "resolution": str(PIXEL * times)}
        if draw_chance(draw, 2):
            fields["min_area"] = draw(st.sampled_from(["0.1", "0.25", "0.75", "1"]))
    if draw_chance(draw, 6):
        fields["index_range"] = "-1,1"
    if draw_chance(draw, 8):
        fields["valid_range"] = draw(st.sampled_from(["none", "0,20000"]))
    return fields


# Masks


@dataclass(frozen=True, kw_only=True)
class Mask:
    """Clear rule of a case: measurements of the definition, lines of ``products.toml``, and codes by measurement."""

    measurements: Mapping[str, Mapping[str, Any]]
    profile: str
    codes: Mapping[str, Sequence[float]]
    types: Mapping[str, Sequence[str]]


CONDITIONS = (
    ('"cloud.not_sure"', '"cloud_shadow.not_sure"', '"not_dilated"'),
    ('"cloud_confidence.none"', '"cloud_confidence.low"', '"cloud_confidence.medium"'),
    ("{ bits = 3, value = 0 }", "{ bits = [8, 9], value = [0, 1] }", "{ bits = [4, 1], value = [0, 2] }"),
    (
        '{ any = ["water", "cloud.not_sure"] }',
        '{ any = [{ bits = 7, value = 1 }, { all = ["cloud.not_sure", "not_dilated"] }] }',
    ),
)
CODES = (0, 1, 2, 8, 16, 24, 128, 136, 256, 512, 768, 258, 1 << 14, 3 << 14, 65535, 70000, 257)
CLEARS = (
    '["valid"]',
    '["valid", "water"]',
    "[1, 5]",
    '["water", 4]',
    "[{ bits = 0, value = 1 }, { bits = 1, value = 0 }]",
)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    kind = draw(st.sampled_from(["classes", "flags", "probability", "several", "none"]))
    if kind == "none":
        return Mask(measurements={}, profile='mask = "none"', codes={}, types={})
    return {"classes": _classes, "flags": _flags, "probability": _probability, "several": _several}[kind](draw)


def _classes(draw: st.DrawFn) -> Mask:
    nodata = draw(st.sampled_from([0, 255]))
    clear = draw(st.sampled_from(CLEARS))
    entry = {"dtype": "uint8", "flags_definition": FMASK} | {"nodata": nodata}
    return Mask(
        measurements={"qa": entry},
        profile=f'mask = "qa"\nclear = {clear}',
        codes={"qa": (0, 1, 1, 1, 2, 3, 4, 5, 255, 257)},
        types={"qa": ("uint8", "uint8", "uint16", "int32", "int16")},
    )


def _flags(draw: st.DrawFn) -> Mask:
    pool = [each for kind in draw(st.sets(st.sampled_from(CONDITIONS), min_size=1, max_size=3)) for each in kind]
    clear = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4, unique=True))
    dtype, nodata = draw(st.sampled_from(["uint16", "int32", "uint32"])), draw(st.sampled_from([0, 1, 6]))
    meaning = ', nodata = "none"' if draw_chance(draw, 2) else ""
    entry = {"dtype": dtype, "flags_definition": QUALITY} | {"nodata": nodata}
    return Mask(
        measurements={"qa": entry},
        profile=f'mask = {{ measurement = "qa", clear = [{", ".join(clear)}]{meaning} }}',
        codes={"qa": CODES},
        types={"qa": ("uint16", "int32", "uint32")},
    )


def _probability(draw: st.DrawFn) -> Mask:
    test, floats = draw(st.sampled_from(["below", "at_most", "above", "at_least"])), draw(st.booleans())
    dtype, bound, nodata = ("float32", 0.5, -1.0) if floats else ("uint8", 40, 255)
    return Mask(
        measurements={"probability": {"dtype": dtype, "nodata": nodata}},
        profile=f'mask = {{ measurement = "probability", {test} = {bound} }}',
        codes={"probability": (0.0, 0.25, 0.5, 0.75, 1.0, np.nan, -1.0) if floats else (0, 39, 40, 41, 100, 255)},
        types={"probability": ("float32", "float64") if floats else ("uint8", "int16", "float32")},
    )


def _several(draw: st.DrawFn) -> Mask:
    one, other = _flags(draw), _probability(draw)
    tables = [each.profile.removeprefix("mask = ") for each in (one, other)]
    blue = {"dtype": "uint16", "nodata": 0, "scale_factor": 1e-4, "add_offset": -0.1}
    tables.append('{ measurement = "blue", reflectance_below = 0.31255 }')
    return Mask(
        measurements={**one.measurements, **other.measurements, "blue": blue},
        profile=f"mask = [{', '.join(tables)}]",
        codes={**one.codes, **other.codes, "blue": (1, 900, 2000, 4125, 4126, 0, 3000)},
        types={**one.types, **other.types, "blue": ("uint16", "int32")},
    )


# Scenes


@dataclass(frozen=True, kw_only=True)
class _Scenes:
    """Strategy for the scenes of a product."""

    defined: Statement
    told: Statement
    override: bool
    pairs: Sequence[Pair]
    dtype: str
    sentinel: bool
    mask: Mask

    def scenes(self, ground: Ground) -> st.SearchStrategy[list[SceneFiles]]:
        """Return a strategy of one to four scenes on or near a ground."""

        @st.composite
        def made(draw: st.DrawFn) -> list[SceneFiles]:
            found = [self.scene(draw, ground, f"scene{place}") for place in range(draw(st.integers(1, 3)))]
            last = found[-1]
            if draw_chance(draw, 3):  # a newer processing of the same acquisition
                newer = {"odc:processing_datetime": "2021-02-03T04:05:06Z"}
                found.append(self.scene(draw, ground, "again", last.ground, last.time, dict(last.properties) | newer))
            elif draw_chance(draw, 3):  # the next row of the same pass
                other = {"odc:region_code": "089099"}
                found.append(self.scene(draw, ground, "row", None, last.time, dict(last.properties) | other))
            return found

        return made()

    def scene(
        self,
        draw: st.DrawFn,
        ground: Ground,
        name: str,
        own: Ground | None = None,
        time: str = "",
        properties: Mapping[str, Any] | None = None,
    ) -> SceneFiles:
        own = own or _draw_nearby_ground(draw, ground)
        properties = properties or self.properties(draw, name)
        pixels = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        bands = {
            each: self.band(draw, each, limits, own.shape, properties, pixels)
            for each, limits in (("red", (0.02, 0.12)), ("nir", (0.2, 0.5)))
        }
        bands |= {each: self.code_band(draw, each, own.shape, pixels) for each in self.mask.codes}
        return SceneFiles(
            name=name,
            time=time or _draw_time(draw),
            bands=bands,
            ground=own,
            geometry=draw(st.sampled_from(["grid", "grid", None])),
            properties=properties,
        )

    def properties(self, draw: st.DrawFn, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "odc:region_code": name,
            "eo:platform": draw(st.sampled_from(["landsat-8", "landsat-9"])),
        }
        if not self.sentinel:
            return found
        found["eo:platform"] = draw(st.sampled_from(["sentinel-2a", "sentinel-2b"]))
        found["sentinel:processing_baseline"] = draw(st.sampled_from(["02.14", "03.01", "04.00", "05.09"]))
        if draw_chance(draw, 2):
            found[draw(st.sampled_from(["sentinel:boa_offset_applied", "earthsearch:boa_offset_applied"]))] = draw(
                st.booleans()
            )
        return found

    def band(
        self,
        draw: st.DrawFn,
        name: str,
        limits: tuple[float, float],
        shape: tuple[int, int],
        properties: Mapping[str, Any],
        pixels: np.random.Generator,
    ) -> File:
        dtype = self.dtype if draw_chance(draw, 2) else draw(st.sampled_from(TYPES))
        tag = _draw_partial_statement(draw, self.pairs) if draw_chance(draw, 3) else Statement()
        tag = tag if fits(tag.nodata, dtype) else replace(tag, nodata=None)
        stated = _draw_partial_statement(draw, self.pairs) if draw_chance(draw, 4) else Statement()
        scale, offset = self.pair(tag, stated, properties)
        values = (pixels.uniform(*limits, shape) - offset) / scale
        values = _in_type(values, dtype)
        specials = [
            each
            for each in (self.defined.nodata, self.told.nodata, stated.nodata, tag.nodata, 0, "NaN")
            if fits(each, dtype)
        ]
        if specials:
            chosen = pixels.choice(np.array(specials, float), shape)
            values = np.where(pixels.random(shape) < 0.2, chosen.astype(values.dtype), values)
        return File(
            values=values,
            dtype=dtype,
            nodata=None if tag.nodata is None else float(tag.nodata),
            scale=tag.pair[0] if tag.pair else None,
            offset=tag.pair[1] if tag.pair else None,
            path=draw(st.sampled_from(NAMES)).format(name),
            entry=stated.entry(draw(st.sampled_from([("scale_factor", "add_offset"), ("scale", "offset")]))),
        )

    def pair(self, tag: Statement, stated: Statement, properties: Mapping[str, Any]) -> Pair:
        """Return the approximate scale and offset, so that drawn values resemble reflectance."""
        told = [self.told] if self.override else []
        near = next((s.pair for s in (*told, tag, stated, self.defined, self.told) if s.pair), (1e-4, 0.0))
        if self.dtype == "uint8" and near == (1e-4, 0.0):
            near = (0.002, 0.0)
        if self.sentinel and not (tag.pair or stated.pair):
            return near[0], -1000 * near[0] if properties["sentinel:processing_baseline"] >= "04" else 0.0
        return near

    def code_band(self, draw: st.DrawFn, name: str, shape: tuple[int, int], pixels: np.random.Generator) -> File:
        dtype = draw(st.sampled_from(self.mask.types[name]))
        codes = [code for code in self.mask.codes[name] if fits(code, dtype)]
        tag = draw(st.sampled_from(codes)) if draw_chance(draw, 5) and name == "qa" else None
        return File(values=pixels.choice(np.array(codes), shape), dtype=dtype, nodata=tag)


def _in_type(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(values), limits.min, limits.max).astype(dtype)


def _draw_nearby_ground(draw: st.DrawFn, ground: Ground) -> Ground:
    """Draw the ground, or a smaller, larger or shifted one on the same pixel lattice."""
    if draw_chance(draw, 2):
        return ground
    down, right = draw(st.integers(-2, 2)), draw(st.integers(-2, 2))
    shape = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    return replace(ground, left=ground.left + PIXEL * right, top=ground.top - PIXEL * down, shape=shape)


def _draw_time(draw: st.DrawFn) -> str:
    """Draw a time in one of the notations of ISO 8601, not near solar midnight."""
    day = draw(st.sampled_from(DAYS))
    minutes = draw(st.integers(60, 23 * 60))
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes) - AHEAD
    form = draw(st.sampled_from(["Z", "naive", "blank", "offset", "fraction"]))
    if form == "offset":
        hours = draw(st.sampled_from([-8, 10, 14]))
        return moment.astimezone(timezone(timedelta(hours=hours))).isoformat()
    plain = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return {"Z": plain + "Z", "naive": plain, "blank": plain.replace("T", " "), "fraction": plain + ".024Z"}[form]
