"""Demo scenes: synthetic Landsat 8 analysis-ready data of Tasmania.

Coastline, swaths, overpass times, pixel grids, file layout and documents are like those of Digital Earth Australia;
land cover, weather and reflectance are generated from a seed. `write_scenes` writes a set of scenes unless it exists;
`true_ndvi` returns the NDVI of the scenes without clouds and noise.
"""

from __future__ import annotations

from compute.demo.demo_spec import DemoSpec
from compute.demo.eo3_documents import product_document
from compute.demo.ndvi_truth import true_ndvi
from compute.demo.scene_writing import write_scenes

__all__ = ["DemoSpec", "product_document", "true_ndvi", "write_scenes"]
