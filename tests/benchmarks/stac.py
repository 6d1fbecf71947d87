"""STAC items of the input's scenes, and `odc.stac.load` of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import odc.stac
import pystac
import shapely
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from compute.demo.pixel_lattice import CRS
from compute.demo.sensor import NODATA, OUTSIDE
from compute.scenes import Grid
from tests.benchmarks.input import InputScene

_TYPES = {
    "nbart_red": {"data_type": "int16", "nodata": NODATA},
    "nbart_nir": {"data_type": "int16", "nodata": NODATA},
    "oa_fmask": {"data_type": "uint8", "nodata": OUTSIDE},
}
_EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
]


def load_stac(scenes: Sequence[Sequence[InputScene]], grid: Grid, chunks: Mapping[str, int]) -> xr.Dataset:
    """Load the bands of the input lazily.

    Parameters
    ----------
    scenes : sequence of sequence of InputScene
        Scenes by date.
    grid : Grid
        Output grid.
    chunks : mapping of str to int
        Chunk sizes along ``time``, ``y`` and ``x``.

    Returns
    -------
    xarray.Dataset
        ``nbart_red``, ``nbart_nir`` and ``oa_fmask`` (time, y, x), with one time for each solar day.
    """
    loaded: xr.Dataset = odc.stac.load(
        list(_items(scenes)),
        bands=list(_TYPES),
        geobox=grid.geobox,
        chunks=dict(chunks),
        groupby="solar_day",
        resampling={"oa_fmask": "nearest", "*": "average"},
    )
    return loaded


def _items(scenes: Sequence[Sequence[InputScene]]) -> Iterator[pystac.Item]:
    transformer = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)

    def to_degrees(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(*points.T))

    for date_ in scenes:
        for scene in date_:
            yield _item(scene, shapely.transform(scene.acquisition.footprint.outline, to_degrees))


def _item(scene: InputScene, outline: BaseGeometry) -> pystac.Item:
    item = pystac.Item(
        id=scene.id,
        geometry=mapping(outline),
        bbox=list(outline.bounds),
        datetime=scene.acquisition.time,
        properties={"proj:code": CRS, "platform": "landsat-8"},
        stac_extensions=_EXTENSIONS,
    )
    for band, path in scene.files.items():
        fields = _fields(scene, band)
        item.add_asset(band, pystac.Asset(str(path), media_type=pystac.MediaType.COG, extra_fields=fields))
    return item


def _fields(scene: InputScene, band: str) -> dict[str, Any]:
    """Return the asset fields from which odc-stac knows the pixels without opening the file."""
    return {
        "proj:shape": list(scene.window.shape),
        "proj:transform": list(scene.window.transform)[:6],
        "raster:bands": [_TYPES[band]],
    }
