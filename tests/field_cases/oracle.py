"""Seasonal NDVI in plain NumPy, from the specifications of the formats, without code of Greenup.

Documents are EO3 (https://datacube-core.readthedocs.io, "EO3 Dataset Metadata"). Flags follow `datacube.utils.masking`.
Files follow GDAL's raster data model (nodata, scale and offset of a band). Times are ISO 8601, in UTC without a zone.
Scenes are processed one after another in float64. Grids share the CRS and the pixel lattice of the ground.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from pyproj import Transformer

from tests.field_cases.records import Ground, Numbers

Values = NDArray[Any]
Flags = NDArray[np.bool_]

MATURITIES = ("", "nrt", "interim", "final")
SEASONS = ("DJF", "DJF", "MAM", "MAM", "MAM", "JJA", "JJA", "JJA", "SON", "SON", "SON", "DJF")
SAME_LOOK = timedelta(minutes=1)
CLASS_BITS = 8
"""A flag of so many bits is a band of classes: its values are whole codes, in a file of more bits as well."""


@dataclass(frozen=True, kw_only=True)
class OracleScene:
    """Dataset document with its folder, its product definition and its profile."""

    document: Mapping[str, Any]
    folder: Path
    definition: Mapping[str, Any]
    profile: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        return self.document["properties"]

    @property
    def time(self) -> datetime:
        """Middle of the acquisition in UTC."""
        first = self.properties.get("dtr:start_datetime") or self.properties["datetime"]
        last = self.properties.get("dtr:end_datetime") or self.properties["datetime"]
        return _parse_utc(first) + (_parse_utc(last) - _parse_utc(first)) / 2

    @property
    def day(self) -> date:
        """Date in mean local solar time at the middle of the grid: four minutes per degree."""
        longitude = self.middle[0]
        return (self.time + timedelta(seconds=int(longitude * 240))).date()

    @property
    def middle(self) -> tuple[float, float]:
        grid = self.document["grids"]["default"]
        a, b, c, d, e, f = grid["transform"][:6]
        row, column = grid["shape"][0] / 2, grid["shape"][1] / 2
        to_degrees = Transformer.from_crs(self.document["crs"], "EPSG:4326", always_xy=True)
        return to_degrees.transform(a * column + b * row + c, d * column + e * row + f)

    @property
    def product(self) -> str:
        return str(self.definition["name"])

    @property
    def rank(self) -> tuple[int, datetime]:
        """Preference of a processing, as a sort key."""
        maturity = str(self.properties.get("dea:dataset_maturity", "")).strip().lower()
        return MATURITIES.index(maturity), _parse_utc(self.properties.get("odc:processing_datetime", "1970-01-01"))

    @property
    def outline(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) of the geometry, or else of the grid."""
        geometry = self.document.get("geometry")
        if geometry:
            points = np.array(geometry["coordinates"][0])
            return (*points.min(0), *points.max(0))
        grid = self.document["grids"]["default"]
        (rows, columns), (a, _, left, _, e, top) = grid["shape"], grid["transform"][:6]
        return left, top + e * rows, left + a * columns, top


def read_scenes(definitions: Iterable[Path], profiles: Path, documents: Iterable[Path]) -> list[OracleScene]:
    """Read documents with the definitions and profiles of their products."""
    products = {}
    for path in definitions:
        definition = yaml.safe_load(path.read_text())
        products[definition["name"]] = definition
    tables: dict[str, Any] = {}
    for names, table in tomllib.loads(profiles.read_text())["products"].items():
        tables |= {name.strip(): table for name in names.split(",")}
    scenes = []
    for path in documents:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        name = document["product"]["name"]
        scenes.append(
            OracleScene(document=document, folder=path.parent, definition=products[name], profile=tables[name])
        )
    return scenes


def seasonal_ndvi(scenes: Iterable[OracleScene], request: Mapping[str, str], ground: Ground) -> Numbers:
    """Return clear counts and means on a ground, by label."""
    first, last = (date.fromisoformat(day) for day in request["time"].split("/"))
    looks: dict[tuple[str, str, date], list[OracleScene]] = defaultdict(list)
    for scene in sorted(_select_newest(list(scenes)), key=lambda each: (each.time, str(each.document["id"]))):
        if first <= scene.day <= last:
            looks[scene.product, str(scene.properties.get("eo:platform", "")), scene.day].append(scene)
    totals: dict[str, Values] = defaultdict(lambda: np.zeros((2, *ground.shape)))
    for (_, _, day), members in looks.items():
        seen = np.full(ground.shape, np.nan)
        for scene in members:
            seen = np.where(np.isnan(seen), observe(scene, request, ground), seen)
        totals[format_label(day, request["by"])] += np.stack([np.isfinite(seen), np.nan_to_num(seen)])
    return {label: (count.astype(int), divide_or_nan(total, count)) for label, (count, total) in totals.items()}


def observe(scene: OracleScene, request: Mapping[str, str], ground: Ground) -> Values:
    """Return the index that one scene observes, (y, x), NaN where it observes nothing."""
    times = round(ground.pixel / _own_grid(scene)["transform"][0])
    rows, columns = ground.shape
    fine = replace(ground, pixel=ground.pixel / times, shape=(rows * times, columns * times))
    return compute_index(scene, lambda entry: OracleBand.read(scene, entry, fine), request, times)


def compute_index(scene: OracleScene, read: Read, request: Mapping[str, str], times: int = 1) -> Values:
    """Return the index of bands from a reader, each pixel averaged over `times` x `times` of theirs."""
    red, nir = (_reflectance(read(scene.profile[name]), request) for name in ("red", "nir"))
    valid, clear = np.isfinite(red) & np.isfinite(nir), _is_clear(scene, read, red.shape)
    centre: Any = True
    if request.get("average", "clear") == "all":
        centre = clear[times // 2 :: times, times // 2 :: times]
    else:
        valid &= clear
    share = _blocks(valid.astype(float), times, np.mean)
    index = _normalised_difference(*(_blocks(np.where(valid, each, np.nan), times, _mean) for each in (red, nir)))
    index[~(centre & (share >= float(request.get("min_area", 0.5)) - 1e-12) & (share > 0))] = np.nan
    limits = request.get("index_range", "none")
    if limits != "none":
        low, high = map(float, limits.split(","))
        index[~((index >= low) & (index <= high))] = np.nan
    return index


# Files and their values


@dataclass(frozen=True, kw_only=True)
class OracleBand:
    """Stored values on a ground, with their metadata.

    Attributes
    ----------
    stored : numpy.ndarray
        (y, x) in the data type of the file.
    held : numpy.ndarray
        (y, x) bool: inside the file, and not nodata.
    scale, offset : float
        Reflectance is ``stored * scale + offset``.
    entry : mapping
        Entry of the band in ``products.toml``.
    """

    stored: Values
    held: Flags
    scale: float
    offset: float
    entry: Mapping[str, Any]

    @classmethod
    def read(cls, scene: OracleScene, entry: Mapping[str, Any] | str, ground: Ground) -> OracleBand:
        """Read a band at the pixel centres of a ground."""
        entry = {"measurement": entry} if isinstance(entry, str) else entry
        name = find_canonical_name(scene.definition, entry["measurement"])
        stated = scene.document["measurements"][name]
        defined = next(each for each in scene.definition["measurements"] if each["name"] == name)
        with rasterio.open(_address(scene.folder, stated["path"])) as file:
            number = int(stated.get("band", stated.get("layer", 1)))
            values = file.read(number)
            tags = {
                "nodata": file.nodatavals[number - 1],
                "scale": None if file.scales[number - 1] == 1 else file.scales[number - 1],
                "offset": None if file.offsets[number - 1] == 0 else file.offsets[number - 1],
            }
        stored, inside = _at_centres(values, _grid_of(scene, stated), ground)
        own = [entry] if entry.get("override") else []
        sources = [*own, tags, _rename_tags(stated), _rename_tags(defined), entry]
        scale = _first(sources, "scale", 1.0)
        processing = _find_processing_offset(scene, scale)
        # Earth Search states -0.1 for every item, whether or not the offset has been applied; only the flag shows it:
        # https://github.com/Element84/earth-search/issues/66
        document = [processing, _rename_tags(stated)] if _is_applied(scene) else [_rename_tags(stated), processing]
        offset = _first([*own, tags, *document, _rename_tags(defined), entry], "offset", 0.0)
        if isinstance(offset, Mapping):
            offset = _apply_baseline_rule(offset, scene)
        nodata = entry["nodata"] if entry.get("nodata") == "none" else _first(sources, "nodata", None)
        return cls(
            stored=stored,
            held=inside & ~is_nodata(stored, nodata),
            scale=float(scale),
            offset=float(offset),
            entry=entry,
        )


def _address(folder: Path, path: str) -> str:
    if path.startswith("file://"):
        return unquote(urlsplit(path).path)
    return os.path.normpath(folder / path)


def _own_grid(scene: OracleScene) -> Mapping[str, Any]:
    entry = scene.profile["red"]
    name = entry if isinstance(entry, str) else entry["measurement"]
    return _grid_of(scene, scene.document["measurements"][find_canonical_name(scene.definition, name)])


def _grid_of(scene: OracleScene, stated: Mapping[str, Any]) -> Mapping[str, Any]:
    grid: Mapping[str, Any] = scene.document["grids"][stated.get("grid", "default")]
    return grid


def find_canonical_name(definition: Mapping[str, Any], name: str) -> str:
    for each in definition["measurements"]:
        if name in (each["name"], *each.get("aliases", ())):
            return str(each["name"])
    raise KeyError(name)


def _rename_tags(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a measurement under the names of a file's tags."""
    names = {"nodata": ("nodata",), "scale": ("scale", "scale_factor"), "offset": ("offset", "add_offset")}
    return {short: entry[long] for short, longs in names.items() for long in longs if entry.get(long) is not None}


def _first(sources: Sequence[Mapping[str, Any]], name: str, default: Any) -> Any:
    return next((each[name] for each in sources if each.get(name) is not None), default)


def _find_processing_offset(scene: OracleScene, scale: float) -> dict[str, float]:
    """Return the offset that a Sentinel-2 document implies: 1000 stored units from baseline 04.00 on, unless applied.

    ``boa_offset_applied`` came with baseline 04.00: https://github.com/cirrus-geo/cirrus-earth-search/issues/21.
    Earlier reflectance is stored without an offset (Sentinel-2 Products Specification Document), so ``false`` means 0
    there.
    """
    if "sentinel-2" not in str(scene.properties.get("eo:platform", "")):
        return {}
    applied = [value for key, value in scene.properties.items() if key.endswith("boa_offset_applied")]
    if applied and applied[0]:
        return {"offset": 0.0}
    states_baseline = any(key.endswith("processing_baseline") for key in scene.properties)
    if applied or (states_baseline and "l2a" in scene.product):
        return {"offset": -1000 * scale if _baseline(scene) >= 4 else 0.0}
    return {}


def _is_applied(scene: OracleScene) -> bool:
    return any(value is True for key, value in scene.properties.items() if key.endswith("boa_offset_applied"))


def _baseline(scene: OracleScene) -> float:
    stated = [value for key, value in scene.properties.items() if key.endswith("processing_baseline")]
    return float(stated[0]) if stated else 0.0


def _apply_baseline_rule(rule: Mapping[str, Any], scene: OracleScene) -> float:
    applied = any(value is True for key, value in scene.properties.items() if key.endswith(str(rule.get("unless"))))
    return float(rule["offset"]) if _baseline(scene) >= float(rule["from"]) and not applied else 0.0


def is_nodata(stored: Values, nodata: Any) -> Flags:
    """Compare in the data type of the file; a value that the type cannot hold occurs nowhere."""
    missing = np.isnan(stored) if stored.dtype.kind == "f" else np.zeros(stored.shape, bool)
    if nodata is None or nodata == "none" or np.isnan(float(nodata)):
        return missing
    if stored.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return missing | (stored == np.array(float(nodata)).astype(stored.dtype))
    return missing | (stored.astype(np.float64) == float(nodata))


def _at_centres(values: Values, grid: Mapping[str, Any], ground: Ground) -> tuple[Values, Flags]:
    a, _, left, _, e, top = grid["transform"][:6]
    x, y = ground.centres
    rows, columns = (np.floor(np.round(part, 6)).astype(int) for part in ((y - top) / e, (x - left) / a))
    inside = (rows >= 0) & (rows < values.shape[0]) & (columns >= 0) & (columns < values.shape[1])
    return values[np.where(inside, rows, 0), np.where(inside, columns, 0)], inside


def _reflectance(band: OracleBand, request: Mapping[str, str]) -> Values:
    """Return reflectance, NaN where the band has no valid value."""
    stored = band.stored.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        reflectance = stored * band.scale + band.offset
    held = band.held & np.isfinite(stored)
    asked = request.get("valid_range")
    limits = band.entry.get("valid") if asked is None else None if asked == "none" else asked.split(",")
    if limits:
        held &= (stored >= float(limits[0])) & (stored <= float(limits[1]))
    if "valid_reflectance" in band.entry and asked is None:
        low, high = band.entry["valid_reflectance"]
        held &= (reflectance >= low) & (reflectance <= high)
    return np.where(held, reflectance, np.nan)


Read = Callable[[Mapping[str, Any] | str], OracleBand]
"""What gives the band of an entry of ``products.toml``."""

# Masks


def _is_clear(scene: OracleScene, read: Read, shape: tuple[int, ...]) -> Flags:
    masks = scene.profile["mask"]
    if masks == "none":
        return np.ones(shape, bool)
    if isinstance(masks, str):
        masks = {"measurement": masks, "clear": scene.profile["clear"]}
    if isinstance(masks, Mapping):
        masks = [{"clear": scene.profile.get("clear"), **masks}]
    clear = np.ones(shape, bool)
    for entry in masks:
        clear &= _meets_table(scene, entry, read)
    return clear


THRESHOLDS: Mapping[str, Callable[[Values, float], Flags]] = {
    "below": np.less,
    "at_most": np.less_equal,
    "above": np.greater,
    "at_least": np.greater_equal,
}


def _meets_table(scene: OracleScene, entry: Mapping[str, Any], read: Read) -> Flags:
    red_or_nir = [scene.profile[name] for name in ("red", "nir")]
    named = next((e for e in red_or_nir if isinstance(e, Mapping) and e["measurement"] == entry["measurement"]), {})
    band = read({**named, **entry})
    stored = band.stored.astype(np.float64)
    met = band.held.copy()
    for key, compare in THRESHOLDS.items():
        if key in entry:
            met &= compare(stored, entry[key])
        if f"reflectance_{key}" in entry:
            met &= compare(stored * band.scale + band.offset, entry[f"reflectance_{key}"])
    if entry.get("clear") is not None:
        name = find_canonical_name(scene.definition, entry["measurement"])
        defined = next(each for each in scene.definition["measurements"] if each["name"] == name)
        met &= Rule(codes=_unsigned(band.stored), flags=defined.get("flags_definition") or {}).meets_all(entry["clear"])
    return met


def _unsigned(stored: Values) -> Values:
    """Return integer codes reinterpreted as unsigned."""
    if stored.dtype.kind == "f":
        return stored.astype(np.int64)
    return stored.view(f"u{stored.dtype.itemsize}").astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Evaluation of clear rules on the codes of a mask.

    Attributes
    ----------
    codes : numpy.ndarray
        (y, x) unsigned codes.
    flags : mapping
        ``flags_definition`` of the mask.
    """

    codes: Values
    flags: Mapping[str, Any]

    def meets_all(self, conditions: Sequence[Any]) -> Flags:
        """Combine values of one flag by or, and different flags and bit conditions by and."""
        met = np.ones(self.codes.shape, bool)
        of_flag: dict[str, Flags] = {}
        for condition in conditions:
            if isinstance(condition, Mapping):
                met &= self.meets_condition(condition)
            else:
                flag = self.find_flag(condition)
                of_flag[flag] = of_flag.get(flag, np.zeros(self.codes.shape, bool)) | self.meets_condition(condition)
        for each in of_flag.values():
            met &= each
        return met

    def meets_condition(self, condition: Any) -> Flags:
        """Return where one condition is met."""
        if isinstance(condition, Mapping):
            if "any" in condition:
                return np.logical_or.reduce([self.meets_condition(each) for each in condition["any"]])
            if "all" in condition:
                return self.meets_all(condition["all"])
            bits, value = _listed(condition["bits"]), _listed(condition["value"])
            number = sum(((self.codes >> bit) & 1) << place for place, bit in enumerate(bits))
            return np.isin(number, value)
        if isinstance(condition, int):
            return self.codes == condition % 2**32 if condition >= 0 else self.codes == self._wrapped(condition)
        _, bits, number = self.names()[condition]
        if len(bits) >= CLASS_BITS:
            return self.codes == number
        lowest, mask = min(bits), sum(1 << bit for bit in bits)
        return (self.codes & mask) == (number << lowest)

    def _wrapped(self, code: int) -> int:
        size = 8 if self.codes.max(initial=0) < 256 else 16
        return code % 2**size

    def find_flag(self, condition: str | int) -> str:
        """Return the flag of a name or code; a whole code belongs to the flag with all bits, if there is one."""
        if isinstance(condition, str):
            return str(self.names()[condition][0])
        return next((flag for flag, each in self.flags.items() if len(_listed(each["bits"])) >= CLASS_BITS), "")

    def names(self) -> dict[str, tuple[str, list[int], int]]:
        """Return flag, bits and number by name; ``flag.name`` if several flags share a name."""
        found = []
        for flag, entry in self.flags.items():
            for number, meaning in entry["values"].items():
                if meaning is not False:
                    name = flag if meaning is True else str(meaning)
                    found.append((flag, name, _listed(entry["bits"]), int(number)))
        times = Counter(name for _, name, _, _ in found)
        own = {name: (flag, bits, n) for flag, name, bits, n in found if times[name] == 1}
        return own | {f"{flag}.{name}": (flag, bits, n) for flag, name, bits, n in found}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


# Scenes and times


def _select_newest(scenes: Sequence[OracleScene]) -> list[OracleScene]:
    """Drop scenes that another processing of the same acquisition on the same ground replaces."""
    return [scene for scene in scenes if not any(_replaces(other, scene) for other in scenes)]


def _replaces(newer: OracleScene, older: OracleScene) -> bool:
    keys = ("eo:platform", "odc:region_code")
    same = all(newer.properties.get(key) == older.properties.get(key) for key in keys)
    together = abs(newer.time - older.time) <= SAME_LOOK
    return same and together and _share_ground(newer, older) and newer.rank > older.rank


def _share_ground(one: OracleScene, other: OracleScene) -> bool:
    (l1, b1, r1, t1), (l2, b2, r2, t2) = one.outline, other.outline
    shared = max(0.0, min(r1, r2) - max(l1, l2)) * max(0.0, min(t1, t2) - max(b1, b2))
    return bool(shared >= min((r1 - l1) * (t1 - b1), (r2 - l2) * (t2 - b2)) / 2)


def _parse_utc(value: str | date) -> datetime:
    """Parse ISO 8601; a time without a zone is UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def format_label(day: date, by: str) -> str:
    season = SEASONS[day.month - 1]
    return season if by == "season" else f"{day.year + (day.month == 12)}-{season}"


# Arithmetic


def _normalised_difference(red: Values, nir: Values) -> Values:
    total = red + nir
    return np.divide(nir - red, total, out=np.full(red.shape, np.nan), where=np.isfinite(total) & (total != 0))


def _blocks(values: Values, times: int, reduce: Callable[..., Values]) -> Values:
    rows, columns = values.shape
    return reduce(values.reshape(rows // times, times, columns // times, times), axis=(1, 3))


def _mean(values: Values, axis: tuple[int, ...]) -> Values:
    held = np.isfinite(values)
    return divide_or_nan(np.where(held, values, 0).sum(axis), held.sum(axis))


def divide_or_nan(total: Values, count: Values) -> Values:
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
