"""EO3 documents of demo scenes, modelled on Digital Earth Australia's Landsat Collection 3.

https://knowledge.dea.ga.gov.au/data/product/dea-surface-reflectance-landsat-8-oli-tirs/
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import shapely
from numpy.typing import NDArray

from compute.demo.demo_spec import DemoSpec
from compute.demo.overpasses import Acquisition
from compute.demo.pixel_lattice import CRS, LatticeWindow
from compute.demo.sensor import CLOUD, OUTSIDE, SHADOW, SNOW, VALID, WATER

PRODUCT = "ga_ls8c_ard_3"
_NAMESPACE = UUID("6f0a3a52-6a0d-5d0e-9a53-3f5a0c7a9d11")
_HALF_SCENE = timedelta(seconds=14.9)
_BANDS = ("coastal_aerosol", "blue", "green", "red", "nir", "swir_1", "swir_2", "panchromatic")
_OBSERVATION_ATTRIBUTES = (
    "fmask", "nbart_contiguity", "azimuthal_exiting", "azimuthal_incident", "combined_terrain_shadow", "exiting_angle",
    "incident_angle", "relative_azimuth", "relative_slope", "satellite_azimuth", "satellite_view", "solar_azimuth",
    "solar_zenith", "time_delta",
)  # fmt: skip


def product_document() -> Path:
    """Return the path of the product definition of the demo scenes.

    Returns
    -------
    pathlib.Path
        YAML file with Digital Earth Australia's definition of ``ga_ls8c_ard_3``.
    """
    return Path(__file__).with_name("ga_ls8c_ard_3.odc-product.yaml")


def measurement_paths(label: str) -> dict[str, str]:
    """Return the file name of each measurement of a scene.

    All measurements of the product are included, because datacube does not accept a document without one of them. Only
    the files of ``nbart_red``, ``nbart_nir`` and ``oa_fmask`` are written, as in a partial mirror of the data.

    Parameters
    ----------
    label : str
        Label of the scene.

    Returns
    -------
    dict of str to str
        File names, by canonical measurement name.
    """
    bands = {f"nbart_{band}": _file_name(label, "nbart", f"band{n:02d}") for n, band in enumerate(_BANDS, 1)}
    attributes = {f"oa_{name}": _file_name(label, "oa", name.replace("_", "-")) for name in _OBSERVATION_ATTRIBUTES}
    return bands | attributes


def _file_name(label: str, group: str, part: str) -> str:
    return f"{label.replace('_ard_', f'_{group}_', 1)}_{part}.tif"


def scene_id(acquisition: Acquisition, spec: DemoSpec) -> UUID:
    """Return the UUID of a scene.

    Parameters
    ----------
    acquisition : Acquisition
        Acquisition, of which only the label is used.
    spec : DemoSpec
        Specification of the scene set.

    Returns
    -------
    uuid.UUID
        Name-based UUID, equal for equal label and specification.
    """
    return uuid5(_NAMESPACE, f"{spec.digest}/{acquisition.label}")


def scene_document(acquisition: Acquisition, mask: NDArray[np.uint8], spec: DemoSpec) -> dict[str, Any]:
    """Return the EO3 document of a scene.

    Parameters
    ----------
    acquisition : Acquisition
        Acquisition with footprint and time.
    mask : numpy.ndarray of uint8
        (rows, columns) Fmask codes, from which the percentages of mask classes are computed.
    spec : DemoSpec
        Specification of the scene set.

    Returns
    -------
    dict
        JSON-compatible document, with measurement paths relative to its file.
    """
    footprint = acquisition.footprint
    return {
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": str(scene_id(acquisition, spec)),
        "label": acquisition.label,
        "product": {"name": PRODUCT},
        "crs": CRS.lower(),
        "geometry": {"type": "Polygon", "coordinates": [shapely.get_coordinates(footprint.outline).tolist()]},
        "grids": {"default": _grid(footprint.window)},
        "properties": _properties(acquisition, mask, spec),
        "measurements": {name: {"path": path} for name, path in measurement_paths(acquisition.label).items()},
        "lineage": {},
    }


def _grid(window: LatticeWindow) -> dict[str, Any]:
    return {"shape": list(window.shape), "transform": [float(v) for v in window.transform]}


def _properties(acquisition: Acquisition, mask: NDArray[np.uint8], spec: DemoSpec) -> dict[str, Any]:
    azimuth, elevation = acquisition.sun
    return {
        "datetime": acquisition.time.isoformat(),
        "dtr:start_datetime": (acquisition.time - _HALF_SCENE).isoformat(),
        "dtr:end_datetime": (acquisition.time + _HALF_SCENE).isoformat(),
        "dea:dataset_maturity": "final",
        "eo:platform": "landsat-8",
        "eo:instrument": "OLI_TIRS",
        "eo:gsd": float(spec.pixel_m),
        "eo:sun_azimuth": round(azimuth, 4),
        "eo:sun_elevation": round(elevation, 4),
        **_mask_shares(mask),
        "landsat:wrs_path": acquisition.footprint.path,
        "landsat:wrs_row": acquisition.footprint.row,
        "odc:dataset_version": "0.0.0",
        "odc:file_format": "GeoTIFF",
        "odc:processing_datetime": (acquisition.time + timedelta(days=14)).isoformat(),
        # The product definition requires this producer; `greenup:synthetic` marks the scene as synthetic.
        "odc:producer": "ga.gov.au",
        "greenup:synthetic": True,
        "greenup:demo": spec.digest,
        "odc:product_family": "ard",
        "odc:region_code": acquisition.footprint.region_code,
    }


def _mask_shares(mask: NDArray[np.uint8]) -> dict[str, float]:
    counts = np.bincount(mask.ravel(), minlength=WATER + 1)
    seen = max(1, int(counts.sum() - counts[OUTSIDE]))
    percent = {code: round(100.0 * int(counts[code]) / seen, 4) for code in (VALID, CLOUD, SHADOW, SNOW, WATER)}
    return {
        "eo:cloud_cover": percent[CLOUD],
        "fmask:clear": percent[VALID],
        "fmask:cloud": percent[CLOUD],
        "fmask:cloud_shadow": percent[SHADOW],
        "fmask:snow": percent[SNOW],
        "fmask:water": percent[WATER],
    }
