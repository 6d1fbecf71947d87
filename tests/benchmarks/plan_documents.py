"""EO3 documents of two decades of four satellites over Tasmania, in the format of Digital Earth Australia."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import shapely
import yaml
from numpy.random import Generator
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from compute.catalog.solar_time import solar_day
from compute.demo import product_document
from compute.demo.demo_spec import DemoSpec
from compute.demo.eo3_documents import measurement_paths
from compute.demo.overpasses import Footprint, find_footprints, list_acquisitions, sun_position

FIRST, LAST = date(2001, 1, 1), date(2020, 12, 31)

REGION = DemoSpec().region
"""West, south, east and north of Tasmania in degrees."""

_NAMESPACE = UUID("b6a1e2c4-8c1f-5d0e-9f43-0c1de2f7a911")
_LONGITUDE = 147.0
"""Approximate longitude of all scenes in degrees, by which their solar days are computed."""

_HALF_SCENE = timedelta(seconds=14.9)
_DRIFT_PX = 20
"""Drift of the orbit in pixels, by which most scenes of a footprint differ in their grids."""

_OUTLINE_POINTS = 20
_QUALITY = (
    "abs_iterative_mean_x", "abs_iterative_mean_xy", "abs_iterative_mean_y", "abs_x", "abs_xy", "abs_y", "cep90",
    "iterative_mean_x", "iterative_mean_xy", "iterative_mean_y", "iterative_stddev_x", "iterative_stddev_xy",
    "iterative_stddev_y", "mean_x", "mean_xy", "mean_y", "stddev_x", "stddev_xy", "stddev_y",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Satellite:
    """One of the four satellites.

    Attributes
    ----------
    product : str
        Name of its ODC product.
    platform, instrument : str
        Values in its documents.
    lag : datetime.timedelta
        Time by which it passes a place after Landsat 8.
    """

    product: str
    platform: str
    instrument: str
    lag: timedelta


SATELLITES = (
    Satellite(product="ga_ls5t_ard_3", platform="landsat-5", instrument="TM", lag=timedelta(minutes=-14)),
    Satellite(product="ga_ls7e_ard_3", platform="landsat-7", instrument="ETM", lag=timedelta(days=8, minutes=1)),
    Satellite(product="ga_ls8c_ard_3", platform="landsat-8", instrument="OLI_TIRS", lag=timedelta(0)),
    Satellite(product="ga_ls9c_ard_3", platform="landsat-9", instrument="OLI_TIRS", lag=timedelta(days=8, minutes=4)),
)
"""Pairs of satellites share their days and are eight days apart, as in reality.

All four cover both decades, while their real lifetimes would give half as many scenes, and none of Landsat 9."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """Satellite, footprint and time of one scene."""

    satellite: Satellite
    footprint: Footprint
    time: datetime


def write_documents(root: Path, count: int, seed: int) -> tuple[list[Path], list[Path]]:
    """Write product and scene documents to a folder.

    Parameters
    ----------
    root : pathlib.Path
        Empty folder.
    count : int
        Number of scenes, spread evenly over all possible ones.
    seed : int
        Seed of the drift of the orbits.

    Returns
    -------
    products, scenes : list of pathlib.Path
        Paths of the documents. Those of scenes are JSON, which parses faster than YAML.
    """
    rng = np.random.default_rng(seed)
    looks = sorted(_looks(), key=lambda look: (look.time, look.satellite.product, look.footprint.row))
    kept = np.unique(np.linspace(0, len(looks) - 1, min(count, len(looks))).round().astype(int)).tolist()
    scenes = [_write(root / f"{number:06d}.json", _document(looks[number], rng)) for number in kept]
    return [_write(root / f"{each.product}.product.json", _product(each)) for each in SATELLITES], scenes


def _write(path: Path, document: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _product(satellite: Satellite) -> dict[str, Any]:
    """Return the definition of Landsat 8 under the name of another satellite, whose relevant fields are the same."""
    document: dict[str, Any] = yaml.safe_load(product_document().read_text(encoding="utf-8"))
    document["name"] = document["metadata"]["product"]["name"] = satellite.product
    document["metadata"]["properties"] |= {"eo:platform": satellite.platform, "eo:instrument": satellite.instrument}
    return document


def _looks() -> Iterator[_Look]:
    spec = DemoSpec(pixel_m=30, start=FIRST - timedelta(days=16), end=LAST + timedelta(days=16))
    for footprint in find_footprints(spec):
        for acquisition in list_acquisitions(footprint, spec):
            for satellite in SATELLITES:
                time = acquisition.time + satellite.lag
                if FIRST <= solar_day(time, _LONGITUDE) <= LAST:
                    yield _Look(satellite=satellite, footprint=footprint, time=time)


def _document(look: _Look, rng: Generator) -> dict[str, Any]:
    footprint, product = look.footprint, look.satellite.product
    label = f"{product.removesuffix('_3')}_3-2-1_{footprint.region_code}_{look.time:%Y-%m-%d}_final"
    outline, shape, corner, epsg = _placed(footprint, rng)
    folder = f"{product}/{footprint.path:03d}/{footprint.row:03d}/{look.time:%Y/%m/%d}"
    return {
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": str(uuid5(_NAMESPACE, f"{label}/{look.time.isoformat()}")),
        "label": label,
        "product": {"name": product},
        "location": f"s3://dea-public-data/baseline/{folder}/{label}.odc-metadata.yaml",
        "crs": f"epsg:{epsg}",
        "geometry": {"type": "Polygon", "coordinates": [outline.tolist()]},
        "grids": _grids(shape, corner),
        "properties": _properties(look, label, rng),
        "measurements": _measurements(label),
        "lineage": {},
    }


def _measurements(label: str) -> dict[str, dict[str, str]]:
    entries = {name: {"path": path} for name, path in measurement_paths(label).items()}
    entries["nbart_panchromatic"]["grid"] = "g15m"
    return entries


def _grids(shape: tuple[int, int], corner: tuple[float, float]) -> dict[str, Any]:
    (rows, columns), (left, top) = shape, corner
    fine = {
        "shape": [2 * rows - 1, 2 * columns - 1],
        "transform": [15.0, 0.0, left + 7.5, 0.0, -15.0, top - 7.5, 0.0, 0.0, 1.0],
    }
    whole = {"shape": [rows, columns], "transform": [30.0, 0.0, left, 0.0, -30.0, top, 0.0, 0.0, 1.0]}
    return {"default": whole, "g15m": fine}


def _placed(
    footprint: Footprint, rng: Generator
) -> tuple[NDArray[np.float64], tuple[int, int], tuple[float, float], int]:
    """Return outline, shape, upper left corner and EPSG code of one drifted scene of a footprint."""
    outline, epsg = _whole(footprint.path, footprint.row)
    shift = 30.0 * rng.integers(-_DRIFT_PX, _DRIFT_PX + 1, 2)
    points = shapely.get_coordinates(outline) + shift
    left, top = np.floor(points.min(0)[0] / 30) * 30 - 15, np.ceil(points.max(0)[1] / 30) * 30 + 15
    rows, columns = (int(extent / 30) + 2 for extent in (top - points.min(0)[1], points.max(0)[0] - left))
    return points, (rows, columns), (float(left), float(top)), epsg


@cache
def _whole(path: int, row: int) -> tuple[BaseGeometry, int]:
    """Return the outline of a footprint in the UTM zone of its centre, and the EPSG code of the zone."""
    outline = _outlines()[path, row]
    epsg = 32601 + int((outline.centroid.x + 180) // 6)
    transformer = Transformer.from_crs("EPSG:4326", epsg, always_xy=True)
    moved = shapely.transform(outline, lambda points: np.column_stack(transformer.transform(*points.T)))
    return shapely.segmentize(moved, moved.length / _OUTLINE_POINTS), epsg


@cache
def _outlines() -> Mapping[tuple[int, int], BaseGeometry]:
    text = product_document().with_name("wrs2.geojson").read_text(encoding="utf-8")
    features: Sequence[Any] = json.loads(text)["features"]
    return {
        (each["properties"]["path"], each["properties"]["row"]): shapely.geometry.shape(each["geometry"])
        for each in features
    }


def _properties(look: _Look, label: str, rng: Generator) -> dict[str, Any]:
    return {
        "title": label,
        **_times(look.time),
        **_view(look, rng),
        **{f"gqa:{name}": round(float(rng.random()), 2) for name in _QUALITY},
        **_origin(look),
        "dea:dataset_maturity": "final",
        "odc:dataset_version": "3.2.1",
        "odc:file_format": "GeoTIFF",
        "odc:producer": "ga.gov.au",
        "odc:product_family": "ard",
        "odc:region_code": look.footprint.region_code,
    }


def _times(time: datetime) -> dict[str, str]:
    return {
        "datetime": _text(time),
        "created": _text(time + timedelta(days=14)),
        "dtr:start_datetime": _text(time - _HALF_SCENE),
        "dtr:end_datetime": _text(time + _HALF_SCENE),
        "odc:processing_datetime": _text(time + timedelta(days=14)),
    }


def _view(look: _Look, rng: Generator) -> dict[str, Any]:
    centre = _outlines()[look.footprint.path, look.footprint.row].centroid
    azimuth, elevation = sun_position(look.time, centre.x, centre.y)
    clear, cloud, shadow, snow, water = (100 * rng.dirichlet(np.ones(5))).tolist()
    return {
        "eo:platform": look.satellite.platform,
        "eo:instrument": look.satellite.instrument,
        "eo:gsd": 15.0,
        "eo:cloud_cover": cloud,
        "eo:sun_azimuth": azimuth,
        "eo:sun_elevation": elevation,
        "fmask:clear": clear,
        "fmask:cloud": cloud,
        "fmask:cloud_shadow": shadow,
        "fmask:snow": snow,
        "fmask:water": water,
    }


def _origin(look: _Look) -> dict[str, Any]:
    number, footprint, time = look.satellite.platform[-1], look.footprint, look.time
    return {
        "landsat:collection_category": "T1",
        "landsat:collection_number": 2,
        "landsat:landsat_product_id": f"L{number}_L1TP_{footprint.region_code}_{time:%Y%m%d}_02_T1",
        "landsat:landsat_scene_id": f"L{number}{footprint.region_code}{time:%Y%j}LGN00",
        "landsat:wrs_path": footprint.path,
        "landsat:wrs_row": footprint.row,
    }


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
