"""NDVI of each gdalcubes L8NY18 scene, computed from the original files in plain NumPy: no resampling, no mosaicking.

Uses neither Greenup, datacube nor the converted scenes of ``tests/data/l8ny18``: what is written here is what those
are held against.

Usage: ``python tests/data/oracle/l8ny18_oracle.py SOURCE TARGET`` with the folder that holds ``gdalcubes_L8NY18`` and
the folder to write ``l8ny18.json`` into. Needs NumPy and rasterio.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

DEFINITIONS = """\
Per-scene NDVI oracle for gdalcubes L8NY18 (no resampling, no mosaicking).
TOA reflectance (uncorrected for sun angle, which cancels in NDVI) = DN * 2e-5 - 0.1, B4 red, B5 nir.
usable = Collection-1 BQA: bit0 fill = 0, bit4 cloud = 0, bits 7-8 shadow confidence < 3, \
bits 9-10 snow confidence < 3, bits 11-12 cirrus < 3; DN > 0."""


def usable(red: Any, nir: Any, quality: Any) -> Any:
    """Tell which pixels count, from the stored values."""
    confidences = ((quality >> low & 3) for low in (7, 9, 11))
    fill_or_cloud = (quality & 1) | (quality >> 4 & 1)
    return (fill_or_cloud == 0) & np.all([c < 3 for c in confidences], axis=0) & (red > 0) & (nir > 0)


def scene(folder: Path) -> dict[str, Any]:
    """Describe one scene by numbers."""
    red_path = next(folder.glob("*_B4.TIF"))
    with rasterio.open(red_path) as file:
        red, transform, epsg = file.read(1).astype("f8"), file.transform, file.crs.to_epsg()
    nir, quality = (rasterio.open(next(folder.glob(f"*_{band}.TIF"))).read(1) for band in ("B5", "BQA"))
    clear = usable(red, nir, quality)
    red_reflectance, nir_reflectance = red * 2e-5 - 0.1, nir.astype("f8") * 2e-5 - 0.1
    clear &= (red_reflectance + nir_reflectance) > 0
    ndvi = (nir_reflectance - red_reflectance)[clear] / (nir_reflectance + red_reflectance)[clear]
    name = red_path.name
    return {
        "scene": folder.name,
        "date": f"{name[17:21]}-{name[21:23]}-{name[23:25]}",
        "path_row": name[10:16],
        "shape": list(red.shape),
        "crs": f"EPSG:{epsg}",
        "transform": list(transform)[:6],
        "usable": int(clear.sum()),
        "usable_fraction": round(float(clear.mean()), 5),
        "ndvi_mean": float(ndvi.mean()) if ndvi.size else None,
        "bqa_values": {int(k): int(v) for k, v in zip(*np.unique(quality, return_counts=True), strict=True)},
    }


def main(source: Path, target: Path) -> None:
    """Write the numbers of every scene."""
    folders = sorted((source / "gdalcubes_L8NY18/inst/L8NY18").glob("LC08_*"))
    result = {"definitions": DEFINITIONS, "scenes": [scene(folder) for folder in folders]}
    (target / "l8ny18.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
