"""Demo scenes: a believable, wholly synthetic stand-in for Landsat 8 analysis-ready data over Tasmania.

Coast, swaths, overpass times, pixel grids, file layout and documents are as Digital Earth Australia's; land, weather
and reflectance are drawn from a seed. `write_scenes` writes a set once, `true_ndvi` says what it should show.
"""

from __future__ import annotations

from compute.demo.demo_spec import DemoSpec
from compute.demo.eo3_documents import product_document
from compute.demo.ndvi_truth import true_ndvi
from compute.demo.scene_writing import write_scenes

__all__ = ["DemoSpec", "product_document", "true_ndvi", "write_scenes"]
