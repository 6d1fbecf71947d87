"""Writing of the definitions, documents and files of a field case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import rasterio
import yaml
from affine import Affine

from tests.field_cases.records import FieldCase, File, Ground, SceneFiles
from tests.field_cases.serving import HOST

EO3 = "https://schemas.opendatacube.org/dataset"

USUAL = {
    "eo:platform": "landsat-8",
    "odc:file_format": "GeoTIFF",
    "odc:processing_datetime": "2020-06-01T00:00:00Z",
    "odc:region_code": "089083",
}


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Field case on disk.

    Attributes
    ----------
    definitions, documents : list of pathlib.Path
        Files in the order of the case.
    profiles : pathlib.Path
        Path of its ``products.toml``.
    folder : pathlib.Path
        Folder of the documents.
    address : str
        URL of the server of its files.
    """

    definitions: list[Path]
    documents: list[Path]
    profiles: Path
    folder: Path
    address: str


def write_archive(case: FieldCase, folder: Path, address: str = HOST) -> Archive:
    """Write a case to a folder; `address` is the URL of the server of its files, if there is one."""
    definitions = []
    for suffix, measurements in case.products.items():
        path = folder / f"{case.product(suffix)}.odc-product.yaml"
        path.write_text(yaml.safe_dump(_definition(case.product(suffix), measurements), sort_keys=False))
        definitions.append(path)
    profiles = folder / "products.toml"
    body = case.profile if case.profile.lstrip().startswith("[") else f"[products.NAME]\n{case.profile}"
    profiles.write_text(body.replace("NAME", case.product()))
    documents = [_write_scene(case, scene, folder / "documents", address) for scene in case.scenes]
    return Archive(
        definitions=definitions, documents=documents, profiles=profiles, folder=folder / "documents", address=address
    )


def _definition(name: str, measurements: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": name,
        "metadata_type": "eo3",
        "metadata": {"product": {"name": name}},
        "measurements": [{"name": each, "units": "1", **entry} for each, entry in measurements.items()],
    }


def _write_scene(case: FieldCase, scene: SceneFiles, folder: Path, address: str) -> Path:
    home = folder / f"{scene.name}{scene.product}"
    home.mkdir(parents=True, exist_ok=True)
    measurements = case.products[scene.product]
    ground = scene.ground or case.ground
    for name, file in scene.bands.items():
        _write_file(home / (file.name or file.path or f"{name}.tif"), file, measurements.get(name, {}), ground)
    document = document_of(case, scene)
    scene.change(document)
    path = home / f"{scene.name}.odc-metadata.yaml"
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    path.write_text(text.replace(HOST, address), encoding="utf-8")
    return path


def document_of(case: FieldCase, scene: SceneFiles) -> dict[str, Any]:
    """Return the dataset document of a scene."""
    ground = scene.ground or case.ground
    properties = USUAL | {"datetime": scene.time} | dict(scene.properties)
    zooms = {f"zoom{file.zoom:g}": file.zoom for file in scene.bands.values() if file.zoom != 1}
    document: dict[str, Any] = {
        "$schema": EO3,
        "id": scene.id or str(uuid5(NAMESPACE_URL, f"{case.name}/{scene.product}/{scene.name}")),
        "label": scene.name,
        "product": {"name": case.product(scene.product)},
        "crs": ground.crs.lower(),
        "geometry": {"type": "Polygon", "coordinates": [[list(corner) for corner in ground.corners]]},
        "grids": {"default": _grid(ground, 1), **{name: _grid(ground, zoom) for name, zoom in zooms.items()}},
        "properties": {key: value for key, value in properties.items() if value is not None},
        "measurements": {name: _entry(name, file) for name, file in scene.bands.items()},
        "lineage": {},
    }
    if scene.geometry is None:
        del document["geometry"]
    elif scene.geometry != "grid":
        document["geometry"] = scene.geometry
    return document


def _grid(ground: Ground, zoom: float) -> dict[str, Any]:
    pixel, (rows, columns) = ground.pixel * zoom, ground.shape
    transform = [pixel, 0.0, ground.left, 0.0, -pixel, ground.top, 0.0, 0.0, 1.0]
    return {"shape": [round(rows / zoom), round(columns / zoom)], "transform": transform}


def _entry(name: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": file.path or f"{name}.tif"}
    if file.zoom != 1:
        entry["grid"] = f"zoom{file.zoom:g}"
    return entry | dict(file.entry)


def _write_file(path: Path, file: File, measurement: Any, ground: Ground) -> None:
    if file.content is not None:
        if file.content:
            path.write_bytes(file.content)
        return
    values = np.asarray(file.values, file.dtype or measurement["dtype"])
    values = values if values.ndim == 3 else values[np.newaxis]
    count, rows, columns = values.shape
    pixel = ground.pixel * file.zoom
    path.parent.mkdir(parents=True, exist_ok=True)
    # GDAL interprets some characters of a name, so the file is renamed afterwards.
    plain = path.with_name(f"written{path.suffix}")
    with rasterio.open(
        plain,
        "w",
        driver=file.driver,
        count=count,
        dtype=values.dtype,
        height=rows,
        width=columns,
        nodata=file.nodata,
        crs=ground.crs,
        transform=Affine(pixel, 0.0, ground.left, 0.0, -pixel, ground.top),
    ) as out:
        out.write(values)
        if file.scale is not None:
            out.scales = (file.scale,) * count
        if file.offset is not None:
            out.offsets = (file.offset,) * count
    for written in (plain, *plain.parent.glob("written.*")):
        if written.exists():
            written.rename(path if written == plain else path.with_suffix(written.suffix))
